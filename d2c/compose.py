"""The algebra of a linear tail: its convolutions and shuffles as one convolution at LR size.

A tail is a chain of 3×3 convolutions, each but the last followed by a PixelShuffle, with no activation between. What it
makes of one LR pixel, s×s HR pixels, is therefore a linear map of the 5×5 LR features around, the same for every pixel
except along the image's edges: there each convolution pads its own input with zeros, so pixels that the composed map
would read outside the image at the resolutions between must not be read. An LR pixel in the first row has its own map
for that reason, and so have the last row, the first and last column and the four corners; all others share one.

From the output backwards: a map that reads pixels at some resolution reads, one PixelShuffle down, the coarse pixels
those lie in (polyphase); a pixel outside the image lies in a coarse pixel outside it, so the edge maps are the same
composition without the coarse taps beyond the edge.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["FIRST", "INNER", "LAST", "Kernel", "Kernels", "Step", "compose"]

FIRST, INNER, LAST = -1, 0, 1
"""Where an LR pixel stands along one axis: at the beginning of the image, inside it, at its end."""

Place: TypeAlias = "tuple[int, int]"


class Step(NamedTuple):
    """A convolution and the PixelShuffle(f) after it, of P tails: ``weight`` (P, f²·n, n, 3, 3), ``bias`` (P, f²·n)."""

    factor: int
    weight: Tensor
    bias: Tensor


class Kernel(NamedTuple):
    """A convolution from features at LR size to one PixelShuffle(s).

    ``weight`` (3·s², n, ky, kx): along an axis, 5 taps −2 … 2 for INNER, 3 taps 0 … 2 for FIRST and −2 … 0 for LAST.
    ``bias`` (3·s²,).
    """

    weight: Tensor
    bias: Tensor


Kernels: TypeAlias = "dict[Place, Kernel]"
"""Kernels by place, (y, x)."""


def compose(steps: Sequence[Step], weight: Tensor, bias: Tensor, *, edges: bool = True) -> list[Kernels]:
    """The kernels of P tails, differentiable in all their parameters.

    Parameters
    ----------
    steps : sequence of Step
        The upscale modules, from LR up; at least one.
    weight, bias : (P, 3, n, 3, 3) and (P, 3) tensors
        The closing convolutions, at HR size.
    edges : bool
        Whether the maps of the image's edges are wanted too; otherwise ``(INNER, INNER)`` alone.
    """
    along = (FIRST, INNER, LAST) if edges else (INNER,)
    taps = {FIRST: slice(1, 3), INNER: slice(0, 3), LAST: slice(0, 2)}
    block = weight.transpose(0, 1)[:, None, None]  # (3, B, B, P, n, ky, kx): B HR pixels a side, here one
    offset = bias.transpose(0, 1)[:, None, None]  # (3, B, B, P)
    kernels = {(y, x): Kernel(block[..., taps[y], taps[x]], offset) for y, x in itertools.product(along, along)}
    for step in reversed(steps):
        kernels = {place: _coarser(kernels, step, place) for place in kernels}
    split = {place: (k.weight.flatten(0, 2).unbind(1), k.bias.flatten(0, 2).unbind(1)) for place, k in kernels.items()}
    return [{place: Kernel(w[tail], b[tail]) for place, (w, b) in split.items()} for tail in range(len(weight))]


def _coarser(kernels: Kernels, step: Step, place: Place) -> Kernel:
    """The map from the features before a convolution and its PixelShuffle, for a block of pixels at some place."""
    factor, tails = step.factor, len(step.weight)
    blocks = [[_block(kernels, factor, place, (y, x)) for x in range(factor)] for y in range(factor)]
    rows = [torch.stack([block.weight for block in row], dim=2) for row in blocks]
    weight = torch.stack(rows, dim=1).flatten(3, 4).flatten(1, 2)  # (3, f·B, f·B, P, n, f·ty, f·tx)
    bias = torch.stack([torch.stack([block.bias for block in row], dim=2) for row in blocks], dim=1)
    bias = bias.flatten(3, 4).flatten(1, 2)  # (3, f·B, f·B, P)
    side, (_, features, high, wide) = weight.shape[1], weight.shape[3:]
    phases = weight.reshape(-1, tails * features, high // factor, factor, wide // factor, factor)
    coarse = phases.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)  # (·, P·n·f², ty, tx): a PixelShuffle's channels
    sums = coarse.sum(dim=(2, 3)).reshape(*bias.shape, -1)  # (3, f·B, f·B, P, n·f²)
    composed = F.conv_transpose2d(coarse, step.weight.flatten(0, 1), groups=tails)  # (·, P·n, ty + 2, tx + 2)
    inside = {FIRST: slice(1, None), INNER: slice(None), LAST: slice(0, -1)}  # the image's edge, at this resolution
    composed = composed[:, :, inside[place[0]], inside[place[1]]]
    composed = composed.reshape(3, side, side, tails, features, *composed.shape[2:])
    return Kernel(composed, bias + (sums * step.bias).sum(dim=-1))


def _block(kernels: Kernels, factor: int, place: Place, phase: tuple[int, int]) -> Kernel:
    """What pixel ``phase`` of a coarse pixel at ``place`` reads of the coarse pixels before, at and after that one.

    Its taps are laid out over the 3·f fine pixels of those, 2·f where the coarse pixel stands at an edge: what lies
    beyond the edge is left out.
    """
    sources, padding = [], []
    for where, at in zip(place, phase, strict=True):
        source = where if at == (0 if where == FIRST else factor - 1) else INNER
        sources.append(source)
        padding.append((factor, where, at, source))
    kernel = kernels[sources[0], sources[1]]
    (top, bottom), (left, right) = (
        _margins(*values, taps) for values, taps in zip(padding, kernel.weight.shape[-2:], strict=True)
    )
    return Kernel(F.pad(kernel.weight, (left, right, top, bottom)), kernel.bias)


def _margins(factor: int, where: int, at: int, source: int, taps: int) -> tuple[int, int]:
    """Zeros before and after a kernel's taps along one axis; negative where taps lie beyond the image."""
    first_tap = {FIRST: 0, INNER: -(taps // 2), LAST: 1 - taps}[source]
    before = (0 if where == FIRST else factor) + at + first_tap
    whole = (3 if where == INNER else 2) * factor
    return before, whole - before - taps
