"""The placement of a published pair in its captures: the mapping, the crop and the scale, which belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from d2crealsr.imaging import geometry
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, Matrix

__all__ = ["Placement", "grid_to_lr"]


def grid_to_lr(crop: Crop, scale: int) -> Matrix:
    """From published HR pixel centres to the LR capture: ``p_lr = (x0 + (u + .5)/s − .5, y0 + (v + .5)/s − .5)``.

    Examples
    --------
    The middle of the first LR pixel of a crop at (100, 50) lies between HR pixels 3 and 4:

    >>> from d2crealsr.types import Crop
    >>> geometry.project(grid_to_lr(Crop(100, 50, 10, 10), 8), np.array([3.5, 3.5]))
    array([100.,  50.])
    """
    return geometry.compose(geometry.translation(crop.x, crop.y), geometry.inverse(geometry.scaling(scale)))


@dataclass(frozen=True)
class Placement:
    """The placement of a published pair in its captures.

    Attributes
    ----------
    mapping : CaptureMapping
        The mapping between the captures, including their lenses.
    crop : Crop
        The published rectangle of the LR capture, in LR px.
    scale : int
        Published HR pixels per LR pixel.
    """

    mapping: CaptureMapping
    crop: Crop
    scale: int

    @property
    def published_size(self) -> Size:
        """Size of the published HR image, ``scale`` times the crop."""
        return Size(self.crop.width * self.scale, self.crop.height * self.scale)

    def in_hr(self, points: Array) -> Array:
        """Positions in the HR capture of published HR pixels (u, v). Points and result are (..., 2), in px."""
        return self.mapping.lr_to_hr(geometry.project(grid_to_lr(self.crop, self.scale), points))

    @property
    def published_mapping(self) -> CaptureMapping:
        """The mapping from the published HR image to the LR capture."""
        return geometry.CaptureMapping(
            H_hr_to_lr=grid_to_lr(self.crop, self.scale), hr_size=self.published_size, lr_size=self.mapping.lr_size
        )

    @property
    def shrink(self) -> float:
        """HR capture px per published px at the centre of the crop; above 1 if HR has to shrink."""
        middle = (np.array(self.published_size) - 1) / 2
        at_x, at_y = (self.in_hr(middle + half) - self.in_hr(middle - half) for half in np.eye(2) / 2)
        return float(np.sqrt(abs(at_x[0] * at_y[1] - at_x[1] * at_y[0])))

    def rows(self, top: int, height: int) -> Placement:
        """The same placement, restricted to ``height`` LR rows from row ``top`` of the crop."""
        crop = Crop(self.crop.x, self.crop.y + top, self.crop.width, height)
        return Placement(self.mapping, crop, self.scale)
