"""LP-KPN: a kernel for every pixel of a Laplacian pyramid, predicted from the bicubically enlarged luma.

Cai et al., "Toward Real-World Single Image Super-Resolution: A New Benchmark and A New Model", ICCV 2019,
doi:10.1109/ICCV.2019.00318, section 4. The luma of the enlarged image is decomposed into three levels. A network that
works at a quarter of HR's size predicts 5×5 kernels for the pixels of each level; the filtered levels are put together
again. Colours are those of bicubic interpolation.

Departures. The publication has ×2, ×3 and ×4; at ×8 the kernels reach about one LR pixel at the coarsest level, so
little can be expected of it there. Training begins with kernels that nearly keep each pixel, so with the interpolated
image. Biases learn at the rate of the weights, where the publication gives them a tenth of it, and decay like them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from d2c.device import at_least_fp32, no_autocast
from d2c.networks.base.constants import constant
from d2c.networks.base.entry import Network
from d2c.networks.base.initial import kaiming
from d2c.networks.base.residual import ResidualBlock
from d2c.networks.base.stage import Stage
from d2c.settings.config import NetworkConfig, SettingError, TrainSettings, setting
from d2c.settings.presets import Preset
from d2c.tails.interpolation import bicubic_up
from d2c.tails.layers import conv3x3

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["LPKPNConfig", "LPKPNNetwork", "laplacian_pyramid", "rebuilt"]

_KERNEL = 5
"""Side of the predicted kernels."""
_LEVELS = 3
_QUARTER = 2 ** (_LEVELS - 1)
"""The sides of the enlarged image must be multiples of this."""
_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_BLACK = 16 / 255
_CONTRAST = 219 / 255
"""Luma of white less that of black; both are on [0, 1] (BT.601, 16 to 235 of 255)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LPKPNConfig(NetworkConfig):
    """Structure of LP-KPN."""

    features: int = setting(64, "Feature channels, a multiple of 16.", at_least=16, at_most=1024)
    blocks: int = setting(16, "Residual blocks.", at_least=1, at_most=1024)

    def __post_init__(self) -> None:
        NetworkConfig.__post_init__(self)
        if self.features % _QUARTER**2:
            raise SettingError(f"features: got {self.features}, expected a multiple of 16", "change --features")


def _binomial(planes: Tensor, gain: float = 1.0) -> Tensor:
    """Smooth ``(N, 1, h, w)`` with [1 4 6 4 1]²/256, zeros outside."""
    row = constant((1.0, 4.0, 6.0, 4.0, 1.0), planes) / 16
    return F.conv2d(planes, gain * torch.outer(row, row)[None, None], padding=2)


def _expanded(small: Tensor) -> Tensor:
    """A level of the Gaussian pyramid at twice the size: zeros between its pixels, smoothed at four times the gain."""
    spread = small.new_zeros(*small.shape[:2], 2 * small.shape[2], 2 * small.shape[3])
    spread[:, :, ::2, ::2] = small
    return _binomial(spread, 4.0)


def laplacian_pyramid(planes: Tensor) -> list[Tensor]:
    """Levels of ``(N, 1, H, W)``, the finest first; the last one is the smoothed image at a quarter of the size.

    Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", doi:10.1109/TCOM.1983.1095851.
    """
    levels = []
    for _ in range(_LEVELS - 1):
        small = _binomial(planes)[:, :, ::2, ::2]
        levels.append(planes - _expanded(small))
        planes = small
    return [*levels, planes]


def rebuilt(levels: Sequence[Tensor]) -> Tensor:
    """The image of a Laplacian pyramid; the inverse of :func:`laplacian_pyramid`."""
    *finer, planes = levels
    for level in reversed(finer):
        planes = level + _expanded(planes)
    return planes


def _luma(rgb: Tensor) -> Tensor:
    """Luma ``(N, 1, h, w)`` on [16/255, 235/255] of RGB on [0, 1]."""
    return F.conv2d(rgb, constant(_LUMA, rgb)[None, :, None, None]) + _BLACK


def _filtered(level: Tensor, kernels: Tensor) -> Tensor:
    """A level ``(N, 1, h, w)``, each pixel filtered with its own kernel of ``(N, 25, h, w)``, in the level's type."""
    around = F.unfold(level, _KERNEL, padding=_KERNEL // 2).view_as(kernels)
    return (around * kernels).sum(dim=1, keepdim=True)


class _LPKPN(nn.Module):
    """``(N, 3, h, w)`` to ``(N, 3, s·h, s·w)``, RGB on [0, 1]; the sides of the result are multiples of 4.

    The kernels are predicted in the arithmetic that is asked for. Image and pyramid are computed at least in fp32, even
    under autocast, because the image would otherwise be rounded to the 8 binary digits of bf16.
    """

    def __init__(self, config: LPKPNConfig) -> None:
        super().__init__()
        n, self.scale = config.features, config.scale
        self.first = conv3x3(_QUARTER**2, n)
        self.body = nn.Sequential(*(ResidualBlock(n) for _ in range(config.blocks)))
        self.after_body = conv3x3(n, n)
        self.kernels = nn.ModuleList(
            nn.Sequential(
                nn.PixelShuffle(_QUARTER // 2**level),
                conv3x3(n * 4**level // _QUARTER**2, n),
                nn.ReLU(),
                conv3x3(n, n),
                nn.ReLU(),
                conv3x3(n, _KERNEL**2),
            )
            for level in range(_LEVELS)
        )
        kaiming(self.modules())
        kaiming(self.body.modules(), 0.1)  # otherwise every block doubles the power, 65,536 times over sixteen blocks
        for branch in self.kernels:  # begin with the interpolated image: kernels that keep each pixel
            last = cast("nn.Sequential", branch)[-1]
            kaiming([last], 0.01)
            cast("Tensor", last.bias).data[_KERNEL**2 // 2] = 1.0

    def predicted_kernels(self, luma: Tensor) -> list[Tensor]:
        """The kernels ``(N, 25, H/2^l, W/2^l)`` of each level for the luma ``(N, 1, H, W)``."""
        shallow = self.first(F.pixel_unshuffle(luma, _QUARTER).to(self.first.weight.dtype))
        features = self.after_body(self.body(shallow)) + shallow
        return [branch(features) for branch in self.kernels]

    def levels(self, luma: Tensor) -> list[Tensor]:
        """The levels of the pyramid of the enlarged luma, each filtered with the kernels of its pixels."""
        predicted = self.predicted_kernels(luma)
        with no_autocast(luma.device):
            pyramid = laplacian_pyramid(at_least_fp32(luma))
            return [_filtered(level, kernels) for level, kernels in zip(pyramid, predicted, strict=True)]

    def enlarged(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """The bicubically enlarged image, and its luma."""
        with no_autocast(lr.device):
            image = bicubic_up(at_least_fp32(lr), self.scale)
            return image, _luma(image)

    def forward(self, lr: Tensor) -> Tensor:
        image, luma = self.enlarged(lr)
        return self.combined(image, luma, self.levels(luma))

    @staticmethod
    def combined(image: Tensor, luma: Tensor, levels: Sequence[Tensor]) -> Tensor:
        """The enlarged image with its luma rebuilt from the levels.

        With chroma as it is, a change of luma is the same change of R, G and B, on the range from black to white.
        """
        with no_autocast(image.device):
            return image + (rebuilt(levels) - luma) / _CONTRAST


class LPKPNStage(Stage):
    """Half the sum of squared differences of the luma's levels.

    All levels count by their sums, as in the publication's training. By their means, the finest level weighs four
    times as much as the next one, and sixteen times as much as the coarsest. The sums are divided by the number of HR
    pixels, a factor that Adam cancels.
    """

    terms = ("total", "fine", "middle", "coarse")
    realigns = True

    def forward(self, lr: Tensor, hr: Tensor, **weights: float) -> dict[str, Tensor]:
        image, luma = self.model.enlarged(lr)
        levels = self.model.levels(luma)
        if self.config.realign:
            hr = self.target(self.model.combined(image, luma, levels), hr)
        with no_autocast(hr.device):
            wanted = laplacian_pyramid(_luma(at_least_fp32(hr)))
            pixels = hr.shape[0] * hr.shape[2] * hr.shape[3]
            sums = [0.5 * (at_least_fp32(a) - b).square().sum() / pixels for a, b in zip(levels, wanted, strict=True)]
            return dict(zip(self.terms, [sums[0] + sums[1] + sums[2], *sums], strict=True))


class LPKPNNetwork(Network):
    """A kernel for every pixel of a Laplacian pyramid of the enlarged luma; colours are bicubic."""

    paper = "Cai et al., doi:10.1109/ICCV.2019.00318"
    config = LPKPNConfig
    multiple = _QUARTER
    starts_anew = {"scale": ()}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "paper": Preset(
            LPKPNConfig(),
            TrainSettings(batch=64, patch=24, lr_halve_epochs=0, weight_decay=1e-4, steps=100_000),
            "16 blocks of 64 features",
        ),
        "tiny": Preset(
            LPKPNConfig(features=16, blocks=4),
            TrainSettings(patch=24, lr=1e-3, ema=0.99, steps=600, log_every=25, save_every=100),
            "to see it work; a minute or two on a CPU",
        ),
    }

    def build(self, config: Any) -> nn.Module:
        return _LPKPN(config)

    def stages(self, train: Any) -> Sequence[type[Stage]]:
        return [LPKPNStage]

    def reach_of(self, config: Any) -> int:
        quarters = 1 + 2 * config.blocks + 1 + 3 + 2 + 2  # of HR: the body, a branch, a kernel, the pyramid down and up
        return int(-(-_QUARTER * quarters // config.scale) + 2)  # and the interpolation's

    def layer_by_layer(self, model: Any, lr: Tensor) -> Any:
        side = lr.shape[2] * model.scale
        return model.predicted_kernels(lr.new_empty(1, 1, side, side))  # interpolation and pyramid are not counted
