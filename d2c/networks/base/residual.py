"""The frame that EDSR and RCAN share: a head, a body with a skip connection around it, and a tail without activation.

Inside, colours are in the range of 255 with the mean colour of DIV2K subtracted, as released weights of both networks
expect. The zeros outside the image are then the mean colour, so the subtraction cannot be folded into the head exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from d2c.networks.base.entry import Network
from d2c.tails.layers import RGB_MEAN, ColourLayer, conv3x3
from d2c.tails.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

__all__ = ["LinearTailNetwork", "ResidualNet"]

_WHITE = 255.0
"""Value of white inside the network."""


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


class LinearTailNetwork(Network):
    """The entry of a network that is a :class:`ResidualNet`."""

    def layer_by_layer(self, model: Any, lr: Tensor) -> Any:
        model.colour_in = model.colour_out = nn.Identity()  # fixed layers are not counted
        return model.tail.factored(model.features(lr), model.colour_out)
