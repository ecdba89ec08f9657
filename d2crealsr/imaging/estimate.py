"""The estimate of a pair (where HR lies in LR, and how its brightness is matched), as a value and as manifest cells.

The published pixels depend only on the estimate and the captures. No other module knows its columns. To add a property,
such as an exposure, add a field here, its cells in :meth:`Estimate.to_row` and :meth:`Estimate.from_row`, and its
columns in :mod:`d2crealsr.store.columns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.imaging.photometry import Photometry
from d2crealsr.imaging.placement import Placement
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d2crealsr.types import Matrix

__all__ = ["Estimate", "homography_cells", "mapping_from_row", "missing_cells"]

Row: TypeAlias = "dict[str, Any]"

_HOMOGRAPHY = tuple(f"h{row}{column}" for row in range(3) for column in range(3))
_CROP = ("lr_x", "lr_y", "lr_width", "lr_height")
_GAIN, _OFFSET = (tuple(f"{name}_{channel}" for channel in "rgb") for name in ("gain", "offset"))
_FIELD = ("field_x", "field_y", "field_r2")
_LIGHT = ("tone", *_GAIN, *_OFFSET, *_FIELD)
_LENSES = ("k1_hr", "k1_lr")
_CA_K = ("ca_k_r", "ca_k_b")
_NO_SIZE = Size(1, 1)
_NO_CROP = Crop(0, 0, 0, 0)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Where HR lies in LR, and how its brightness is matched.

    Attributes
    ----------
    placement : Placement
        The mapping with both lenses, the crop and the scale. The crop has no pixels if nothing can be published.
    light : Photometry
        Tone curve, and the matching of HR to LR's brightness.
    ca_k : (float, float)
        Corrected lateral chromatic aberration of the HR lens: magnification of red and blue relative to green, less 1.
    """

    placement: Placement
    light: Photometry
    ca_k: tuple[float, float] = (0.0, 0.0)

    def to_row(self) -> Row:
        """The estimate as cells of a manifest row, by column. A crop without pixels has no cells."""
        mapping, crop, light = self.placement.mapping, self.placement.crop, self.light
        return {
            "scale": self.placement.scale,
            **(dict(zip(_CROP, crop, strict=True)) if crop.side > 0 else {}),
            **homography_cells(mapping.H_hr_to_lr),
            "k1_hr": mapping.k1_hr,
            "k1_lr": mapping.k1_lr,
            "tone": f"{light.hr_tone}/{light.tone}" if light.hr_tone else light.tone,
            "hr_tone": light.tone_of_hr,
            "lr_tone": light.tone,
            **dict(zip(_GAIN, light.gain, strict=True)),
            **dict(zip(_OFFSET, light.offset, strict=True)),
            **{name: getattr(light, name) for name in _FIELD},
            **dict(zip(_CA_K, self.ca_k, strict=True)),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any], hr_size: Size = _NO_SIZE, lr_size: Size = _NO_SIZE) -> Estimate | None:
        """The estimate in a manifest row; None if the row has none, such as that of a failed scene, or is damaged.

        A row is damaged if it has only some of the cells of its mapping, brightness or chromatic aberration.

        Parameters
        ----------
        row : mapping
            Cells by column. A missing cell is None, nan, empty, or absent. If the row has no crop, the crop has no
            pixels. If it has no brightness or lenses at all, these are left as they were captured.
        hr_size, lr_size : Size
            Sizes of the upright captures, needed to evaluate lens distortion and the illumination field.
        """
        mapping = mapping_from_row(row, hr_size, lr_size)
        if mapping is None or _is_torn(row, _LIGHT) or _is_torn(row, _CA_K):
            return None
        crop, gain, offset, field, ca_k = (_cells(row, names) for names in (_CROP, _GAIN, _OFFSET, _FIELD, _CA_K))
        placement = Placement(mapping, _NO_CROP if crop is None else Crop(*map(int, crop)), int(row["scale"]))
        hr_tone, _, tone = (row.get("tone") or "").rpartition("/")
        light: Row = {"hr_tone": hr_tone, "tone": tone or None, "gain": gain, "offset": offset}
        light |= dict(zip(_FIELD, field or [None] * 3, strict=True))
        known = {name: value for name, value in light.items() if value is not None}
        return cls(placement=placement, light=Photometry(**known), **({} if ca_k is None else {"ca_k": ca_k}))


def homography_cells(H_hr_to_lr: Matrix) -> Row:
    """A homography as cells of the manifest, of ``alignment.csv`` or of ``truth.csv``."""
    return dict(zip(_HOMOGRAPHY, H_hr_to_lr.ravel().tolist(), strict=True))


def mapping_from_row(
    row: Mapping[str, Any], hr_size: Size, lr_size: Size, *, k1_lr: float | None = None
) -> CaptureMapping | None:
    """The mapping in a row of the manifest, of ``alignment.csv`` or of ``truth.csv``; None if it has none or a part.

    Parameters
    ----------
    row : mapping
    hr_size, lr_size : Size
        Sizes of the upright captures.
    k1_lr : float, optional
        Distortion of the LR lens, for rows without that column.
    """
    cells = _cells(row, _HOMOGRAPHY)
    if cells is None or (k1_lr is None and _is_torn(row, _LENSES)):
        return None
    lenses = {name: cell[0] for name in _LENSES if (cell := _cells(row, [name]))}
    if k1_lr is not None:
        lenses["k1_lr"] = k1_lr
    H = np.array(cells, dtype=np.float64).reshape(3, 3)
    return CaptureMapping(H_hr_to_lr=H, hr_size=hr_size, lr_size=lr_size, **lenses)


def missing_cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of an estimate that `align` always writes, and that are empty in a row; without those of the crop."""
    return _missing(row, (*_HOMOGRAPHY, *_LENSES, *_LIGHT, *_CA_K))


def _is_torn(row: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Whether some of these cells are missing, but not all."""
    return 0 < len(_missing(row, names)) < len(names)


def _missing(row: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    cells = {name: row.get(name) for name in names}
    return tuple(name for name, cell in cells.items() if cell is None or cell == "" or cell != cell)


def _cells(row: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...] | None:
    """The cells of these columns; None if one is missing."""
    return None if _missing(row, names) else tuple(row[name] for name in names)
