"""Alignment with OpenCV alone, as its tutorials do it. These peers are part of every run.

Each recipe takes the two captures and the scale, RGB, and returns the homography from HR to LR, or None. OpenCV is
called directly here, because a recipe uses OpenCV's defaults, which the module of this package avoids.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import cv2
import numpy as np

from d2crealsr.imaging import geometry, photometry

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from d2crealsr.types import Image, Matrix

__all__ = ["RECIPES", "Window", "reduced_luma", "search_window"]

_RATIO = 0.75
_RANSAC_LR_PX = 3.0
"""OpenCV's own default threshold."""

_REDUCTION = 4
"""HR is reduced by this for the intensity-based recipes, and LR enlarged by 2: about one grid at ×8."""

_SIGMA_HR_PX = 7.0

_LEVELS = np.float32(255)
"""What ECC gets white as: its multi-scale form takes images on [0, 1] for singular."""


class Window(NamedTuple):
    """The middle of LR, twice the size HR should have there, and where it begins."""

    image: Image
    x: int
    y: int


def search_window(hr: Image, lr: Image, scale: int) -> Window:
    """The part of LR that every recipe looks in."""
    height, width = (min(2 * side // scale, limit) for side, limit in zip(hr.shape[:2], lr.shape[:2], strict=True))
    x, y = (lr.shape[1] - width) // 2, (lr.shape[0] - height) // 2
    return Window(cast("Image", np.ascontiguousarray(lr[y : y + height, x : x + width])), x, y)


def _sift(hr: Image, lr: Image, scale: int, *, precise: bool, sigma_hr_px: float = 0.0) -> Matrix | None:
    """SIFT, brute-force matches with the ratio test, findHomography with RANSAC."""
    window = search_window(hr, lr, scale)
    detector: Any = vars(cv2)["SIFT_create"](enable_precise_upscale=precise)
    grey_hr, grey_lr = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (hr, window.image))
    if sigma_hr_px:
        grey_hr = cv2.GaussianBlur(grey_hr, (0, 0), sigma_hr_px)
    (points_hr, about_hr), (points_lr, about_lr) = (detector.detectAndCompute(g, None) for g in (grey_hr, grey_lr))
    if about_hr is None or about_lr is None or len(points_lr) < 2:
        return None
    # from the fewer LR keypoints to the many of HR
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(about_lr, about_hr, k=2)
    good = [pair[0] for pair in pairs if len(pair) == 2 and pair[0].distance < _RATIO * pair[1].distance]
    if len(good) < 4:
        return None
    source = np.array([points_hr[m.trainIdx].pt for m in good])
    target = np.array([points_lr[m.queryIdx].pt for m in good])
    H: Any = cv2.findHomography(source, target, cv2.RANSAC, _RANSAC_LR_PX)[0]
    if H is None:
        return None
    return geometry.compose(geometry.translation(window.x, window.y), np.asarray(H, dtype=np.float64))


def _sift_blurred(hr: Image, lr: Image, scale: int) -> Matrix | None:
    return _sift(hr, lr, scale, precise=True, sigma_hr_px=scale / 2)


def _luma(image: Image, *, linear: bool) -> NDArray[np.float32]:
    light = photometry.to_linear(image, "srgb") if linear else (image / 255).astype(np.float32)
    return photometry.luma(light)


def reduced_luma(hr: Image, *, linear: bool) -> NDArray[np.float32]:
    """HR blurred to about LR's resolution and averaged over 4×4 px, luma in linear light or as encoded."""
    blurred = cv2.GaussianBlur(_luma(hr, linear=linear), (0, 0), _SIGMA_HR_PX)
    size = (hr.shape[1] // _REDUCTION, hr.shape[0] // _REDUCTION)
    return np.asarray(cv2.resize(blurred, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


class _Pair(NamedTuple):
    """HR reduced, and the part of LR×2 that an estimate says HR covers, with the way between them."""

    hr: NDArray[np.float32]
    lr: NDArray[np.float32]
    H_lr2_to_hr4: Matrix
    H_lr_to_lr2: Matrix


def _pair(hr: Image, lr: Image, H_hr_to_lr: Matrix, *, linear: bool) -> _Pair:
    inset = 4 * _SIGMA_HR_PX
    height, width = hr.shape[:2]
    corners = np.array(
        [[inset, inset], [width - inset, inset], [width - inset, height - inset], [inset, height - inset]]
    )
    outline = np.sort(geometry.project(H_hr_to_lr, corners), axis=0)
    left, top = np.ceil(outline[1]).astype(int).clip(0)
    right, bottom = np.floor(outline[2]).astype(int)
    part = lr[top:bottom, left:right]
    luma = cv2.resize(_luma(part, linear=linear), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    H_lr_to_lr2 = geometry.compose(geometry.scaling(2), geometry.translation(-left, -top))
    H_lr2_to_hr4 = geometry.compose(
        geometry.scaling(1 / _REDUCTION), geometry.inverse(H_hr_to_lr), geometry.inverse(H_lr_to_lr2)
    )
    return _Pair(reduced_luma(hr, linear=linear), np.asarray(luma, np.float32), H_lr2_to_hr4, H_lr_to_lr2)


def _from_pair(pair: _Pair, H_lr2_to_hr4: Matrix) -> Matrix:
    H_lr_to_hr = geometry.compose(geometry.scaling(_REDUCTION), H_lr2_to_hr4, pair.H_lr_to_lr2)
    return geometry.inverse(H_lr_to_hr)


def _ecc(hr: Image, lr: Image, scale: int, *, linear: bool, multiscale: bool = False) -> Matrix | None:
    """findTransformECC from the blurred SIFT estimate, over all that HR covers."""
    start = _sift_blurred(hr, lr, scale)
    if start is None:
        return None
    pair = _pair(hr, lr, start, linear=linear)
    warp: Any = pair.H_lr2_to_hr4.astype(np.float32)
    images = pair.lr * _LEVELS, pair.hr * _LEVELS
    opencv: Any = cv2
    try:
        if multiscale:
            parameters = opencv.ECCParameters()
            parameters.motionType, parameters.gaussFiltSize = cv2.MOTION_HOMOGRAPHY, 1
            warp = opencv.findTransformECCMultiScale(*images, warp, parameters)[1]
        else:
            stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-7)
            warp = opencv.findTransformECC(*images, warp, cv2.MOTION_HOMOGRAPHY, stop, None, 1)[1]
    except (cv2.error, AttributeError):  # does not converge; OpenCV 4 has no multi-scale form
        return None
    return _from_pair(pair, np.asarray(warp, dtype=np.float64))


def _phase(hr: Image, lr: Image, scale: int) -> Matrix | None:
    """One shift by phaseCorrelate for what the blurred SIFT estimate leaves: it has nothing else to offer."""
    start = _sift_blurred(hr, lr, scale)
    if start is None:
        return None
    pair = _pair(hr, lr, start, linear=True)
    size = (pair.lr.shape[1], pair.lr.shape[0])
    seen = cv2.warpPerspective(pair.hr, pair.H_lr2_to_hr4, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    window = cv2.createHanningWindow(size, cv2.CV_32F)
    # copies: phaseCorrelate may multiply the window into its input
    (x, y), _ = cv2.phaseCorrelate(seen.copy(), pair.lr.copy(), window)
    return _from_pair(pair, geometry.compose(pair.H_lr2_to_hr4, geometry.translation(-x, -y)))


RECIPES: dict[str, Callable[[Image, Image, int], Matrix | None]] = {
    "OpenCV SIFT, default flag": partial(_sift, precise=False),
    "OpenCV SIFT, precise upscale": partial(_sift, precise=True),
    "OpenCV SIFT precise, HR blurred": _sift_blurred,
    "… + phaseCorrelate": _phase,
    "… + findTransformECC, encoded": partial(_ecc, linear=False),
    "… + findTransformECC, linear light": partial(_ecc, linear=True),
    "… + ECC multi-scale, linear light": partial(_ecc, linear=True, multiscale=True),
}
"""Every recipe by the name it has in the table; those with … start from the line above them."""
