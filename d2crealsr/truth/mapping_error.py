"""True error of a published mapping, by comparison with the true mapping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.imaging.placement import Placement
    from d2crealsr.types import Array, Crop

__all__ = ["MappingError", "crop_grid", "mapping_error"]

_LONG, _SHORT = 19, 13


@dataclass(frozen=True, kw_only=True, slots=True)
class MappingError:
    """Error over the crop, in HR px.

    Attributes
    ----------
    mean, p95, maximum, rms : float
        Statistics of the error's length over the grid.
    signed : (2,) ndarray
        Mean error (x, y) with the sign of a pixel shift: where the published HR has the content minus where it belongs.
    """

    mean: float
    p95: float
    maximum: float
    rms: float
    signed: Array

    @classmethod
    def of(cls, displaced: Array) -> MappingError:
        """The error statistics of displacements (N, 2) over the grid, in HR px."""
        length = np.linalg.norm(displaced, axis=1)
        return cls(
            mean=float(length.mean()),
            p95=float(np.percentile(length, 95)),
            maximum=float(length.max()),
            rms=float(np.sqrt(np.mean(length**2))),
            signed=displaced.mean(axis=0),
        )


def crop_grid(crop: Crop) -> Array:
    """A grid of 19×13 points over the pixel centres of a crop, with 19 along the longer side; (247, 2) in LR px."""
    across, down = (_LONG, _SHORT) if crop.width >= crop.height else (_SHORT, _LONG)
    x = np.linspace(crop.x, crop.x + crop.width - 1, across)
    y = np.linspace(crop.y, crop.y + crop.height - 1, down)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def mapping_error(published: Placement, true: CaptureMapping) -> MappingError:
    """Error of a published mapping over its crop, in HR px.

    The published mapping takes ``p_lr`` to ``p_hr``, and the true mapping takes ``p_hr`` to ``p_lr'``. The published HR
    shows at ``p_lr`` the content that belongs at ``p_lr'``, so its content is displaced by ``p_lr − p_lr'``.
    """
    p_lr = crop_grid(published.crop)
    return MappingError.of(published.scale * (p_lr - true.hr_to_lr(published.mapping.lr_to_hr(p_lr))))
