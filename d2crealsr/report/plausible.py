"""Check whether the values of a row can be drawn, as tables may be damaged, edited or from strangers.

Impossible positions and blurs in a damaged row could keep OpenCV busy for hours, during which it reacts to no signal.
They are therefore checked first. Impossible values are left out, and a note names them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from d2crealsr.imaging import geometry, photometry
from d2crealsr.imaging.photometry import Photometry
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from d2crealsr.imaging.estimate import Estimate
    from d2crealsr.types import Array

    Row = Mapping[str, Any]
    Say = Callable[[str], None]

__all__ = ["blur_of", "drawable", "near"]

_FARTHEST = 100_000
"""Largest number of columns or rows of a capture. The largest image that can be read has fewer."""
_FRAMES_AWAY = 10
"""Largest distance of positions from HR, in frames. A completely wrong pose is still drawn."""
_WIDEST_BLUR_LR_PX = 16.0
_LARGEST_LIGHT = 1e4
_TONE = "srgb"


def drawable(estimate: Estimate, lr_size: Size | None, say: Say) -> Estimate:
    """The estimate without impossible values. An impossible crop has no pixels; impossible light changes nothing."""
    placement = replace(estimate.placement, crop=_crop(estimate.placement.crop, lr_size, say))
    return replace(estimate, placement=placement, light=_light(estimate.light, say))


def _crop(crop: Crop, lr_size: Size | None, say: Say) -> Crop:
    width, height = lr_size or (_FARTHEST, _FARTHEST)
    if crop.x + crop.width <= width and crop.y + crop.height <= height:
        return crop
    where = f"the LR capture of {width}x{height}" if lr_size else "any capture"
    say(f"manifest.csv has a crop of {crop.width}x{crop.height} at ({crop.x}, {crop.y}), which leaves {where}")
    return Crop(0, 0, 0, 0)


def _light(light: Photometry, say: Say) -> Photometry:
    try:
        photometry.decode_tone(photometry.decode_tone(np.zeros(1), light.tone), light.tone_of_hr)
    except ValueError:
        say(
            f"manifest.csv names the tone curve {light.tone[:40]!r}, which this version does not know; drawn as {_TONE}"
        )
        light = replace(light, tone=_TONE, hr_tone="")
    if max(map(abs, (*light.gain, *light.offset, light.field_x, light.field_y, light.field_r2))) <= _LARGEST_LIGHT:
        return light
    say("manifest.csv has a brightness that no capture needs; drawn without")
    return Photometry(tone=light.tone, hr_tone=light.hr_tone)


def near(mapping: geometry.CaptureMapping | None, crop: Crop, name: str, say: Say) -> geometry.CaptureMapping | None:
    """The mapping; None if there is none, or if it maps the crop to positions far away from HR."""
    if mapping is None or _is_near(mapping, crop if crop.side > 0 else Crop(0, 0, *mapping.lr_size)):
        return mapping
    say(f"the mapping of {name} leads nowhere near the HR capture and is not drawn; the table may be damaged")
    return None


def _is_near(mapping: geometry.CaptureMapping, crop: Crop) -> bool:
    """Whether the crop is mapped to the surroundings of HR, and HR to the surroundings of LR."""
    x, y = np.meshgrid(np.linspace(0, crop.width - 1, 9), np.linspace(0, crop.height - 1, 9))
    p_lr = np.stack([crop.x + x, crop.y + y], axis=-1)
    with np.errstate(all="ignore"):
        try:
            p_hr, back = mapping.lr_to_hr(p_lr), mapping.hr_to_lr(geometry.corners(mapping.hr_size))
        except np.linalg.LinAlgError:
            return False
    return _all_within(p_hr, mapping.hr_size) and _all_within(back, mapping.lr_size)


def _all_within(points: Array, size: Size) -> bool:
    return bool((np.abs(points) <= _FRAMES_AWAY * max(size)).all())  # false for nan


def blur_of(stages: Sequence[Row], scale: int, say: Say) -> float:
    """Blur in HR px that brings HR to LR's resolution: the last one that was fitted, or else one LR px."""
    found = [stage["sigma_blur_hr_px"] for stage in stages if stage["sigma_blur_hr_px"]]
    if not found:
        return float(scale)
    if not 0 < found[-1] <= _WIDEST_BLUR_LR_PX * scale:
        say(f"alignment.csv has a blur of {found[-1]:.4g} HR px; drawn with {scale}")
        return float(scale)
    return float(found[-1])
