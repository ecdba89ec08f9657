"""The one resampling: the sharp HR capture onto the HR grid of an LR crop."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from d2crealsr import opencv
from d2crealsr.imaging import geometry, photometry
from d2crealsr.types import Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2crealsr.imaging.estimate import Estimate
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.imaging.placement import Placement
    from d2crealsr.settings import Interpolation
    from d2crealsr.types import Array, Image

__all__ = ["warp_hr", "without_aliasing"]

_NODE_SPACING = 8
"""Published px between positions that are computed exactly; between them lens and field are linear to .001 px."""

_STRIP_ROWS = 128
"""Published rows that are warped at a time."""

_KERNEL_MARGIN = 4
"""HR px kept around the part that is warped, for the interpolation kernel."""

_HARDLY_SHRINKS = 1.01
"""HR px per published px up to which nothing is filtered: what a camera holds beyond .495 cycles per px is noise."""

_LOBES = 4
"""Of the low pass before shrinking, on either side."""


def without_aliasing(linear: NDArray[np.float32], shrink: float) -> NDArray[np.float32]:
    """An image without the frequencies that one smaller by ``shrink`` cannot hold: a Lanczos low pass, symmetric.

    It leaves the image as it is where that shrinks by less than a hundredth, or grows.
    """
    if shrink <= _HARDLY_SHRINKS:
        return linear
    k = np.arange(-_reach(shrink), _reach(shrink) + 1) / shrink
    kernel = np.sinc(k) * np.sinc(k / _LOBES) * (np.abs(k) < _LOBES)
    return opencv.separable(linear, (kernel / kernel.sum()).astype(np.float32))


def _reach(shrink: float) -> int:
    """HR px on either side that the low pass looks at."""
    return int(np.ceil(_LOBES * shrink)) if shrink > _HARDLY_SHRINKS else 0


def warp_hr(hr: Image, estimate: Estimate, interpolation: Interpolation = "cubic") -> Image:
    """The published HR: linearised, warped once in float, brought to LR's brightness, encoded and rounded once.

    Where HR has to shrink, what the published grid cannot hold is filtered out first.

    Parameters
    ----------
    hr : (H, W, 3) ndarray
        The sharp HR capture, uint8 or uint16.
    estimate : Estimate
        Where HR lies in LR and in what light. Its crop must lie inside HR by the interpolation's reach; the colours of
        its lens are undone: red is read at ``c + (p_hr − c)·(1 + ca_k[0])``.
    interpolation : {"cubic", "lanczos4"}
        Kernel; ADR 0005 has what each costs and keeps.

    Returns
    -------
    (scale·height, scale·width, 3) ndarray of ``hr``'s dtype.
    """
    whole = estimate.placement
    published = np.empty((whole.published_size.height, whole.published_size.width, 3), hr.dtype)
    step, shrink = max(1, _STRIP_ROWS // whole.scale), whole.shrink
    for top in range(0, whole.crop.height, step):
        strip = whole.rows(top, min(step, whole.crop.height - top))
        rows = slice(top * whole.scale, top * whole.scale + strip.published_size.height)
        published[rows] = _warped_strip(hr, replace(estimate, placement=strip), interpolation, shrink)
    return opencv.as_image(published)


def _warped_strip(hr: Image, estimate: Estimate, interpolation: Interpolation, shrink: float) -> Image:
    """:func:`warp_hr` of a few rows, so that what is held in float stays small."""
    placement, light, ca_k = estimate.placement, estimate.light, estimate.ca_k
    mapping, size = placement.mapping, placement.published_size
    # 1. Where every eighth published pixel comes from: p_hr = distort_hr(H⁻¹·undistort_lr(p_lr)), for each colour.
    nodes = _nodes(placement)
    by_channel = [_magnified(nodes, mapping, k) for k in (ca_k[0], 0.0, ca_k[1])] if any(ca_k) else [nodes]
    # 2. The part of HR that is needed, in linear light, without what the published grid cannot hold.
    part, origin = _needed_part(hr, np.stack(by_channel), _KERNEL_MARGIN + _reach(shrink))
    linear = without_aliasing(photometry.to_linear(part, light.tone), shrink)
    # 3. The one resampling: channel by channel where colours differ, by the homography itself where no lens bends.
    if any(ca_k):
        bright = np.empty((size.height, size.width, 3), np.float32)
        for channel, positions in enumerate(by_channel):
            p = _between_nodes(positions - origin, size)
            plane = np.ascontiguousarray(linear[..., channel])
            bright[..., channel] = opencv.remap(plane, p[..., 0], p[..., 1], interpolation)
    elif mapping.is_planar:
        H_grid_to_part = geometry.compose(
            geometry.translation(-origin[0], -origin[1]), geometry.inverse(mapping.H_hr_to_lr), placement.grid_to_lr
        )
        bright = opencv.warp(linear, H_grid_to_part, size, interpolation)
    else:
        p = _between_nodes(nodes - origin, size)
        bright = opencv.remap(linear, p[..., 0], p[..., 1], interpolation)
    # 4. LR's brightness: gain·field·linear + offset, then the tone curve and one rounding.
    bright *= np.array(light.gain, np.float32)
    if light.field_x or light.field_y or light.field_r2:
        frame = geometry.UnitFrame.of(mapping.hr_size).of_points(nodes)
        bright *= _between_nodes(light.field(*np.moveaxis(frame, -1, 0)), size)[..., None]
    bright += np.array(light.offset, np.float32)
    return photometry.quantised(bright, light.tone, hr.dtype)


def _nodes(placement: Placement) -> Array:
    """Positions in HR of every eighth published pixel, (rows, columns, 2), up to the last pixel and beyond."""
    columns, rows = (side // _NODE_SPACING + 2 for side in placement.published_size)
    return placement.in_hr(geometry.pixel_centres(Size(columns, rows)) * _NODE_SPACING)


def _magnified(p_hr: Array, mapping: CaptureMapping, k: float) -> Array:
    """Where a colour that is magnified by 1 + k lies in HR, from where green does."""
    centre = geometry.frame_centre(mapping.hr_size)
    magnified: Array = centre + (p_hr - centre) * (1 + k)
    return magnified


def _between_nodes(values: Array, size: Size) -> NDArray[np.float32]:
    """Values at every pixel from those at the nodes, linearly."""
    H_pixel_to_node = np.diag([1 / _NODE_SPACING, 1 / _NODE_SPACING, 1.0])
    dense: NDArray[np.float32] = opencv.warp(values.astype(np.float32), H_pixel_to_node, size, "linear")
    return dense


def _needed_part(hr: Image, nodes: Array, margin: int) -> tuple[Image, Array]:
    """The part of HR that nodes lie in, with room for the kernels, and its origin (x, y) in the capture."""
    p = nodes.reshape(-1, 2)
    left, top = np.maximum(np.floor(p.min(axis=0)).astype(int) - margin, 0)
    right, bottom = np.ceil(p.max(axis=0)).astype(int) + margin + 1
    return opencv.as_image(hr[top:bottom, left:right]), np.array([left, top], dtype=np.float64)
