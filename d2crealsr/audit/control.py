"""The estimator's floor: a control pair without any shift, made from the two images of a real one.

Its LR is the HR image, degraded as the real LR was: blur, and gain and offset block by block. What the HR image does
not explain in the real LR (noise, demosaicing, compression, aliasing) is added too, but turned by half a turn within
each block: it keeps its strength, place and spectrum and loses its tie to the texture. What the estimator finds between
HR and this control is its own error.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from d2crealsr.audit.cells import Cells

if TYPE_CHECKING:
    from d2crealsr.imaging.comparison import Look, LrCrop
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, ResidualField

__all__ = ["zero_shift_control"]

Float32 = NDArray[np.float32]

_NO_VARIANCE = 1e-9
"""Variance of encoded luma in a block below which it is flat: less than rounding to 8 bits makes."""


def zero_shift_control(lr: LrCrop, look: Look, mapping: CaptureMapping, field: ResidualField) -> LrCrop:
    """An LR crop that lies exactly where ``mapping`` says, and is otherwise like the real one.

    Parameters
    ----------
    lr : LrCrop
        The real LR crop.
    look : Look
        HR as LR's camera would have developed it.
    mapping : CaptureMapping
    field : ResidualField
        The residual field of the real pair over the same crop, its blocks in rows and columns.

    Returns
    -------
    LrCrop
        The real one with another ``encoded``; its colours are still the real ones.
    """
    cells = Cells.of(field, lr.crop)
    block = cells.index
    shift_lr_px = np.where(field.weights[:, None] > 0, field.shifts_hr_px, 0.0) / lr.scale
    shown = look.through(mapping, lr.positions + shift_lr_px[block])
    gain, offset = _lines(shown, lr.encoded, lr.valid, cells)
    unexplained = np.where(lr.valid, lr.encoded - gain[block] * shown - offset[block], 0.0)
    in_place = gain[block] * look.through(mapping, lr.positions) + offset[block]
    return replace(lr, encoded=(in_place + unexplained[cells.turned]).astype(np.float32))


def _lines(value: Float32, target: Float32, valid: NDArray[np.bool_], cells: Cells) -> tuple[Array, Array]:
    """Gain and offset, (blocks,) each, of the straight line through each block's valid pixels."""
    mean_value, mean_target = cells.mean(value, valid), cells.mean(target, valid)
    covariance = cells.mean(value * target, valid) - mean_value * mean_target
    variance = cells.mean(value * value, valid) - mean_value**2
    gain = np.where(variance > _NO_VARIANCE, covariance / np.maximum(variance, _NO_VARIANCE), 0.0)
    return gain, mean_target - gain * mean_value
