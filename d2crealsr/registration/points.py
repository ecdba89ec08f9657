"""Where registration starts from corresponding points that a person gave, instead of from SIFT.

People click with errors of a few pixels. A homography would turn such errors into a tilt that no camera has, so the
simplest model that explains the points is taken: a similarity, then an affine mapping, then a homography.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from d2crealsr.errors import SettingsError
from d2crealsr.imaging import geometry
from d2crealsr.registration.sift import Registration, is_plausible
from d2crealsr.settings import scale_advice
from d2crealsr.types import AlignmentFailure, Size, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d2crealsr.types import Array, Matrix

__all__ = ["FEWEST", "PointPairs", "checked_points", "outside", "points_problem", "start_from_points"]

PointPairs: TypeAlias = "tuple[tuple[float, float, float, float], ...]"
"""Corresponding points ``(hr_x, hr_y, lr_x, lr_y)``: pixel centres of the upright captures."""

FEWEST = 4
"""A homography has eight degrees of freedom, and a point pair determines two of them."""

_THINNEST = 0.05
"""Points count as lying on a line if they spread across it by less than this share of their spread along it."""

_CLICK_LR_PX = 3.0
"""A model explains the points if its error has at most this root mean square a coordinate and degree of freedom."""


def checked_points(points: Any) -> PointPairs:
    """Points that a caller gave, as numbers of Python.

    Raises
    ------
    SettingsError
        When they are not four finite numbers each.
    """
    try:
        table = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        table = np.empty((0, 0))
    if table.shape == (0,):
        return ()
    if table.ndim != 2 or table.shape[1] != 4 or not np.isfinite(table).all():
        got = f"an array of shape {points.shape}" if isinstance(points, np.ndarray) else f"{points!r:.80}"
        if table.ndim == 2 and table.shape[1] == 4:
            number = 1 + int(np.argmin(np.isfinite(table).all(axis=1)))
            got = f"{table[number - 1].tolist()} as point {number}"
        raise SettingsError(f"points: got {got}, expected finite numbers (hr_x, hr_y, lr_x, lr_y) for each point")
    return tuple((hr_x, hr_y, lr_x, lr_y) for hr_x, hr_y, lr_x, lr_y in table.tolist())


def points_problem(points: Sequence[Sequence[float]]) -> str:
    """Why points cannot determine a mapping, and what to do; empty if they can.

    Parameters
    ----------
    points : sequence of (hr_x, hr_y, lr_x, lr_y)
    """
    if len(points) < FEWEST:
        return f"got {len(points)} points, expected at least {FEWEST}; add more"
    table = np.array(points, dtype=np.float64)
    for side, part in (("HR", table[:, :2]), ("LR", table[:, 2:])):
        if len(np.unique(part, axis=0)) < len(part):
            return f"two points have the same position in {side}; remove one of them"
        if _on_a_line(part):
            return f"all points in {side}, or all but one, lie on a line; spread them over the card, near its corners"
    return ""


def _on_a_line(points: Array) -> bool:
    """Whether, without one of them, the points lie on a line. They then determine no homography."""
    for left_out in range(len(points)):
        rest = np.delete(points, left_out, axis=0)
        along, across = np.linalg.svd(rest - rest.mean(axis=0), compute_uv=False)
        if across < _THINNEST * along:
            return True
    return False


def outside(point: Sequence[float], hr_size: Size, lr_size: Size) -> str:
    """In which capture ``(hr_x, hr_y, lr_x, lr_y)`` lies outside, in words; empty if it is inside of both."""
    hr_x, hr_y, lr_x, lr_y = point
    for side, x, y, size in (("HR", hr_x, hr_y, hr_size), ("LR", lr_x, lr_y, lr_size)):
        if not (-0.5 <= x <= size.width - 0.5 and -0.5 <= y <= size.height - 0.5):
            return f"point ({x:g}, {y:g}) lies outside of the upright {side} capture, {size.width}x{size.height} pixels"
    return ""


def start_from_points(
    points: PointPairs, hr_size: Size, lr_size: Size, *, scale: int
) -> Registration | AlignmentFailure:
    """The mapping that corresponding points suggest, as a registration of one stage.

    Parameters
    ----------
    points : sequence of (hr_x, hr_y, lr_x, lr_y)
        Pixel centres of the upright captures, exact to a few LR px.
    hr_size, lr_size : Size
        Sizes of the captures.
    scale : int
        Nominal HR px per LR px.

    Returns
    -------
    Registration or AlignmentFailure
        The failure is ``points_do_not_fit`` if a point lies outside of its capture or if no camera can have caused the
        mapping, and ``scale_mismatch`` if its scale is far from the nominal one.

    Raises
    ------
    SettingsError
        When the points cannot determine a mapping.
    """
    if problem := points_problem(points):
        raise SettingsError(f"points: {problem}")
    for point in points:
        if where := outside(point, hr_size, lr_size):
            return AlignmentFailure(reason="points_do_not_fit", message=f"{where}; correct it in the file for --points")
    hr, lr = np.array(points, dtype=np.float64).reshape(-1, 2, 2).transpose(1, 0, 2)
    H = _fitted(hr, lr)
    effective = geometry.scale_effective(H, geometry.frame_centre(hr_size))
    if not is_plausible(H, hr_size, scale):
        if np.isfinite(effective) and is_plausible(H, hr_size, max(round(effective), 1)):
            return AlignmentFailure(reason="scale_mismatch", message=scale_advice(effective))
        message = "no camera can see HR where the points place it; check that each pair shows one spot, in this order"
        return AlignmentFailure(reason="points_do_not_fit", message=message)
    error = geometry.project(H, hr) - lr
    stage = Stage(
        iteration=1,
        stage="rough",
        H_hr_to_lr=H,
        scale_effective=effective,
        sigma_blur_hr_px=float(scale),
        n_matches=len(points),
        n_inliers=len(points),
        reprojection_rmse_lr_px=float(np.sqrt(np.mean(np.sum(error**2, axis=1)))),
    )
    return Registration(H, (stage,))


def _fitted(hr: Array, lr: Array) -> Matrix:
    """The simplest model that explains the points."""
    models: tuple[tuple[Callable[[Array, Array], Matrix], int], ...] = ((_similarity, 4), (_affine, 6))
    for model, parameters in models:
        H = model(hr, lr)
        freedom = lr.size - parameters
        if np.sum((geometry.project(H, hr) - lr) ** 2) <= freedom * _CLICK_LR_PX**2:
            return H
    return geometry.fitted_homography(hr, lr)


def _similarity(hr: Array, lr: Array) -> Matrix:
    """Least squares fit of a rotation, a magnification and a shift. In complex numbers this is ``lr = a·hr + b``."""
    z_hr, z_lr = hr @ [1, 1j], lr @ [1, 1j]
    a, b = np.linalg.lstsq(np.stack([z_hr, np.ones_like(z_hr)], axis=1), z_lr, rcond=None)[0]
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0, 0, 1.0]])


def _affine(hr: Array, lr: Array) -> Matrix:
    """Least squares fit of a linear mapping and a shift."""
    terms = np.linalg.lstsq(np.column_stack([hr, np.ones(len(hr))]), lr, rcond=None)[0]
    return np.vstack([terms.T, [0, 0, 1.0]])
