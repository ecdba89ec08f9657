"""A tail with constant kernels, for graphs that are exported.

Nothing in it depends on values or on the size of the image. The kernels are composed once from the parameters of a
:class:`d2c.tails.tail.Tail`. Each runs on all pixels of its rows or columns, and the results are put together by place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from d2c.tails.compose import FIRST, INNER, LAST
from d2c.tails.tail import HALO

if TYPE_CHECKING:
    from torch import Tensor

    from d2c.tails.compose import Place
    from d2c.tails.layers import ColourLayer
    from d2c.tails.tail import Tail

__all__ = ["fixed_tail"]

_ALONG = FIRST, INNER, LAST

_PIXELS = {FIRST: slice(HALO, HALO + 3), INNER: slice(None), LAST: slice(-HALO - 3, -HALO)}
"""Pixels of the padded image that the kernel of a place uses, along one axis."""


def fixed_tail(tail: Tail, colour: ColourLayer) -> nn.Module:
    """The tail and the colour layer as a module with constant kernels.

    Its results equal those of the tail for images whose sides are at least 2.
    """
    return _Fixed(tail, colour) if tail.factors else _Factored(tail, colour)


class _Fixed(nn.Module):
    """``(N, n, h, w)`` to ``(N, 3, s·h, s·w)``."""

    def __init__(self, tail: Tail, colour: ColourLayer) -> None:
        super().__init__()
        self.scale = tail.scale
        with torch.no_grad():
            kernels = tail.kernels(colour)
        self.exact = len(kernels) > 1
        for place, kernel in kernels.items():
            self.register_buffer(_name("weight", place), kernel.weight.clone())
            self.register_buffer(_name("bias", place), kernel.bias.clone())

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (HALO, HALO, HALO, HALO))
        if not self.exact:
            return F.pixel_shuffle(self._at(padded, INNER, INNER), self.scale)
        rows = [self._placed([self._at(padded, y, x) for x in _ALONG], dim=3) for y in _ALONG]
        return F.pixel_shuffle(self._placed(rows, dim=2), self.scale)

    def _placed(self, pieces: list[Tensor], dim: int) -> Tensor:
        """All rows (or columns) as inner ones, with the first and the last replaced.

        Where every size is possible, choosing by position is easier to export than joining pieces that may be empty.
        """
        first, inner, last = pieces
        size = inner.shape[dim]
        position = torch.arange(size, device=inner.device).reshape(-1, *[1] * (3 - dim))
        return torch.where(position == 0, first, torch.where(position == size - 1, last, inner))

    def _at(self, padded: Tensor, y: int, x: int) -> Tensor:
        place = y, x
        weight, bias = self.get_buffer(_name("weight", place)), self.get_buffer(_name("bias", place))
        return F.conv2d(padded[:, :, _PIXELS[y], _PIXELS[x]], weight, bias)


class _Factored(nn.Module):
    """A tail that does not enlarge."""

    def __init__(self, tail: Tail, colour: ColourLayer) -> None:
        super().__init__()
        self.tail, self.colour = tail, colour

    def forward(self, x: Tensor) -> Tensor:
        return self.tail.factored(x, self.colour)


def _name(kind: str, place: Place) -> str:
    words = {FIRST: "first", INNER: "inner", LAST: "last"}
    return f"{kind}_{words[place[0]]}_{words[place[1]]}"
