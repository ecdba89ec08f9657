"""The floor of the estimator: a control pair without any shift, made from the two images of a real pair.

The LR of the control is the HR image, degraded like the real LR: with its blur, and with the gain and offset of each
block. The part of the real LR that HR does not explain (noise, demosaicing, compression, aliasing) is added, rotated by
180 degrees within each block. It keeps its strength, place and spectrum, but is no longer tied to the texture. Every
shift that the estimator finds between HR and the control is therefore its own error.
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
"""Variance of encoded luma below which a block counts as flat. Rounding to 8 bits alone causes more."""


def zero_shift_control(lr: LrCrop, look: Look, mapping: CaptureMapping, field: ResidualField) -> LrCrop:
    """Make an LR crop that lies exactly where ``mapping`` says and otherwise resembles the real one.

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
        The real crop with another ``encoded``. Its colours are still those of the real crop.
    """
    cells = Cells.of(field, lr.crop)
    block = cells.index
    shift_lr_px = np.where(field.weights[:, None] > 0, field.shifts_hr_px, 0.0) / lr.scale
    shown = look.through(mapping, lr.positions + shift_lr_px[block])
    gain, offset = _lines(shown, lr.encoded, lr.trusted, cells)
    unexplained = np.where(lr.trusted, lr.encoded - gain[block] * shown - offset[block], 0.0)
    in_place = gain[block] * look.through(mapping, lr.positions) + offset[block]
    return replace(lr, encoded=(in_place + unexplained[cells.turned]).astype(np.float32))


def _lines(value: Float32, target: Float32, valid: NDArray[np.bool_], cells: Cells) -> tuple[Array, Array]:
    """Gain and offset, each (blocks,), of the least-squares line through the valid pixels of each block."""
    mean_value, mean_target = cells.mean(value, valid), cells.mean(target, valid)
    covariance = cells.mean(value * target, valid) - mean_value * mean_target
    variance = cells.mean(value * value, valid) - mean_value**2
    gain = np.where(variance > _NO_VARIANCE, covariance / np.maximum(variance, _NO_VARIANCE), 0.0)
    return gain, mean_target - gain * mean_value
