"""P linear tails side by side: one grouped convolution for the inside of the image, the layers in turn along its edges.

Where the image ends, every convolution of a tail pads its own input with zeros, so the outermost LR pixels need kernels
of their own. They are few. Their layers are therefore run one after the other, on strips along the edges. The strip of
the last rows and the strip of the first rows share one image: the last rows are above a gap, the first rows below it,
and the gap is set to zero before every convolution, as outside of the image.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from d2c.device import at_least_fp32, no_autocast
from d2c.tails.compose import Step
from d2c.tails.impulses import compose_by_impulses
from d2c.tails.siblings import stacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from d2c.tails.layers import ColourLayer
    from d2c.tails.tail import Tail

__all__ = ["predictions_side_by_side"]

_STRIP = 3
"""LR pixels that the outermost one depends on, along one axis."""


def predictions_side_by_side(tails: Sequence[Tail], x: Tensor, colour: ColourLayer) -> Tensor:
    """The predictions ``(N, P, 3, s·h, s·w)`` of P equal tails for their features ``(N, P·n, h, w)``, one set each.

    They equal those of :meth:`d2c.tails.tail.Tail.forward`, and so do all gradients.
    """
    *steps, weight, bias = stacked(list(zip(*(tail.parameters() for tail in tails), strict=True)), autocast=False)
    with no_autocast(x.device):
        matrix, offset = at_least_fp32(colour.matrix), at_least_fp32(colour.offset)
        pairs = zip(tails[0].factors, steps[::2], steps[1::2], strict=True)
        layers = [Step(factor, at_least_fp32(w), at_least_fp32(b)) for factor, w, b in pairs]
        weight = torch.einsum("ij,pjnyx->pinyx", matrix, at_least_fp32(weight))
        closing = Step(1, weight, at_least_fp32(bias) @ matrix.mT + offset)
        exact = tails[0].borders == "exact"
        small = min(x.shape[2:]) < _STRIP
        kernel = compose_by_impulses(layers, closing.weight, closing.bias) if layers and not (exact and small) else None
        kernel = kernel and kernel._replace(weight=kernel.weight.to(x.dtype), bias=kernel.bias.to(x.dtype))
        chain = [Step(f, w.flatten(0, 1).to(x.dtype), b.flatten().to(x.dtype)) for f, w, b in (*layers, closing)]
        count, scale = len(tails), tails[0].scale
        if kernel is None:
            made = _in_turn(x, chain, count)
        else:
            inside = F.conv2d(x, kernel.weight, kernel.bias, padding=1 if exact else 2, groups=count)
            made = F.pixel_shuffle(inside, scale)
            made = _framed(made, x, chain, count, scale) if exact else made
        return torch.unflatten(made, 1, (count, 3))


def _in_turn(x: Tensor, chain: Sequence[Step], count: int) -> Tensor:
    """The layers one after the other, on the whole image."""
    for factor, weight, bias in chain:
        x = F.pixel_shuffle(F.conv2d(x, weight, bias, padding=1, groups=count), factor)
    return x


def _framed(inside: Tensor, x: Tensor, chain: Sequence[Step], count: int, scale: int) -> Tensor:
    """The image made of the HR pixels ``inside`` the outermost LR pixels, and of those that the strips give."""
    left, right = _ends(x, chain, count, scale, axis=3)
    top, bottom = _ends(x, chain, count, scale, axis=2)
    middle = slice(scale, left.shape[2] - scale)
    return torch.cat([top, torch.cat([left[:, :, middle], inside, right[:, :, middle]], dim=3), bottom], dim=2)


def _ends(x: Tensor, chain: Sequence[Step], count: int, scale: int, axis: int) -> tuple[Tensor, Tensor]:
    """The HR pixels of the first and of the last LR pixels along an axis."""
    length, gap = x.shape[axis], 1
    blank = x.narrow(axis, 0, 1).detach() * 0
    last, first = x.narrow(axis, length - _STRIP, _STRIP), x.narrow(axis, 0, _STRIP)
    strips = torch.cat([last, blank, first], dim=axis)
    padding = (0, 1) if axis == 2 else (1, 0)
    for number, (factor, weight, bias) in enumerate(chain):
        if number:
            strips = strips * _gap(strips.shape[axis], gap, axis, strips.dtype, strips.device)
        strips = F.pixel_shuffle(F.conv2d(strips, weight, bias, padding=padding, groups=count), factor)
        gap *= factor
    ends = (strips.shape[axis] - gap) // 2
    return strips.narrow(axis, ends + gap, scale), strips.narrow(axis, ends - scale, scale)


@functools.lru_cache(maxsize=64)
def _gap(length: int, gap: int, axis: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Ones along an axis with zeros in the middle. It is kept, because making it takes several operations."""
    with torch.inference_mode(False):
        mask = torch.ones(length, dtype=dtype, device=device)
        mask.narrow(0, (length - gap) // 2, gap).zero_()
        return mask[:, None] if axis == 2 else mask
