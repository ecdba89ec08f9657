"""Check whether two images show the same content, before their alignment is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.audit.cells import Cells
from d2crealsr.imaging import degrade

if TYPE_CHECKING:
    from d2crealsr.types import Array, Crop, ResidualField

__all__ = ["Likeness", "compare"]

Float32 = NDArray[np.float32]
Mask = NDArray[np.bool_]

_FINE, _COARSE = 1.5, 6.0
"""Detail is the difference of two Gaussians of these σ, in LR px: coarser than noise, finer than illumination."""
_NOISE_IN_BAND = 0.17
"""Standard deviation of unit white noise after that filter."""
_ROUNDING = 0.3 / 255
"""Smallest noise that is assumed: that of rounding to 8 bits."""
_QUIET_SHARE = 25
"""The noise of an image is this percentile of its blocks' noise. In the other blocks texture may look like noise."""
_STRONG = 0.5
"""Detail of a block, divided by that of the whole image, from which on the detail counts as strong."""
_UNLIKE = 0.5
"""Correlation below which a block with strong detail shows something else."""
_FURTHEST = 0.25
"""Largest shift that is tried, as a share of each side."""


class Likeness(NamedTuple):
    """Similarity of LR and the prediction from HR.

    Attributes
    ----------
    contrast : float
        Detail in LR divided by noise in LR; about 1 if there is only noise.
    unlike : float
        Share, 0 … 1, of the blocks in which the two do not correlate, among blocks in which either has strong detail.
    shift_lr_px : (2,) ndarray
        Whole-pixel shift (x, y) of HR at which the two are most similar: where HR has the content minus where LR has
        it.
    correlation : float
        Correlation of their detail after removal of that shift, −1 … 1.
    """

    contrast: float
    unlike: float
    shift_lr_px: Array
    correlation: float


def compare(predicted: Float32, observed: Float32, valid: Mask, field: ResidualField, crop: Crop) -> Likeness:
    """Compare what HR predicts with what LR shows.

    Parameters
    ----------
    predicted, observed : (crop.height, crop.width) ndarray
        Encoded luma.
    valid : (crop.height, crop.width) ndarray
        False where LR is clipped.
    field : ResidualField
        The residual field of the two, whose blocks are counted.
    crop : Crop
    """
    cells = Cells.of(field, crop)
    details = tuple(np.where(valid, _detail(image), 0).astype(np.float32) for image in (predicted, observed))
    strength = [np.sqrt(cells.mean(detail**2, valid)) for detail in details]
    overall = [float(np.sqrt(np.mean(part**2))) for part in strength]
    strong = np.any([part > _STRONG * whole for part, whole in zip(strength, overall, strict=True)], axis=0)
    shift = _best_shift(details[0], details[1])
    return Likeness(
        contrast=overall[1] / (_NOISE_IN_BAND * _noise(observed, valid, cells)),
        unlike=float(np.mean(field.zncc[strong] < _UNLIKE)) if strong.any() else 0.0,
        shift_lr_px=shift.astype(np.float64),
        correlation=_overlap_correlation(details[0], details[1], shift),
    )


def _detail(image: Float32) -> Float32:
    return opencv.blur(image, _FINE) - opencv.blur(image, _COARSE)


def _noise(image: Float32, valid: Mask, cells: Cells) -> float:
    """Standard deviation of an image's noise (Immerkær 1996), from its blocks with the least noise."""
    second = image[:, :-2] - 2 * image[:, 1:-1] + image[:, 2:]
    fine = np.zeros_like(image)
    fine[1:-1, 1:-1] = (second[:-2] - 2 * second[1:-1] + second[2:]) / 6
    quiet = np.percentile(np.sqrt(cells.mean(fine**2, valid)), _QUIET_SHARE)
    return max(float(quiet), _ROUNDING)


def _best_shift(predicted: Float32, observed: Float32) -> NDArray[np.intp]:
    """Whole pixels (x, y) by which the content in ``predicted`` is further right and down: peak of the correlation."""
    height, width = predicted.shape
    size = (2 * height, 2 * width)  # padded, so that shifts do not wrap around
    product = np.fft.rfft2(predicted, size) * np.conj(np.fft.rfft2(observed, size))
    correlation = np.fft.irfft2(product, size)
    reach_x, reach_y = int(width * _FURTHEST), int(height * _FURTHEST)
    near = np.roll(correlation, (reach_y, reach_x), axis=(0, 1))[: 2 * reach_y + 1, : 2 * reach_x + 1]
    y, x = np.unravel_index(int(np.argmax(near)), near.shape)
    return np.array([x - reach_x, y - reach_y], dtype=np.intp)


def _overlap_correlation(predicted: Float32, observed: Float32, shift: NDArray[np.intp]) -> float:
    (x, y), (height, width) = (int(part) for part in shift), predicted.shape
    moved = predicted[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)]
    still = observed[max(-y, 0) : height - max(y, 0), max(-x, 0) : width - max(x, 0)]
    return degrade.zncc(moved, still)
