"""What a row says, as far as it can be drawn: tables may be damaged, edited or a stranger's.

Positions and blurs of a damaged row would keep OpenCV busy for hours, deaf to every signal. So they are looked at
first: a value that cannot be is None, and a note says what was found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from d2crealsr.imaging import geometry, photometry
from d2crealsr.types import Crop, Photometry, Size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from d2crealsr.types import Array

    Row = Mapping[str, Any]
    Say = Callable[[str], None]

__all__ = ["blur_of", "crop_of", "light_of", "mapping_of"]

_FARTHEST = 100_000
"""Columns and rows of a capture, at most; the largest image that is read has fewer."""
_FRAMES_AWAY = 10
"""How far outside HR its positions may lie, in frames: a pose that missed entirely is still drawn."""
_WIDEST_BLUR_LR_PX = 16.0
_LARGEST_LIGHT = 1e4
_TONE = "srgb"


def crop_of(row: Row, lr_size: Size | None, say: Say) -> Crop | None:
    """The crop of a row; None where it has none, or one that does not lie in its LR capture."""
    cells = [row[name] for name in ("lr_x", "lr_y", "lr_width", "lr_height")]
    if any(cell is None for cell in cells):
        return None
    crop = Crop(*(int(cell) for cell in cells))
    width, height = lr_size or (_FARTHEST, _FARTHEST)
    if crop.x + crop.width <= width and crop.y + crop.height <= height:
        return crop
    where = f"the LR capture of {width}x{height}" if lr_size else "any capture"
    say(f"manifest.csv has a crop of {crop.width}x{crop.height} at ({crop.x}, {crop.y}), which leaves {where}")
    return None


def mapping_of(
    row: Row, hr_size: Size, lr_size: Size, crop: Crop | None, name: str, say: Say, *, k1_lr: float
) -> geometry.CaptureMapping | None:
    """The mapping of a row; None where it has none, or one that leads from the crop to nowhere near HR."""
    cells = [row[f"h{i}{j}"] for i in range(3) for j in range(3)]
    if any(cell is None for cell in cells):
        return None
    H = np.array(cells, dtype=np.float64).reshape(3, 3)
    mapping = geometry.CaptureMapping(
        H_hr_to_lr=H, hr_size=hr_size, lr_size=lr_size, k1_hr=row["k1_hr"] or 0.0, k1_lr=k1_lr
    )
    if _is_near(mapping, crop or Crop(0, 0, *lr_size)):
        return mapping
    say(f"the mapping of {name} leads nowhere near the HR capture and is not drawn; the table may be damaged")
    return None


def _is_near(mapping: geometry.CaptureMapping, crop: Crop) -> bool:
    """Whether a crop lies somewhere around HR, and HR somewhere around LR."""
    x, y = np.meshgrid(np.linspace(0, crop.width - 1, 9), np.linspace(0, crop.height - 1, 9))
    p_lr = np.stack([crop.x + x, crop.y + y], axis=-1)
    with np.errstate(all="ignore"):
        try:
            p_hr, back = mapping.lr_to_hr(p_lr), mapping.hr_to_lr(geometry.corners(mapping.hr_size))
        except np.linalg.LinAlgError:
            return False
    return _all_within(p_hr, mapping.hr_size) and _all_within(back, mapping.lr_size)


def _all_within(points: Array, size: Size) -> bool:
    return bool((np.abs(points) <= _FRAMES_AWAY * max(size)).all())  # nan is not


def light_of(row: Row, say: Say) -> Photometry:
    """The brightness that was applied; none where the row has no estimate, or one that no capture needs."""
    tone = row["tone"] or _TONE
    try:
        photometry.decode_tone(np.zeros(1), tone)
    except ValueError:
        say(f"manifest.csv names the tone curve {tone[:40]!r}, which this version does not know; drawn as {_TONE}")
        tone = _TONE
    names = ("gain_r", "gain_g", "gain_b", "offset_r", "offset_g", "offset_b", "field_x", "field_y", "field_r2")
    numbers = [row[name] for name in names]
    if any(number is None for number in numbers):
        return Photometry(tone=tone)
    if max(map(abs, numbers)) > _LARGEST_LIGHT:
        say("manifest.csv has a brightness that no capture needs; drawn without")
        return Photometry(tone=tone)
    r, g, b, offset_r, offset_g, offset_b, *field = numbers
    return Photometry(
        tone=tone,
        gain=(r, g, b),
        offset=(offset_r, offset_g, offset_b),
        field_x=field[0],
        field_y=field[1],
        field_r2=field[2],
    )


def blur_of(stages: Sequence[Row], scale: int, say: Say) -> float:
    """Blur that brings HR to LR's resolution, in HR px: the last that was fitted, or else one LR px."""
    found = [stage["sigma_blur_hr_px"] for stage in stages if stage["sigma_blur_hr_px"]]
    if not found:
        return float(scale)
    if not 0 < found[-1] <= _WIDEST_BLUR_LR_PX * scale:
        say(f"alignment.csv has a blur of {found[-1]:.4g} HR px; drawn with {scale}")
        return float(scale)
    return float(found[-1])
