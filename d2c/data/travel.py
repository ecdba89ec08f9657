"""Patches as they travel to a GPU: as the integers of the images, which become floats there.

They have a quarter of the bytes of floats, half for images of 16 bit. Flips and transposes are made on the device too.
The floats are those that :func:`d2c.data.patches.write_patch` makes on a CPU, bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from d2c.data.patches import Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["RawBatch", "as_floats", "empty_batch", "put"]


class RawBatch(NamedTuple):
    """Patches of a step: ``lr`` (N, 3, p, p) and ``hr`` (N, 3, s·p, s·p), uint8, or int16 with the bits of uint16.

    HR has a margin where that of :class:`d2c.data.patches.Batch` has one.

    Colour planes lie one after the other, as in the cache, so that whole rows are copied. ``turns`` (N,) has the number
    of the flip and transpose of each patch, uint8; ``peaks`` (2, N) the largest integers of the LR and of the HR image,
    float32.
    """

    lr: Tensor
    hr: Tensor
    turns: Tensor
    peaks: Tensor


def empty_batch(samples: int, lr_side: int, hr_side: int, *, wide: bool) -> RawBatch:
    """A batch to fill with patches, of 16-bit integers if ``wide``; in pinned memory if there is a GPU."""
    kind = torch.int16 if wide else torch.uint8
    pin = torch.cuda.is_available()
    lr, hr = (torch.empty(samples, 3, side, side, dtype=kind, pin_memory=pin) for side in (lr_side, hr_side))
    turns = torch.empty(samples, dtype=torch.uint8, pin_memory=pin)
    return RawBatch(lr, hr, turns, torch.empty(2, samples, pin_memory=pin))


def put(batch: RawBatch, place: int, lr: NDArray[Any], hr: NDArray[Any], turn: int) -> None:
    """Write the pixels of a patch, each ``(·, ·, 3)``, to its place, as they are, and note the turn."""
    for row, (target, pixels) in enumerate(((batch.lr, lr), (batch.hr, hr))):
        memory = target[place].numpy()
        memory = memory.view(np.uint16) if memory.dtype == np.int16 else memory
        np.copyto(memory, np.moveaxis(pixels, -1, 0))
        batch.peaks[row, place] = int(np.iinfo(pixels.dtype).max)
    batch.turns[place] = turn


def as_floats(batch: Batch | RawBatch) -> Batch:
    """The patches as floats on [0, 1], turned, on the device where they are. A batch of floats is returned as it is."""
    if isinstance(batch, Batch):
        return batch
    return Batch(*(_floats(part, batch.turns, peak) for part, peak in zip(batch[:2], batch.peaks, strict=True)))


def _floats(planes: Tensor, turns: Tensor, peaks: Tensor) -> Tensor:
    for bit in (1, 2, 4):
        turned = planes.transpose(2, 3) if bit == 4 else planes.flip(3 if bit == 1 else 2)
        planes = torch.where((turns & bit).bool()[:, None, None, None], turned, planes)
    if planes.dtype == torch.int16:
        planes = planes.to(torch.int32) & 0xFFFF
    # Division by a tensor, because CUDA multiplies by the reciprocal of a number, which rounds otherwise.
    return planes.to(torch.float32) / peaks[:, None, None, None]
