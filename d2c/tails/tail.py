"""A tail without activation: from features at LR size to an image at HR size.

It holds no activation, so it is linear, and it is run as one convolution at LR size and one PixelShuffle, whose kernels
are composed from its parameters (:mod:`d2c.tails.compose`). The parameters stay what they are: the keys of
checkpoints, what gradients reach, what the optimiser changes.
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
"""How many LR pixels beyond its own the tail reads for one LR pixel's block of HR pixels."""

_FIRST_TAP = {FIRST: 0, INNER: -2, LAST: -2}
_TAPS = {FIRST: 3, INNER: 5, LAST: 3}


def upscale_factors(scale: int) -> list[int]:
    """Factors of the upscale module's steps: 3 in one, 2^k in k steps of 2, none for 1."""
    return [3] if scale == 3 else [2] * (scale.bit_length() - 1)


class Tail(nn.Module):
    """Upscale module, closing convolution and colour layer: ``(N, n, h, w)`` to ``(N, 3, s·h, s·w)``.

    With ``borders`` = ``exact`` the result is that of the layers one after the other; with ``composed`` the outermost
    s − 1 HR pixels are what one convolution with zeros around the image makes of them.
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
        """The prediction's HR rows ``s·start`` to ``s·stop``, as they are in the whole image's prediction.

        Parameters
        ----------
        x : (N, n, rows, w) tensor
            The features' LR rows from ``max(0, start − HALO)`` to ``min(height, stop + HALO)``.
        start, stop : int
            The LR rows wanted, the first and the one after the last.
        height : int
            The LR image's rows.
        colour : ColourLayer
            The layer that gives predictions their colours.
        kernels : Kernels, optional
            What :meth:`kernels` gives, where the caller has it already.
        """
        above, below = min(HALO, start), min(HALO, height - stop)
        if x.shape[2] != above + stop - start + below:
            raise ValueError(f"x: got {x.shape[2]} rows, expected {above + stop - start + below} for {start} to {stop}")
        small = min(height, x.shape[3]) < 2  # a pixel at both edges at once has no kernel
        if not self.factors or (small and self.borders == "exact"):
            first = self.scale * above
            return self.factored(x, colour)[:, :, first : first + self.scale * (stop - start)]
        padded = F.pad(x, (HALO, HALO, HALO - above, HALO - below))
        edges = (start == 0, stop == height), (True, True)
        return F.pixel_shuffle(_convolve(padded, kernels or self.kernels(colour), edges), self.scale)

    def factored(self, x: Tensor, colour: ColourLayer) -> Tensor:
        """The layers one after the other: what :meth:`forward` equals, at several times the cost."""
        for expand, factor in zip(self.expand, self.factors, strict=True):
            x = F.pixel_shuffle(expand(x), factor)  # (N, n, h, w) -> (N, n, f·h, f·w)
        prediction: Tensor = colour(self.conv(x))
        return prediction

    def kernels(self, colour: ColourLayer) -> Kernels:
        """The composed kernels, differentiable where gradients are on; else those of the last call, if they hold.

        They are kept with a copy of the numbers they were made from and are used again only for those very numbers, so
        that no way of changing a parameter can leave them behind.
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
    """The kernels of tails of one kind, all at once; differentiable where gradients are on.

    In fp32 at least, also under autocast: a kernel's numbers are sums over hundreds of products.
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
    """Every LR pixel by the kernel of its place.

    ``padded`` has :data:`HALO` more pixels on each side; ``edges`` says whether the image begins and ends there, for
    rows and for columns.
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
        if exact and not torch.is_grad_enabled():  # as wide as the image and its ends anew: cheaper than joining pieces
            row = F.conv2d(here, *placed[INNER])
            for (x, columns_in), column in zip((along[1][0], along[1][-1]), (0, -1), strict=True):
                row[:, :, :, column] = F.conv2d(here[:, :, :, columns_in], *placed[x])[:, :, :, 0]
            rows.append(row)
        else:
            pieces = [F.conv2d(here[:, :, :, columns_in], *placed[x]) for x, columns_in in along[1]]
            rows.append(torch.cat(pieces, dim=3) if len(pieces) > 1 else pieces[0])
    return torch.cat(rows, dim=2) if len(rows) > 1 else rows[0]


def _places(size: int, begins: bool, ends: bool) -> list[tuple[int, slice]]:
    """The places along one axis and the padded pixels that each reads."""
    inner = (int(begins), size - int(ends))
    spans = [(FIRST, 0, 1)] * begins + [(INNER, *inner)] * (inner[1] > inner[0]) + [(LAST, size - 1, size)] * ends
    return [
        (place, slice(first + HALO + _FIRST_TAP[place], last + HALO + _FIRST_TAP[place] + _TAPS[place] - 1))
        for place, first, last in spans
    ]


def _same(kept: list[Tensor], now: list[Tensor]) -> bool:
    """Whether tensors are of one kind and equal to the last number (one that is no number equals nothing).

    Of one memory layout too: another one is summed in another order, and a resumed run must end with the same bits.
    """
    return all(
        (a.dtype, a.device, a.shape, a.stride()) == (b.dtype, b.device, b.shape, b.stride()) and torch.equal(a, b)
        for a, b in zip(kept, now, strict=True)
    )
