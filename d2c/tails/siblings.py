"""Networks of equal shape that run side by side, as grouped convolutions, or one after the other.

A GPU runs a few large operations faster than many small ones, and a CPU the other way round. The choice is made here
for all modules. Parameters are the same in both cases: running side by side begins by copying those of equal shape into
one tensor, and their gradients come back as parts of one gradient.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING

import torch

from d2c.device import autocast_type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

__all__ = ["run_siblings", "run_side_by_side", "stacked"]

_forced: ContextVar[bool | None] = ContextVar("side by side", default=None)


def run_side_by_side(device: torch.device) -> bool:
    """Whether networks of equal shape run side by side on this device: on CUDA, unless :func:`run_siblings` says."""
    forced = _forced.get()
    return device.type == "cuda" if forced is None else forced


@contextlib.contextmanager
def run_siblings(*, side_by_side: bool) -> Iterator[None]:
    """A ``with`` block in which they run side by side, or one after the other, on every device."""
    before = _forced.set(side_by_side)
    try:
        yield
    finally:
        _forced.reset(before)


def stacked(groups: Sequence[Sequence[Tensor]], *, autocast: bool = True) -> list[Tensor]:
    """Each group of J equal tensors as one tensor ``(J, …)``, with a single copy for all tensors of one shape.

    If all weights of a shape are stored channels last, so are the results. Gradients reach every tensor in the memory
    order of the tensor, so that they need no further copy.

    Parameters
    ----------
    groups : sequence of sequences of tensors
        The parameters; equal shapes within a group.
    autocast : bool
        Whether to convert them to the number format of autocast where it is on. This is one conversion for all, instead
        of one for each use.
    """
    found: list[Tensor | None] = [None] * len(groups)
    by_shape: dict[torch.Size, list[int]] = {}
    for number, group in enumerate(groups):
        by_shape.setdefault(group[0].shape, []).append(number)
    for numbers in by_shape.values():
        tensors = [tensor for number in numbers for tensor in groups[number]]
        last = all(_is_channels_last(tensor) for tensor in tensors)
        whole = torch.stack([tensor.permute(0, 2, 3, 1) for tensor in tensors] if last else tensors)
        if autocast and (half := autocast_type(whole.device)):
            whole = whole.to(half)
        sizes = [len(groups[number]) for number in numbers]
        for number, part in zip(numbers, torch.split_with_sizes(whole, sizes), strict=True):
            found[number] = part.permute(0, 1, 4, 2, 3) if last else part
    return [part for part in found if part is not None]


def _is_channels_last(tensor: Tensor) -> bool:
    return tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()
