"""The smooth part of a residual field, which another affine correction could remove, and the rest that it would leave.

A constant field is a bias. An affine field shows that the estimate has not converged. The rest after removing both has
other causes: lens, bent paper, parallax or noise of the measurement.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from d2crealsr.imaging import geometry

if TYPE_CHECKING:
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, Crop, Matrix, ResidualField

__all__ = ["SmoothPart", "fit_smooth"]

_TERMS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class SmoothPart:
    """Constant and affine part of a residual field.

    Attributes
    ----------
    constant : (2,) ndarray
        Value of the smooth part at the centre of the crop, and so its mean over the crop, (x, y) in HR px.
    affine : (2, 2) ndarray
        Its derivative: ``shift = constant + affine @ (point_lr − centre)``, HR px per LR px.
    affine_hr_px : float
        Root mean square length of the affine part over the crop.
    error_hr_px : float
        Standard error of both parts together over the crop, estimated from the scatter of the rest.
    centre : (2,) ndarray
        Centre of the crop, in LR px.
    rest : ResidualField
        The field without both parts.
    """

    constant: Array
    affine: Matrix
    affine_hr_px: float
    error_hr_px: float
    centre: Array
    rest: ResidualField

    @property
    def constant_hr_px(self) -> float:
        """Length of the constant part."""
        return float(np.hypot(*self.constant))

    @property
    def hr_px(self) -> float:
        """Root mean square length of constant and affine part together, over the crop."""
        return float(np.hypot(self.constant_hr_px, self.affine_hr_px))

    def taken_out(self, mapping: CaptureMapping) -> CaptureMapping:
        """The given mapping, corrected so that it would not leave this smooth part."""
        displacement = np.zeros((3, 3))
        displacement[:2, :2] = self.affine
        displacement[:2, 2] = self.constant - self.affine @ self.centre
        H_lr_to_hr = geometry.inverse(mapping.H_hr_to_lr) + displacement
        return dataclasses.replace(mapping, H_hr_to_lr=geometry.inverse(H_lr_to_hr))


def fit_smooth(field: ResidualField, crop: Crop) -> SmoothPart:
    """Fit a constant and an affine part to a residual field by least squares, blocks weighted by their confidence.

    Parameters
    ----------
    field : ResidualField
    crop : Crop
        The part of the LR image that the field covers. Lengths are root mean squares over it.

    Returns
    -------
    SmoothPart
        All values are nan if too few blocks have texture to determine an affine field.

    Examples
    --------
    >>> from d2crealsr.types import Crop, ResidualField
    >>> points = np.array([[0, 0], [8, 0], [0, 8], [8, 8.0]])
    >>> shifts = 0.3 + 0.01 * (points - 4)
    >>> field = ResidualField(points_lr=points, shifts_hr_px=shifts, weights=np.ones(4), zncc=np.ones(4))
    >>> fit_smooth(field, Crop(0, 0, 9, 9)).constant.round(3)
    array([0.3, 0.3])
    """
    centre = np.array([crop.x + (crop.width - 1) / 2, crop.y + (crop.height - 1) / 2])
    half = np.array([max(crop.width, 2), max(crop.height, 2)]) / 2
    design = np.concatenate([np.ones((len(field.points_lr), 1)), (field.points_lr - centre) / half], axis=1)
    root = np.sqrt(field.weights)[:, None]
    solution, _, rank, _ = np.linalg.lstsq(design * root, field.shifts_hr_px * root, rcond=1e-6)
    if rank < _TERMS:
        solution = np.full((_TERMS, 2), np.nan)
    affine = (solution[1:] / half[:, None]).T
    # x and y are independent and even over the crop, whose variance is (side² − 1)/12 pixel by pixel.
    variance = (np.array([crop.width, crop.height], dtype=np.float64) ** 2 - 1) / 12
    rest = field.shifts_hr_px - design @ solution
    # Three terms, each as accurate as a weighted mean of the blocks, if these are spread over the whole crop.
    scatter = np.sum(field.weights**2 * np.sum(rest**2, axis=1))
    error = float(np.sqrt(_TERMS * scatter) / field.weights.sum()) if rank == _TERMS else float("nan")
    return SmoothPart(
        constant=solution[0],
        affine=affine,
        affine_hr_px=float(np.sqrt(np.sum(affine**2 * variance))),
        error_hr_px=error,
        centre=centre,
        rest=dataclasses.replace(field, shifts_hr_px=rest),
    )
