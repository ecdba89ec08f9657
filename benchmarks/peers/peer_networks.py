"""Networks that d2c is compared with, written here from their papers: nothing of d2c is used.

``Factored`` is D2C-SR as the released code builds it: every tail's layers one after the other, the convergence net on
whole images. It has d2c's keys, so that the same weights give both the same outputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from d2c.d2csr.config import D2CConfig

__all__ = ["EDSR", "PUBLISHED_PARAMETERS", "RCAN", "Factored"]


def conv3(channels_in: int, channels_out: int, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=bias)


def steps_of(scale: int) -> list[int]:
    return [3] if scale == 3 else [2] * (scale.bit_length() - 1)


class Attention(nn.Module):
    """Channel attention (RCAN, section 3.3)."""

    def __init__(self, n: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(n, max(1, n // reduction), 1)
        self.excite = nn.Conv2d(max(1, n // reduction), n, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))))


class Block(nn.Module):
    """Residual channel attention block."""

    def __init__(self, n: int, reduction: int) -> None:
        super().__init__()
        self.conv1, self.conv2, self.attention = conv3(n, n), conv3(n, n), Attention(n, reduction)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(self.conv2(F.relu(self.conv1(x))))


class Group(nn.Module):
    """Residual group."""

    def __init__(self, n: int, blocks: int, reduction: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block(n, reduction) for _ in range(blocks)))
        self.conv = conv3(n, n)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(self.blocks(x))


class _Branch(nn.Module):
    def __init__(self, c: D2CConfig) -> None:
        super().__init__()
        self.groups = nn.Sequential(*(Group(c.features, c.blocks, c.reduction) for _ in range(c.groups)))
        self.conv = conv3(c.features, c.features)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.groups(x))


class _Tail(nn.Module):
    def __init__(self, n: int, scale: int) -> None:
        super().__init__()
        self.factors = steps_of(scale)
        self.expand = nn.ModuleList(conv3(n, f * f * n) for f in self.factors)
        self.conv = conv3(n, 3)

    def forward(self, x: Tensor) -> Tensor:
        for conv, factor in zip(self.expand, self.factors, strict=True):
            x = F.pixel_shuffle(conv(x), factor)
        return self.conv(x)


class _Colour(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.eye(3))
        self.register_buffer("offset", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.matrix[:, :, None, None], self.offset)


class _Fusion(nn.Module):
    def __init__(self, c: D2CConfig) -> None:
        super().__init__()
        width, bias = c.convergence_features, c.convergence_bias
        self.gain, self.relu_last = c.convergence_gain, c.convergence_relu
        self.conv1 = conv3(3 * c.predictions, width, bias)
        self.conv2 = conv3(width, width, bias)
        self.conv3 = conv3(width, c.predictions, bias)

    def forward(self, predictions: Tensor) -> Tensor:
        x = predictions
        if self.gain != 1:
            x = torch.lerp(x.mean(dim=1, keepdim=True), x, self.gain)
        x = self.conv3(F.relu(self.conv2(F.relu(self.conv1(x.flatten(1, 2))))))
        weights = (F.relu(x) if self.relu_last else x).softmax(dim=1)
        return (predictions * weights[:, :, None]).sum(dim=1)


class Factored(nn.Module):
    """D2C-SR with factored tails; the tree of depth 2 and width 2 of the paper."""

    def __init__(self, c: D2CConfig) -> None:
        super().__init__()
        n = c.features
        self.colour_in, self.colour_out = _Colour(), _Colour()
        self.head = conv3(3, n)
        self.layers = nn.ModuleList(nn.ModuleList(_Branch(c) for _ in range(count)) for count in (2, 4))
        self.residuals = nn.ModuleList(nn.ModuleList(conv3(n, n) for _ in range(2)) for _ in range(4))
        self.tails = nn.ModuleList(_Tail(n, c.scale) for _ in range(4))
        self.convergence = _Fusion(c)

    def diverge(self, lr: Tensor) -> Tensor:
        """Predictions (N, 4, 3, H, W)."""
        shallow = self.head(self.colour_in(lr))
        ones = [branch(shallow) for branch in self.layers[0]]
        outs = []
        for leaf in range(4):
            parent = ones[leaf // 2]
            first, second = self.residuals[leaf]
            feature = second(first(self.layers[1][leaf](parent)) + parent) + shallow
            outs.append(self.colour_out(self.tails[leaf](feature)))
        return torch.stack(outs, dim=1)

    def forward(self, lr: Tensor) -> Tensor:
        return self.convergence(self.diverge(lr))


class RCAN(nn.Module):
    """Zhang et al., ECCV 2018, doi:10.1007/978-3-030-01234-2_18: 10 groups of 20 blocks, 64 features.

    Without the mean's subtraction, which has no trained parameters.
    """

    def __init__(self, scale: int, groups: int = 10, blocks: int = 20, n: int = 64) -> None:
        super().__init__()
        self.head = conv3(3, n)
        self.body = nn.Sequential(*(Group(n, blocks, 16) for _ in range(groups)), conv3(n, n))
        self.tail = _Tail(n, scale)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.head(lr)
        return self.tail(x + self.body(x))


class _Plain(nn.Module):
    def __init__(self, n: int, scaling: float) -> None:
        super().__init__()
        self.conv1, self.conv2, self.scaling = conv3(n, n), conv3(n, n), scaling

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scaling * self.conv2(F.relu(self.conv1(x)))


class EDSR(nn.Module):
    """Lim et al., CVPRW 2017, doi:10.1109/CVPRW.2017.151: 32 blocks, 256 features, residual scaling 0.1."""

    def __init__(self, scale: int, blocks: int = 32, n: int = 256) -> None:
        super().__init__()
        self.head = conv3(3, n)
        self.body = nn.Sequential(*(_Plain(n, 0.1) for _ in range(blocks)), conv3(n, n))
        self.tail = _Tail(n, scale)

    def forward(self, lr: Tensor) -> Tensor:
        x = self.head(lr)
        return self.tail(x + self.body(x))


PUBLISHED_PARAMETERS = {
    ("RCAN", 2): 15_444_643,
    ("RCAN", 4): 15_592_355,
    ("RCAN", 8): 15_740_067,
    ("EDSR", 2): 40_729_603,
    ("EDSR", 4): 43_089_923,
    ("EDSR", 8): 45_450_243,
}
"""Trained parameters of the sizes above. The authors' RCAN counts 24 more, the numbers of two fixed colour layers."""
