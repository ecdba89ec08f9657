"""Measure how HR lies on LR, from the published position or, where that fails, from the best coarse position."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from d2crealsr.audit import likeness
from d2crealsr.audit.smooth import fit_smooth
from d2crealsr.imaging import geometry
from d2crealsr.imaging.comparison import LrCrop
from d2crealsr.types import Crop

if TYPE_CHECKING:
    from d2crealsr.audit.likeness import Likeness
    from d2crealsr.imaging.comparison import Look
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, Image, ResidualField

__all__ = ["MIN_WEIGHT", "TONE", "Measurement", "measure_placement"]

TONE = "srgb"
"""Tone curve that is assumed of both images."""
MIN_WEIGHT = 8.0
"""Smallest sum of the blocks' weights from which the six numbers of an affine field are fitted."""
_HARMLESS_LR_PX = 0.1
"""Smooth part up to which blur and brightness are estimated well enough without removing it first."""
_MOVES = 2
"""How often the start is moved. HR looks blurred before the first move, which may therefore miss by a pixel."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """How HR lies on the part of LR that it shows, measured from a start position.

    Attributes
    ----------
    lr : LrCrop
        The part of LR that HR shows if it lies at the start position.
    look : Look
        HR as LR's camera would have developed it, fitted where HR lies.
    start : CaptureMapping
        The start position.
    start_lr_px : (2,) ndarray
        Whole-pixel shift (x, y) of HR at the start position against its published position, in LR px.
    in_place : CaptureMapping
        Where HR lies: the start position without the smooth part of the residuals.
    from_start : ResidualField
        Residuals against the start position.
    alike : Likeness
        Similarity of LR and HR at the start position.
    """

    lr: LrCrop
    look: Look
    start: CaptureMapping
    start_lr_px: Array
    in_place: CaptureMapping
    from_start: ResidualField
    alike: Likeness

    @property
    def weight(self) -> float:
        """Sum of the blocks' weights."""
        return float(self.from_start.weights.sum())

    @property
    def field(self) -> ResidualField:
        """Residuals against the published position."""
        if not self.start_lr_px.any():
            return self.from_start
        return replace(self.from_start, shifts_hr_px=self.from_start.shifts_hr_px + self.lr.scale * self.start_lr_px)

    @property
    def coarse_lr_px(self) -> Array:
        """Whole-pixel shift (x, y) of HR at which the two are most similar, (2,), in LR px."""
        return self.start_lr_px + self.alike.shift_lr_px


def measure_placement(lr: Image, source: LinearReduced, published: CaptureMapping, scale: int) -> Measurement:
    """Measure how HR lies on LR.

    A displaced HR looks blurred and of other brightness, and blocks measure only small shifts. Where they fail at the
    published position, the measurement therefore starts again from the coarse shift of the whole image. It counts only
    if the blocks have enough weight there: a wrong coarse shift, as of other content, leaves them none.

    Parameters
    ----------
    lr : (h, w, 3) ndarray of uint8 or uint16
    source : LinearReduced
        HR in linear light.
    published : CaptureMapping
        The mapping that the sizes of the pair imply.
    scale : int

    Returns
    -------
    Measurement
        From the published position, unless only the coarse shift leads to enough weight.
    """
    first = found = _measured_from(np.zeros(2), lr, source, published, scale)
    for _ in range(_MOVES):
        if found.weight >= MIN_WEIGHT or not found.alike.shift_lr_px.any():
            break
        found = _measured_from(found.coarse_lr_px, lr, source, published, scale)
    return found if found.weight >= MIN_WEIGHT else first


def _measured_from(
    start_lr_px: Array, lr: Image, source: LinearReduced, published: CaptureMapping, scale: int
) -> Measurement:
    whole = Crop(0, 0, lr.shape[1], lr.shape[0])
    crop, start = _shown(whole, start_lr_px), _moved(published, start_lr_px, scale)
    in_place = start
    lr_crop, look = LrCrop.of(lr, crop, TONE, scale=scale).with_look(source, start)
    field = lr_crop.residuals(look, start)
    smooth = fit_smooth(field, whole)
    if field.weights.sum() >= MIN_WEIGHT and smooth.hr_px > _HARMLESS_LR_PX * scale:
        # A displaced HR looks blurred. So estimate blur and brightness at its real position, then measure the shift.
        in_place = smooth.taken_out(start)
        lr_crop, look = lr_crop.with_look(source, in_place)
        field = lr_crop.residuals(look, start)
    alike = likeness.compare(look.through(start, lr_crop.positions), lr_crop.encoded, lr_crop.trusted, field, crop)
    return Measurement(
        lr=lr_crop,
        look=look,
        start=start,
        start_lr_px=start_lr_px,
        in_place=in_place,
        from_start=field,
        alike=alike,
    )


def _shown(whole: Crop, shift_lr_px: Array) -> Crop:
    """The part of LR that HR still shows after a shift of whole LR px."""
    x, y = (int(part) for part in shift_lr_px)
    return Crop(max(-x, 0), max(-y, 0), whole.width - abs(x), whole.height - abs(y))


def _moved(published: CaptureMapping, shift_lr_px: Array, scale: int) -> CaptureMapping:
    """The mapping under which HR has the content further right and down by a shift in LR px."""
    if not shift_lr_px.any():
        return published
    back = geometry.translation(*(-scale * shift_lr_px))
    return replace(published, H_hr_to_lr=geometry.compose(published.H_hr_to_lr, back))
