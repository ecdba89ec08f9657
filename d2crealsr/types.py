"""Types that several packages share. They hold data, and no behaviour except for derived numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AlignmentFailure",
    "Array",
    "Crop",
    "Image",
    "Matrix",
    "ResidualField",
    "Size",
    "Stage",
    "StageName",
]

Array: TypeAlias = NDArray[np.float64]
Matrix: TypeAlias = NDArray[np.float64]
"""3×3 homography with ``[2, 2] = 1``."""
Image: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
"""``(H, W, 3)`` RGB, 8 or 16 bit."""
StageName: TypeAlias = Literal["rough", "sift", "direct"]


class Size(NamedTuple):
    """Width and height of an image, in pixels."""

    width: int
    height: int

    @classmethod
    def of(cls, image: NDArray[Any]) -> Size:
        """The size of an image, (H, W) or (H, W, …)."""
        return cls(image.shape[1], image.shape[0])


class Crop(NamedTuple):
    """A rectangle of whole LR pixels: origin (x, y) of its first pixel, width and height."""

    x: int
    y: int
    width: int
    height: int

    @property
    def side(self) -> int:
        """Length of the shorter side."""
        return min(self.width, self.height)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One stage of an estimate: a row of ``alignment.csv``. Errors are in HR px (scale × LR px)."""

    iteration: int
    stage: StageName
    H_hr_to_lr: Matrix | None
    scale_effective: float = float("nan")
    sigma_blur_hr_px: float = float("nan")
    n_keypoints_hr: int = 0
    n_keypoints_lr: int = 0
    n_matches: int = 0
    n_inliers: int = 0
    reprojection_rmse_lr_px: float = float("nan")
    update_mean_hr_px: float = float("nan")
    update_max_hr_px: float = float("nan")
    residual_p50_hr_px: float = float("nan")
    zncc: float = float("nan")
    gain_g: float = float("nan")
    k1_hr: float = 0.0
    stopped: Literal["", "converged", "failed"] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ResidualField:
    """The displacement that remains in a published pair, block by block.

    Attributes
    ----------
    points_lr : (N, 2) ndarray
        Block centres (x, y) in the LR capture, in LR px.
    shifts_hr_px : (N, 2) ndarray
        Where the published HR has the content minus where LR has it, in HR px.
    weights : (N,) ndarray
        Confidence in [0, 1]; 0 for a block with too little texture to measure its shift.
    zncc : (N,) ndarray
        Zero-mean normalised cross-correlation of the block after removal of its shift, 0 … 1; nan if LR is clipped or
        flat there.
    """

    points_lr: Array
    shifts_hr_px: Array
    weights: Array
    zncc: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignmentFailure:
    """No estimate could be made for a pair.

    Attributes
    ----------
    reason : str
        Stable reason code (``too_few_matches``, ``low_texture``, ``unreadable``, …).
    message : str
        One line that says what is wrong, what was found and expected, and what to do.
    """

    reason: str
    message: str
    stages: tuple[Stage, ...] = ()
    statistics: Mapping[str, float] = field(default_factory=dict)
