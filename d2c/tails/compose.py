"""The algebra of a linear tail: compose its convolutions and shuffles to one convolution at LR size.

A tail is a chain of 3×3 convolutions without activation, each except the last followed by a PixelShuffle. Its output
for one LR pixel, s×s HR pixels, is therefore a linear map of the 5×5 LR features around that pixel. The map is the same
for all pixels except along the edges of the image. There, each convolution pads its own input with zeros, so the map
must not use pixels outside the image at the intermediate resolutions. For this reason an LR pixel in the first row has
a map of its own, and so have the last row, the first and the last column, and the four corners. All other pixels share
one map.

The maps are composed from the output backwards. A map that uses fine pixels uses, before the PixelShuffle, the coarse
pixels that contain them (polyphase decomposition). A fine pixel outside the image is in a coarse pixel outside it, so
the edge maps are the same composition without the coarse taps beyond the edge.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["FIRST", "INNER", "LAST", "Kernel", "Kernels", "Step", "compose"]

FIRST, INNER, LAST = -1, 0, 1
"""Place of an LR pixel along one axis: at the beginning of the image, inside it, or at its end."""

Place: TypeAlias = "tuple[int, int]"


class Step(NamedTuple):
    """A convolution and the following PixelShuffle(f) of P tails: ``weight`` (P, f²·n, n, 3, 3), ``bias`` (P, f²·n)."""

    factor: int
    weight: Tensor
    bias: Tensor


class Kernel(NamedTuple):
    """A convolution from features at LR size to the input of a PixelShuffle(s).

    ``weight`` is (3·s², n, ky, kx). Along an axis it has 5 taps −2 … 2 for INNER, 3 taps 0 … 2 for FIRST, and 3 taps
    −2 … 0 for LAST. ``bias`` is (3·s²,).
    """

    weight: Tensor
    bias: Tensor


Kernels: TypeAlias = "dict[Place, Kernel]"
"""Kernels by place, (y, x)."""


def compose(steps: Sequence[Step], weight: Tensor, bias: Tensor, *, edges: bool = True) -> list[Kernels]:
    """The kernels of P tails, differentiable with respect to all their parameters.

    Parameters
    ----------
    steps : sequence of Step
        The steps of the upscale modules, from LR upwards; at least one.
    weight, bias : (P, 3, n, 3, 3) and (P, 3) tensors
        The final convolutions, at HR size.
    edges : bool
        Whether to make the kernels for the edges of the image too, or only ``(INNER, INNER)``.
    """
    # 1. Begin with the final convolution: one HR pixel per block, without the taps that lie outside the image.
    along = (FIRST, INNER, LAST) if edges else (INNER,)
    taps = {FIRST: slice(1, 3), INNER: slice(0, 3), LAST: slice(0, 2)}
    block = weight.permute(0, 1, 3, 4, 2)[:, :, None, None]  # (P, 3, B, B, ky, kx, n): B HR pixels per side, here one
    offset = bias[:, :, None, None]  # (P, 3, B, B)
    kernels = {(y, x): Kernel(block[..., taps[y], taps[x], :], offset) for y, x in itertools.product(along, along)}
    # 2. Backwards through the upscale steps: each is put in front of the map and enlarges its blocks by its factor.
    for step in reversed(steps):
        kernels = _coarser(kernels, step)
    # 3. Flatten the blocks of s×s HR pixels to the channels of one PixelShuffle, and separate the tails.
    split = {
        place: (k.weight.flatten(1, 3).permute(0, 1, 4, 2, 3).contiguous().unbind(), k.bias.flatten(1).unbind())
        for place, k in kernels.items()
    }
    return [{place: Kernel(w[tail], b[tail]) for place, (w, b) in split.items()} for tail in range(len(weight))]


def _coarser(kernels: Kernels, step: Step) -> Kernels:
    """The maps from the features before a convolution and its PixelShuffle, for blocks of pixels at all places.

    Most rows of an edge use the same taps as the inner rows, except for the coarse taps beyond the edge. Each product
    of a row's coarse tap and the convolution is therefore computed once, and the map of a place is the sum of the
    products that it has. Only the B − 1 outermost rows of an edge, which would use pixels beyond it at finer
    resolutions too, have products of their own.
    """
    factor, features = step.factor, step.weight.shape[2]
    side = kernels[INNER, INNER].weight.shape[2]
    own = side - 1
    rows = {FIRST: slice(0, own), INNER: slice(0, side), LAST: slice(side - own, side)}
    phases = {FIRST: [0], INNER: list(range(factor)), LAST: [factor - 1]}
    # 1. The taps of all rows, by place, regrouped by coarse pixel and by channel of the PixelShuffle.
    groups = {}
    for y, x in kernels:
        if own or (y, x) == (INNER, INNER):
            blocks = [[_block(kernels, factor, (y, x), (j, i)).weight for i in phases[x]] for j in phases[y]]
            lines = [torch.cat([block[:, :, rows[y], rows[x]] for block in line], dim=3) for line in blocks]
            groups[y, x] = _phases(torch.cat(lines, dim=2), factor)
    # 2. One matrix product for all of them: taps on the shuffled channels times the convolution's weights.
    flat = torch.cat([group.flatten(1, 5) for group in groups.values()], dim=1)
    channels = step.weight.reshape(-1, features, factor, factor, features, 3, 3).permute(0, 2, 3, 1, 5, 6, 4)
    products = flat @ channels.flatten(4).flatten(1, 3)  # (P, ·, 9·n)
    offsets = step.bias.reshape(-1, features, factor, factor).permute(0, 2, 3, 1).flatten(1)
    layout = _Layout(
        tuple((at, tuple(group.shape[1:6])) for at, group in groups.items()), tuple(kernels), factor * side
    )
    # 3. Each place sums its products: the coarse tap (ty, tx) adds its 3×3 weights at (ty, tx) of the composed kernel.
    biases = layout.split(flat @ offsets[:, :, None])
    weights = _Summed.apply(products, layout)  # type: ignore[no-untyped-call]
    inside = {FIRST: slice(1, None), INNER: slice(None), LAST: slice(0, -1)}  # no taps beyond the edge here
    # 4. The biases: those of the finer map, plus the convolution's bias times all taps that the place has.
    found = {}
    for place, weight in zip(kernels, weights, strict=True):
        y, x = place
        finer = [[_source(kernels, factor, place, (j, i)).bias for i in range(factor)] for j in range(factor)]
        bias = torch.cat([torch.cat(line, dim=3) for line in finer], dim=2)
        added = torch.zeros_like(bias)
        for part in layout.parts(place):
            share = _cut(biases[part.group], part)
            added[:, :, part.rows_to[0], part.rows_to[1]] = share.sum(dim=(4, 5, 6))
        found[place] = Kernel(weight[..., inside[y], inside[x], :], bias + added)
    return found


def _phases(fine: Tensor, factor: int) -> Tensor:
    """Convert taps ``(P, 3, ·, ·, f·ty, f·tx, n)`` on fine pixels to ``(…, ty, tx, f·f·n)`` on shuffled channels."""
    high, wide, features = fine.shape[4:]
    split = fine.reshape(*fine.shape[:4], high // factor, factor, wide // factor, factor, features)
    return split.permute(0, 1, 2, 3, 4, 6, 5, 7, 8).flatten(6)


class _Part(NamedTuple):
    """Rows and columns of a place's map, and the products (of some taps of a group) that are added to them."""

    group: Place
    rows_from: tuple[slice, slice]
    rows_to: tuple[slice, slice]
    taps: tuple[slice, slice]


class _Layout(NamedTuple):
    """The products, one group of rows after the other, and the places whose maps are sums of them."""

    groups: tuple[tuple[Place, tuple[int, ...]], ...]
    """For each group the place of its rows, and its shape (3, rows, columns, ty, tx)."""
    places: tuple[Place, ...]
    side: int

    def parts(self, place: Place) -> list[_Part]:
        """The parts whose sum is the map of a place."""
        along = itertools.product(*(self._along(axis, where) for axis, where in enumerate(place)))
        return [_Part((y[0], x[0]), (y[1], x[1]), (y[2], x[2]), (y[3], x[3])) for y, x in along]

    def _along(self, axis: int, where: int) -> list[tuple[int, slice, slice, slice]]:
        """Along one axis: the group, the rows of the group, the rows of the map, and the taps of the group."""
        everything, side = slice(None), self.side
        if where == INNER:
            return [(INNER, everything, everything, everything)]
        own = next((shape[1 + axis] for at, shape in self.groups if at[axis] == where), 0)
        border = slice(0, own) if where == FIRST else slice(side - own, side)
        inner, taps = (slice(own, side), slice(1, 3)) if where == FIRST else (slice(0, side - own), slice(0, 2))
        return [(INNER, inner, inner, taps)] + [(where, everything, border, everything)] * (own > 0)

    def split(self, products: Tensor) -> dict[Place, Tensor]:
        """Views of ``(P, ·, …)`` by group: ``(P, 3, rows, columns, ty, tx, …)``."""
        views = torch.split(products, [math.prod(shape) for _, shape in self.groups], dim=1)
        named = zip(views, self.groups, strict=True)
        return {at: view.view(len(view), *shape, *products.shape[2:]) for view, (at, shape) in named}


class _Summed(torch.autograd.Function):
    """For every place, sums of the products of coarse taps and convolution taps that belong to the same pixel."""

    @staticmethod
    def forward(ctx: Any, products: Tensor, layout: _Layout) -> tuple[Tensor, ...]:
        ctx.layout, ctx.shape = layout, products.shape
        groups = layout.split(products.view(*products.shape[:2], 3, 3, -1))
        found = []
        for place in layout.places:
            taps = [5 if where == INNER else 4 for where in place]
            made = products.new_zeros(len(products), 3, layout.side, layout.side, *taps, products.shape[2] // 9)
            for part in layout.parts(place):
                source = _cut(groups[part.group], part)
                target = made[:, :, part.rows_to[0], part.rows_to[1]]
                for y, x in itertools.product(*(range(size) for size in source.shape[4:6])):
                    target[:, :, :, :, y : y + 3, x : x + 3] += source[:, :, :, :, y, x]
            found.append(made)
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        found = gradients[0].new_zeros(ctx.shape)
        groups = ctx.layout.split(found.view(*ctx.shape[:2], 3, 3, -1))
        for place, gradient in zip(ctx.layout.places, gradients, strict=True):
            windows = gradient.unfold(4, 3, 1).unfold(5, 3, 1).movedim(6, 8)  # (P, 3, rows, columns, ty, tx, 3, 3, n)
            for part in ctx.layout.parts(place):
                target = _cut(groups[part.group], part)
                target += windows[:, :, part.rows_to[0], part.rows_to[1]]
        return found, None


def _cut(group: Tensor, part: _Part) -> Tensor:
    return group[:, :, part.rows_from[0], part.rows_from[1], part.taps[0], part.taps[1]]


def _source(kernels: Kernels, factor: int, place: Place, phase: tuple[int, int]) -> Kernel:
    """The finer map for pixel ``phase`` of a coarse pixel at ``place``."""
    y, x = (w if at == (0 if w == FIRST else factor - 1) else INNER for w, at in zip(place, phase, strict=True))
    return kernels[y, x]


def _block(kernels: Kernels, factor: int, place: Place, phase: tuple[int, int]) -> Kernel:
    """The taps of pixel ``phase`` of a coarse pixel at ``place`` on the coarse pixels before, at and after it.

    The taps are arranged over the 3·f fine pixels of these coarse pixels, or over 2·f if the coarse pixel is at an
    edge. Taps beyond the edge are left out.
    """
    sources, padding = [], []
    for where, at in zip(place, phase, strict=True):
        source = where if at == (0 if where == FIRST else factor - 1) else INNER
        sources.append(source)
        padding.append((factor, where, at, source))
    kernel = kernels[sources[0], sources[1]]
    (top, bottom), (left, right) = (
        _margins(*values, taps) for values, taps in zip(padding, kernel.weight.shape[-3:-1], strict=True)
    )
    return Kernel(F.pad(kernel.weight, (0, 0, left, right, top, bottom)), kernel.bias)


def _margins(factor: int, where: int, at: int, source: int, taps: int) -> tuple[int, int]:
    """Number of zeros before and after the taps of a kernel along one axis; negative if taps lie outside the image."""
    first_tap = {FIRST: 0, INNER: -(taps // 2), LAST: 1 - taps}[source]
    before = (0 if where == FIRST else factor) + at + first_tap
    whole = (3 if where == INNER else 2) * factor
    return before, whole - before - taps
