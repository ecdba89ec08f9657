"""A tail without activation: from features at LR size to an image at HR size.

Without activation it is linear. It is therefore run as one convolution at LR size and one PixelShuffle, whose kernels
are composed from its parameters (:mod:`d2c.tails.compose`). The parameters do not change: checkpoints contain them,
gradients reach them, and the optimiser updates them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import nn

from d2c.device import at_least_fp32, no_autocast
from d2c.tails.compose import FIRST, INNER, LAST, Kernel, Step, compose
from d2c.tails.layers import conv3x3

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from d2c.tails.compose import Kernels
    from d2c.tails.layers import ColourLayer

__all__ = ["HALO", "Borders", "Tail", "compose_tails", "upscale_factors"]

Borders: TypeAlias = Literal["exact", "composed"]

HALO = 2
"""Distance in LR pixels up to which an LR pixel's block of HR pixels depends on its neighbours."""

_FIRST_TAP = {FIRST: 0, INNER: -2, LAST: -2}
_TAPS = {FIRST: 3, INNER: 5, LAST: 3}


def upscale_factors(scale: int) -> list[int]:
    """Factors of the steps of the upscale module: one step of 3, k steps of 2 for 2^k, none for 1."""
    return [3] if scale == 3 else [2] * (scale.bit_length() - 1)


class Tail(nn.Module):
    """Upscale module, closing convolution and colour layer: ``(N, n, h, w)`` to ``(N, 3, s·h, s·w)``.

    With ``borders`` = ``exact`` the result equals that of the layers one after the other. With ``composed`` the
    outermost s − 1 HR pixels differ: they are the result of a single convolution with zero padding.
    """

    def __init__(self, features: int, scale: int, borders: Borders = "exact") -> None:
        super().__init__()
        self.scale, self.borders = scale, borders
        self.factors = upscale_factors(scale)
        self.expand = nn.ModuleList(conv3x3(features, factor**2 * features) for factor in self.factors)
        self.conv = conv3x3(features, 3)
        self._kept: tuple[list[Tensor], Kernels] | None = None

    def forward(self, x: Tensor, colour: ColourLayer, kernels: Kernels | None = None) -> Tensor:
        return self.rows(x, 0, x.shape[2], x.shape[2], colour, kernels)

    def rows(
        self, x: Tensor, start: int, stop: int, height: int, colour: ColourLayer, kernels: Kernels | None = None
    ) -> Tensor:
        """HR rows ``s·start`` to ``s·stop`` of the prediction, equal to those in the prediction of the whole image.

        Parameters
        ----------
        x : (N, n, rows, w) tensor
            LR rows of the features, from ``max(0, start − HALO)`` to ``min(height, stop + HALO)``.
        start, stop : int
            The requested LR rows: the first, and the one after the last.
        height : int
            Number of rows of the LR image.
        colour : ColourLayer
            The layer that converts to the colours of predictions.
        kernels : Kernels, optional
            The result of :meth:`kernels`, if the caller has it already.
        """
        above, below = min(HALO, start), min(HALO, height - stop)
        if x.shape[2] != above + stop - start + below:
            raise ValueError(f"x: got {x.shape[2]} rows, expected {above + stop - start + below} for {start} to {stop}")
        small = min(height, x.shape[3]) < 2  # there is no kernel for a pixel at both edges
        if not self.factors or (small and self.borders == "exact"):
            first = self.scale * above
            return self.factored(x, colour)[:, :, first : first + self.scale * (stop - start)]
        padded = F.pad(x, (HALO, HALO, HALO - above, HALO - below))
        edges = (start == 0, stop == height), (True, True)
        return F.pixel_shuffle(_convolve(padded, kernels or self.kernels(colour), edges), self.scale)

    def factored(self, x: Tensor, colour: ColourLayer) -> Tensor:
        """The layers one after the other. This equals :meth:`forward`, at several times the cost."""
        for expand, factor in zip(self.expand, self.factors, strict=True):
            x = F.pixel_shuffle(expand(x), factor)  # (N, n, h, w) -> (N, n, f·h, f·w)
        prediction: Tensor = colour(self.conv(x))
        return prediction

    def kernels(self, colour: ColourLayer) -> Kernels:
        """The composed kernels. With gradients they are differentiable; without, they are reused if still valid.

        They are kept together with a copy of the parameters they were made from, and reused only for equal parameters.
        No way of changing a parameter can therefore lead to outdated kernels.
        """
        made_from = [*self.parameters(), colour.matrix, colour.offset]
        if torch.is_grad_enabled() or made_from[0].is_meta:
            return compose_tails([self], colour)[0]
        if self._kept is None or not _same(self._kept[0], made_from):
            self._kept = [tensor.detach().clone() for tensor in made_from], compose_tails([self], colour)[0]
        return self._kept[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": None}


def compose_tails(tails: Sequence[Tail], colour: ColourLayer) -> list[Kernels]:
    """The kernels of several equal tails, composed together. They are differentiable if gradients are on.

    They are computed at least in fp32, even under autocast, because their values are sums of hundreds of products.
    """
    with no_autocast(colour.matrix.device):
        *steps, weight, bias = (
            at_least_fp32(torch.stack(parameters))
            for parameters in zip(*(tail.parameters() for tail in tails), strict=True)
        )
        matrix, offset = at_least_fp32(colour.matrix), at_least_fp32(colour.offset)
        pairs = zip(tails[0].factors, steps[::2], steps[1::2], strict=True)
        coloured = torch.einsum("ij,pjnyx->pinyx", matrix, weight), bias @ matrix.mT + offset
        return compose([Step(*step) for step in pairs], *coloured, edges=tails[0].borders == "exact")


def _convolve(padded: Tensor, kernels: Kernels, edges: tuple[tuple[bool, bool], tuple[bool, bool]]) -> Tensor:
    """Convolve every LR pixel with the kernel of its place.

    ``padded`` has :data:`HALO` additional pixels on each side. ``edges`` says, for rows and for columns, whether the
    image begins and ends there.
    """
    exact = len(kernels) > 1
    along = [
        _places(size - 2 * HALO, *(ends if exact else (False, False)))
        for size, ends in zip(padded.shape[2:], edges, strict=True)
    ]
    rows = []
    for y, rows_in in along[0]:
        here = padded[:, :, rows_in]
        placed = {x: Kernel(*(tensor.to(padded.dtype) for tensor in kernels[y, x])) for x in (INNER, *dict(along[1]))}
        if exact and not torch.is_grad_enabled():  # inner kernel everywhere, then replace the ends
            row = F.conv2d(here, *placed[INNER])
            for (x, columns_in), column in zip((along[1][0], along[1][-1]), (0, -1), strict=True):
                row[:, :, :, column] = F.conv2d(here[:, :, :, columns_in], *placed[x])[:, :, :, 0]
            rows.append(row)
        else:
            pieces = [F.conv2d(here[:, :, :, columns_in], *placed[x]) for x, columns_in in along[1]]
            rows.append(torch.cat(pieces, dim=3) if len(pieces) > 1 else pieces[0])
    return torch.cat(rows, dim=2) if len(rows) > 1 else rows[0]


def _places(size: int, begins: bool, ends: bool) -> list[tuple[int, slice]]:
    """The places along one axis, and the padded pixels that each uses."""
    inner = (int(begins), size - int(ends))
    spans = [(FIRST, 0, 1)] * begins + [(INNER, *inner)] * (inner[1] > inner[0]) + [(LAST, size - 1, size)] * ends
    return [
        (place, slice(first + HALO + _FIRST_TAP[place], last + HALO + _FIRST_TAP[place] + _TAPS[place] - 1))
        for place, first, last in spans
    ]


def _same(kept: list[Tensor], now: list[Tensor]) -> bool:
    """Whether tensors have the same type and equal values (NaN equals nothing).

    They must also have the same memory layout: another layout is summed in another order, and a resumed run must end
    with the same bits.
    """
    pairs = list(zip(kept, now, strict=True))
    if any((a.dtype, a.device, a.shape, a.stride()) != (b.dtype, b.device, b.shape, b.stride()) for a, b in pairs):
        return False
    return bool(torch.stack([(a == b).all() for a, b in pairs]).all())  # waits for a GPU once
