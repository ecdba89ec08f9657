"""How well can a homography between two captures be estimated at best? The Cramér–Rao bound of an ideal observer.

The observer knows the scene without noise, both point spread functions, the light and the demosaic; the only unknowns
are the homography's eight parameters, and the only noise is that of the LR sensor's own raw pixels. The HR capture,
blurred to LR's resolution, is used as the noise-free scene. No unbiased estimator can be better. JPEG, and everything
else that has to be estimated, make it worse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from d2crealsr import opencv
from d2crealsr.imaging import degrade, geometry
from d2crealsr.simulate.sensor import FULL_WELL, READ_NOISE
from d2crealsr.truth.mapping_error import crop_grid
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.simulate import Session
    from d2crealsr.types import Array, Crop, Image

__all__ = ["bound"]

_PIXEL_VARIANCE = 1 / 12
_INSET = 3.0
"""Blur widths that the observer keeps from the HR frame's border."""


def bound(hr: Image, session: Session, mapping: CaptureMapping, crop: Crop) -> float:
    """Square root of the crop mean of the trace of the least possible displacement covariance, in HR px.

    Parameters
    ----------
    hr : (H, W, 3) ndarray
        The HR capture.
    session : Session
        The numbers that were drawn for both shots.
    mapping : CaptureMapping
        The truth.
    crop : Crop
        Over which the bound is averaged; the observer uses all of LR that HR covers.
    """
    scale = geometry.scale_effective(mapping.H_hr_to_lr, geometry.frame_centre(mapping.hr_size))
    optics_lr = scale**2 * (session.lr.psf_sigma**2 + _PIXEL_VARIANCE)
    sigma = float(np.sqrt(max(optics_lr - session.hr.psf_sigma**2 - _PIXEL_VARIANCE, 1.0)))
    p_lr = _covered(mapping, _INSET * sigma)
    p_hr = mapping.lr_to_hr(p_lr)
    electrons, slope_x, slope_y = _seen(hr, session, sigma, p_lr, p_hr)
    unit = geometry.UnitFrame.of(mapping.hr_size)
    x, y = unit.of_points(p_hr.reshape(-1, 2)).T
    jacobian = np.einsum("na,nap->np", np.stack([slope_x, slope_y], axis=1), _moves(x, y)) * unit.length
    information = (jacobian / (electrons + READ_NOISE**2)[:, None]).T @ jacobian
    at_crop = _moves(*unit.of_points(mapping.lr_to_hr(crop_grid(crop))).T) * unit.length
    variance = np.einsum("nap,pq,naq->n", at_crop, np.linalg.pinv(information, hermitian=True), at_crop)
    return float(np.sqrt(variance.mean())) * session.scale / scale


def _covered(mapping: CaptureMapping, inset_hr_px: float) -> Array:
    """Centres of the LR pixels inside what HR covers, less a margin; (h, w, 2)."""
    outline = np.sort(mapping.hr_to_lr(geometry.corners(mapping.hr_size, inset=inset_hr_px)), axis=0)
    left, top = np.ceil(np.maximum(outline[1], 0)).astype(int)
    right, bottom = np.floor(np.minimum(outline[2], np.array(mapping.lr_size) - 1)).astype(int) + 1
    centres: Array = geometry.pixel_centres(Size(int(right - left), int(bottom - top))) + np.array([left, top])
    return centres


def _seen(hr: Image, session: Session, sigma: float, p_lr: Array, p_hr: Array) -> tuple[Array, Array, Array]:
    """Electrons of each raw LR pixel behind its colour filter, and their slopes per HR px; (N,) each."""
    source = degrade.reduced(hr, session.scale, "srgb")
    blurred = source.blurred(source.rgb, sigma)
    dx, dy, _ = opencv.derivatives(blurred)
    maps: list[Any] = [blurred, dx / source.factor, dy / source.factor]
    column, row = p_lr.reshape(-1, 2).astype(int).T
    filters = row % 2 + column % 2  # RGGB: red 0, green 1, blue 2
    light = FULL_WELL * session.lr.exposure / session.hr.exposure
    value, slope_x, slope_y = (
        light * source.at(channels, p_hr).reshape(-1, 3)[np.arange(len(filters)), filters].astype(np.float64)
        for channels in maps
    )
    unclipped = value < FULL_WELL
    return np.maximum(value, 0), slope_x * unclipped, slope_y * unclipped


def _moves(x: Array, y: Array) -> Array:
    """How the eight parameters of a homography move unit-frame points: (N, 2, 8)."""
    return geometry.homography_terms(x, y, x, y)
