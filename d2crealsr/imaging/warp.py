"""The single resampling of the sharp HR capture onto the HR grid of an LR crop."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np

from d2crealsr import opencv
from d2crealsr.imaging import geometry, photometry
from d2crealsr.imaging.placement import grid_to_lr
from d2crealsr.imaging.sampling import SPLINE_REACH, at_spline, spline_coefficients
from d2crealsr.types import Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2crealsr.imaging.estimate import Estimate
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.imaging.photometry import Photometry
    from d2crealsr.imaging.placement import Placement
    from d2crealsr.settings import Interpolation
    from d2crealsr.types import Array, Image

__all__ = ["warp_hr", "without_aliasing"]

_Kernel: TypeAlias = Literal["cubic", "lanczos4", "spline"]

_NODE_SPACING = 8
"""Distance in published px between exactly computed positions. Between them, lens and field are linear to .001 px."""

_STRIP_ROWS = 128
"""Number of published rows that are warped at a time."""

_LIT_ROWS = 16
"""Number of them whose brightness is matched at a time."""

_KERNEL_MARGIN = 4
"""HR px around the warped part that the interpolation kernel needs."""

_HARDLY_SHRINKS = 1.01
"""HR px per published px up to which no filter is applied. A camera has only noise beyond .495 cycles per px."""

_LOBES = 4
"""Number of lobes on each side of the low-pass filter that is applied before shrinking."""


def without_aliasing(linear: NDArray[np.float32], shrink: float) -> NDArray[np.float32]:
    """Remove the frequencies that an image smaller by ``shrink`` cannot represent, with a symmetric Lanczos filter.

    The image is returned unchanged if it shrinks by less than a hundredth or grows.
    """
    if shrink <= _HARDLY_SHRINKS:
        return linear
    k = np.arange(-_reach(shrink), _reach(shrink) + 1) / shrink
    kernel = np.sinc(k) * np.sinc(k / _LOBES) * (np.abs(k) < _LOBES)
    return opencv.separable(linear, (kernel / kernel.sum()).astype(np.float32))


def _reach(shrink: float) -> int:
    """Number of HR px on each side that the low-pass filter uses."""
    return int(np.ceil(_LOBES * shrink)) if shrink > _HARDLY_SHRINKS else 0


def warp_hr(hr: Image, estimate: Estimate, interpolation: Interpolation = "cubic") -> Image:
    """The published HR: linearised, warped once in float, matched to LR's brightness, encoded and rounded once.

    At scale 1 the cubic kernel is a spline: the captures may be shifted by the same fraction of a pixel everywhere, and
    OpenCV's cubic kernel displaces content by up to .05 px, depending on that fraction (ADR 0005).

    If HR has to shrink, frequencies that the published grid cannot represent are filtered out first.

    Parameters
    ----------
    hr : (H, W, 3) ndarray
        The sharp HR capture, uint8 or uint16.
    estimate : Estimate
        Where HR lies in LR, and how its brightness is matched. Its crop must keep the reach of the interpolation from
        HR's border. Chromatic aberration is corrected: red is read at ``c + (p_hr − c)·(1 + ca_k[0])``.
    interpolation : {"cubic", "lanczos4"}
        Kernel. ADR 0005 compares their cost and sharpness.

    Returns
    -------
    (scale·height, scale·width, 3) ndarray of ``hr``'s dtype.
    """
    whole = estimate.placement
    published = np.empty((whole.published_size.height, whole.published_size.width, 3), hr.dtype)
    step, shrink = max(1, _STRIP_ROWS // whole.scale), whole.shrink
    kernel: _Kernel = "spline" if whole.scale == 1 and interpolation == "cubic" else interpolation
    for top in range(0, whole.crop.height, step):
        strip = whole.rows(top, min(step, whole.crop.height - top))
        rows = slice(top * whole.scale, top * whole.scale + strip.published_size.height)
        published[rows] = _warped_strip(hr, replace(estimate, placement=strip), kernel, shrink)
    return opencv.as_image(published)


def _warped_strip(hr: Image, estimate: Estimate, kernel: _Kernel, shrink: float) -> Image:
    """:func:`warp_hr` for a few rows, which limits the memory for floats."""
    placement, light, ca_k = estimate.placement, estimate.light, estimate.ca_k
    mapping, size = placement.mapping, placement.published_size
    # 1. Positions in HR of every eighth published pixel, p_hr = distort_hr(H⁻¹·undistort_lr(p_lr)), for each colour.
    nodes = _nodes(placement)
    by_channel = [_magnified(nodes, mapping, k) for k in (ca_k[0], 0.0, ca_k[1])] if any(ca_k) else [nodes]
    # 2. The part of HR that is needed, in linear light, without frequencies that the published grid cannot represent.
    margin = _KERNEL_MARGIN + _reach(shrink) + (SPLINE_REACH if kernel == "spline" else 0)
    part, origin = _needed_part(hr, np.stack(by_channel), margin)
    linear = without_aliasing(photometry.to_linear(part, light.tone_of_hr), shrink)
    # 3. The single resampling: for each channel if colours differ; by the homography itself if there is no distortion.
    if any(ca_k):
        bright = np.empty((size.height, size.width, 3), np.float32)
        for channel, positions in enumerate(by_channel):
            p = _between_nodes(positions - origin, size)
            plane = np.ascontiguousarray(linear[..., channel])
            bright[..., channel] = _resampled(plane, p, kernel)
    elif mapping.is_planar and kernel != "spline":
        H_grid_to_part = geometry.compose(
            geometry.translation(-origin[0], -origin[1]),
            geometry.inverse(mapping.H_hr_to_lr),
            grid_to_lr(placement.crop, placement.scale),
        )
        bright = opencv.warp(linear, H_grid_to_part, size, kernel)
    else:
        p = _between_nodes(nodes - origin, size)
        bright = _resampled(linear, p, kernel)
    # 4. LR's brightness: gain·field·linear + offset, then the tone curve and one rounding.
    field = None
    if light.field_x or light.field_y or light.field_r2:
        frame = geometry.UnitFrame.of(mapping.hr_size).of_points(nodes)
        field = _between_nodes(light.field(*np.moveaxis(frame, -1, 0)), size)
    return _as_stored(bright, field, light, hr.dtype)


def _as_stored(
    bright: NDArray[np.float32], field: NDArray[np.float32] | None, light: Photometry, dtype: np.dtype[Any]
) -> Image:
    """Linear light at LR's brightness as stored values. It works on a few rows, which stay in the processor's cache.

    NumPy works along whole rows, with all their channels, because loops over three channels are ten times slower.
    """
    stored = np.empty(bright.shape, dtype)
    height, width, _ = bright.shape
    gain, offset = (np.tile(np.array(each, np.float32), width) for each in (light.gain, light.offset))
    for top in range(0, height, _LIT_ROWS):
        rows = slice(top, top + _LIT_ROWS)
        part = bright[rows].reshape(-1, 3 * width)
        part *= gain
        if field is not None:
            part *= opencv.threefold(field[rows]).reshape(part.shape)
        part += offset
        stored[rows] = photometry.quantised(part.reshape(-1, width, 3), light.tone, dtype)
    return opencv.as_image(stored)


def _resampled(image: NDArray[np.float32], p: NDArray[np.float32], kernel: _Kernel) -> NDArray[np.float32]:
    """An image at positions p (h, w, 2)."""
    if kernel == "spline":
        return at_spline(spline_coefficients(image), p[..., 0], p[..., 1])
    return cast("NDArray[np.float32]", opencv.remap(image, p[..., 0], p[..., 1], kernel))


def _nodes(placement: Placement) -> Array:
    """Positions in HR of the centres of 8 × 8 published pixels, and of a ring around them, (rows, columns, 2)."""
    columns, rows = (side // _NODE_SPACING + 3 for side in placement.published_size)
    return placement.in_hr(
        geometry.project(geometry.scaling(_NODE_SPACING), geometry.pixel_centres(Size(columns, rows)) - 1)
    )


def _magnified(p_hr: Array, mapping: CaptureMapping, k: float) -> Array:
    """Positions in HR of a colour that is magnified by 1 + k, given the positions of green."""
    centre = geometry.frame_centre(mapping.hr_size)
    magnified: Array = centre + (p_hr - centre) * (1 + k)
    return magnified


def _between_nodes(values: Array, size: Size) -> NDArray[np.float32]:
    """Values at every pixel by linear interpolation between those at the nodes."""
    rows, columns = values.shape[:2]
    wider = Size(columns * _NODE_SPACING, rows * _NODE_SPACING)
    dense: NDArray[np.float32] = opencv.resize(values.astype(np.float32), wider, "linear")
    return dense[_NODE_SPACING : _NODE_SPACING + size.height, _NODE_SPACING : _NODE_SPACING + size.width]


def _needed_part(hr: Image, nodes: Array, margin: int) -> tuple[Image, Array]:
    """The part of HR that contains the nodes and a margin for the kernels, and its origin (x, y) in the capture."""
    p = nodes.reshape(-1, 2)
    left, top = np.maximum(np.floor(p.min(axis=0)).astype(int) - margin, 0)
    right, bottom = np.ceil(p.max(axis=0)).astype(int) + margin + 1
    return opencv.as_image(hr[top:bottom, left:right]), np.array([left, top], dtype=np.float64)
