"""The one resampling: the sharp HR capture onto the HR grid of an LR crop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from d2crealsr import opencv
from d2crealsr.imaging import geometry, photometry
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.settings import Interpolation
    from d2crealsr.types import Array, Image, Matrix, Photometry

__all__ = ["grid_to_lr", "published_positions", "shrinks_by", "warp_hr", "without_aliasing"]

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


def grid_to_lr(crop: Crop, scale: int) -> Matrix:
    """Published HR pixel centres → LR capture: ``p_lr = (x0 + (u + .5)/s − .5, y0 + (v + .5)/s − .5)``.

    Examples
    --------
    The middle of the first LR pixel of a crop at (100, 50) lies between HR pixels 3 and 4:

    >>> from d2crealsr.types import Crop
    >>> geometry.project(grid_to_lr(Crop(100, 50, 10, 10), 8), np.array([3.5, 3.5]))
    array([100.,  50.])
    """
    return geometry.compose(geometry.translation(crop.x, crop.y), geometry.inverse(geometry.scaling(scale)))


def published_positions(points: Array, mapping: CaptureMapping, crop: Crop, scale: int) -> Array:
    """Where in the HR capture the published HR pixels (u, v) come from. Points and result are (..., 2), in px."""
    return mapping.lr_to_hr(geometry.project(grid_to_lr(crop, scale), points))


def shrinks_by(mapping: CaptureMapping, crop: Crop, scale: int) -> float:
    """HR capture px per published px at the crop's centre; above 1 where HR has to shrink."""
    middle = (np.array([crop.width, crop.height]) * scale - 1) / 2
    at_x, at_y = (
        published_positions(middle + half, mapping, crop, scale)
        - published_positions(middle - half, mapping, crop, scale)
        for half in np.eye(2) / 2
    )
    return float(np.sqrt(abs(at_x[0] * at_y[1] - at_x[1] * at_y[0])))


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


def warp_hr(
    hr: Image,
    mapping: CaptureMapping,
    crop: Crop,
    scale: int,
    light: Photometry,
    interpolation: Interpolation = "cubic",
    *,
    ca_k: tuple[float, float] = (0.0, 0.0),
) -> Image:
    """The published HR: linearised, warped once in float, brought to LR's brightness, encoded and rounded once.

    Where HR has to shrink, what the published grid cannot hold is filtered out first.

    Parameters
    ----------
    hr : (H, W, 3) ndarray
        The sharp HR capture, uint8 or uint16.
    mapping : CaptureMapping
        How the captures lie on each other.
    crop : Crop
        What is published, in LR px; it must lie inside HR by the interpolation's reach.
    scale : int
        HR px per LR px of the published pair.
    light : Photometry
        Tone curve, gain, offset and illumination field.
    interpolation : {"cubic", "lanczos4"}
        Kernel; ADR 0005 has what each costs and keeps.
    ca_k : tuple of float
        Magnification of red and blue over green in the HR capture, which is undone: red is read at
        ``c + (p_hr − c)·(1 + ca_k[0])``.

    Returns
    -------
    (scale·height, scale·width, 3) ndarray of ``hr``'s dtype.
    """
    published = np.empty((crop.height * scale, crop.width * scale, 3), hr.dtype)
    step, shrink = max(1, _STRIP_ROWS // scale), shrinks_by(mapping, crop, scale)
    for top in range(0, crop.height, step):
        strip = Crop(crop.x, crop.y + top, crop.width, min(step, crop.height - top))
        rows = slice(top * scale, (top + strip.height) * scale)
        published[rows] = _warped_strip(hr, mapping, strip, scale, light, interpolation, ca_k, shrink)
    return opencv.as_image(published)


def _warped_strip(
    hr: Image,
    mapping: CaptureMapping,
    crop: Crop,
    scale: int,
    light: Photometry,
    interpolation: Interpolation,
    ca_k: tuple[float, float],
    shrink: float,
) -> Image:
    """:func:`warp_hr` of a few rows, so that what is held in float stays small."""
    size = Size(crop.width * scale, crop.height * scale)
    nodes = _nodes(size, mapping, crop, scale)
    by_channel = [_magnified(nodes, mapping, k) for k in (ca_k[0], 0.0, ca_k[1])] if any(ca_k) else [nodes]
    part, origin = _needed_part(hr, np.stack(by_channel), _KERNEL_MARGIN + _reach(shrink))
    linear = without_aliasing(photometry.to_linear(part, light.tone), shrink)
    if any(ca_k):
        bright = np.empty((size.height, size.width, 3), np.float32)
        for channel, positions in enumerate(by_channel):
            p = _between_nodes(positions - origin, size)
            plane = np.ascontiguousarray(linear[..., channel])
            bright[..., channel] = opencv.remap(plane, p[..., 0], p[..., 1], interpolation)
    elif mapping.is_planar:
        H_grid_to_part = geometry.compose(
            geometry.translation(-origin[0], -origin[1]),
            geometry.inverse(mapping.H_hr_to_lr),
            grid_to_lr(crop, scale),
        )
        bright = opencv.warp(linear, H_grid_to_part, size, interpolation)
    else:
        p = _between_nodes(nodes - origin, size)
        bright = opencv.remap(linear, p[..., 0], p[..., 1], interpolation)
    bright *= np.array(light.gain, np.float32)
    if light.field_x or light.field_y or light.field_r2:
        bright *= _between_nodes(_field_at(nodes, light, mapping), size)[..., None]
    bright += np.array(light.offset, np.float32)
    return photometry.quantised(bright, light.tone, hr.dtype)


def _nodes(size: Size, mapping: CaptureMapping, crop: Crop, scale: int) -> Array:
    """Positions in HR of every eighth published pixel, (rows, columns, 2), up to the last pixel and beyond."""
    columns, rows = (side // _NODE_SPACING + 2 for side in size)
    grid = geometry.pixel_centres(Size(columns, rows)) * _NODE_SPACING
    return published_positions(grid, mapping, crop, scale)


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


def _field_at(p_hr: Array, light: Photometry, mapping: CaptureMapping) -> Array:
    """The illumination field at positions in the HR capture, (..., 2)."""
    x, y = np.moveaxis(geometry.UnitFrame.of(mapping.hr_size).of_points(p_hr), -1, 0)
    field: Array = 1 + light.field_x * x + light.field_y * y + light.field_r2 * (x**2 + y**2)
    return field
