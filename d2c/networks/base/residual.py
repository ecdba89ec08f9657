"""The frame that EDSR and RCAN share: a head, a body with a skip connection around it, and a tail without activation.

Inside, colours are in the range of 255 with the mean colour of DIV2K subtracted, as released weights of both networks
expect. The zeros outside the image are then the mean colour, so the subtraction cannot be folded into the head exactly.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from d2c.networks.base.entry import Network
from d2c.networks.base.released import scale_of
from d2c.tails.fixed import fixed_tail
from d2c.tails.layers import RGB_MEAN, ColourLayer, conv3x3
from d2c.tails.tail import Tail, upscale_factors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from d2c.networks.base.released import Weights

__all__ = ["MEANS", "LinearTailNetwork", "ResidualBlock", "ResidualNet", "authors_names", "basicsr_names", "tail_of"]

_WHITE = 255.0
"""Value of white inside the network."""


class ResidualBlock(nn.Module):
    """Two convolutions with a ReLU between them; a share of the result is added to the input."""

    def __init__(self, features: int, share: float = 1.0) -> None:
        super().__init__()
        self.conv1, self.conv2 = (conv3x3(features, features) for _ in range(2))
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.conv2(F.relu(self.conv1(x)))
        return x + (residual if self.share == 1 else self.share * residual)


class ResidualNet(nn.Module):
    """From ``(N, 3, h, w)`` to ``(N, 3, s·h, s·w)``, RGB on [0, 1].

    Parameters
    ----------
    features : int
        Channels of the body.
    parts : iterable of Module
        The parts of the body, each from ``(N, n, h, w)`` to the same shape.
    """

    def __init__(self, features: int, parts: Iterable[nn.Module], scale: int) -> None:
        super().__init__()
        red, green, blue = (-_WHITE * mean for mean in RGB_MEAN)
        self.colour_in = ColourLayer((red, green, blue), _WHITE)
        self.head = conv3x3(3, features)
        self.body = nn.Sequential(*parts)
        self.after_body = conv3x3(features, features)
        self.tail = Tail(features, scale)
        self.colour_out = ColourLayer(RGB_MEAN, 1 / _WHITE)

    def features(self, lr: Tensor) -> Tensor:
        """The features ``(N, n, h, w)`` that the tail upscales."""
        shallow = self.head(self.colour_in(lr))
        features: Tensor = self.after_body(self.body(shallow)) + shallow
        return features

    def forward(self, lr: Tensor) -> Tensor:
        sr: Tensor = self.tail(self.features(lr), self.colour_out)
        return sr


_MEAN = _WHITE * torch.tensor(RGB_MEAN)
MEANS = {
    "sub_mean.weight": torch.eye(3).flatten(),
    "sub_mean.bias": -_MEAN,
    "add_mean.weight": torch.eye(3).flatten(),
    "add_mean.bias": _MEAN,
}
"""Fixed layers of the authors' files, which subtract and add the mean colour in the range of 255."""


def tail_of(state: Weights, pattern: str) -> int:
    """Scale of a tail whose sub-pixel convolutions match a regular expression."""
    return scale_of([state[name] for name in sorted(state) if re.fullmatch(pattern, name)])


def authors_names(scale: int, last: int) -> Iterator[tuple[str, str]]:
    """Our names and the authors' for everything but the parts of the body. ``last`` is the number of parts."""
    yield from (("head", "head.0"), ("after_body", f"body.{last}"), ("tail.conv", "tail.1"))
    yield from ((f"tail.expand.{i}", f"tail.0.{2 * i}") for i in range(len(upscale_factors(scale))))


def basicsr_names(scale: int) -> Iterator[tuple[str, str]]:
    """The same for BasicSR's files."""
    yield from (("head", "conv_first"), ("after_body", "conv_after_body"), ("tail.conv", "conv_last"))
    yield from ((f"tail.expand.{i}", f"upsample.{2 * i}") for i in range(len(upscale_factors(scale))))


class _Exported(nn.Module):
    """A :class:`ResidualNet` with a constant tail."""

    def __init__(self, model: ResidualNet) -> None:
        super().__init__()
        self.model = cast("Any", copy.deepcopy(model))
        self.model.tail = fixed_tail(model.tail, model.colour_out)

    def forward(self, lr: Tensor) -> Tensor:
        sr: Tensor = self.model.tail(self.model.features(lr))
        return sr


class LinearTailNetwork(Network):
    """The entry of a network that is a :class:`ResidualNet`."""

    def exported(self, model: Any, *, everything: bool = False) -> nn.Module:
        return _Exported(model)

    def layer_by_layer(self, model: Any, lr: Tensor) -> Any:
        model.colour_in = model.colour_out = nn.Identity()  # fixed layers are not counted
        return model.tail.factored(model.features(lr), model.colour_out)
