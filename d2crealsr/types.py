"""Values that travel between the floors of the house. They hold data and no behaviour beyond derived numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Alignment",
    "AlignmentFailure",
    "Array",
    "Crop",
    "Image",
    "Matrix",
    "Photometry",
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


class Crop(NamedTuple):
    """A rectangle of whole LR pixels: origin (x, y) of its first pixel, width and height."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Photometry:
    """How the published HR was brought to LR's brightness (design: ``linear(out) = gain·field·linear(hr) + offset``).

    ``field = 1 + field_x·x + field_y·y + field_r2·r²`` with x, y, r relative to the HR capture's centre, in units of
    its half-diagonal. Linear light is on [0, 1].
    """

    tone: str = "srgb"
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    field_x: float = 0.0
    field_y: float = 0.0
    field_r2: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One step of how an estimate came about: one row of ``alignment.csv``. Errors are in HR px (scale × LR px)."""

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
    """Displacement left between a published pair, block by block.

    Attributes
    ----------
    points_lr : (N, 2) ndarray
        Block centres (x, y) in the LR capture, in LR px.
    shifts_hr_px : (N, 2) ndarray
        Where the published HR has the content minus where LR has it, in HR px.
    weights : (N,) ndarray
        Confidence in [0, 1]; 0 where a block has no texture to measure with.
    zncc : (N,) ndarray
        Zero-mean normalised cross-correlation of the block once its shift is taken out, 0 … 1; nan where LR is clipped
        or flat.
    """

    points_lr: Array
    shifts_hr_px: Array
    weights: Array
    zncc: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Alignment:
    """An estimate for one pair, with its evidence and QA's verdict.

    Attributes
    ----------
    H_hr_to_lr : (3, 3) ndarray
        Pixel centres of the (oriented) HR capture to those of the LR capture.
    crop : Crop
        The published rectangle of the LR capture.
    hr : (scale·height, scale·width, 3) ndarray
        Published HR, warped once, at the capture's own depth.
    lr : (height, width, 3) ndarray
        Published LR, cropped only.
    reasons : tuple of str
        Reason codes why QA says no; empty for an accepted pair.
    statistics : mapping
        The manifest's statistics columns by name (``n_inliers``, ``zncc``, ``residual_p95_hr_px``, …).
    residual_shape : str
        A name of :data:`d2crealsr.store.shapes.RESIDUAL_SHAPES`; empty where no block says anything.
    ca_k : tuple of float
        Lateral chromatic aberration of red and blue that was corrected in the published HR, as ``ca_k_r, ca_k_b``.
    """

    scale: int
    H_hr_to_lr: Matrix
    k1_hr: float
    k1_lr: float
    crop: Crop
    photometry: Photometry
    hr: Image
    lr: Image
    residuals: ResidualField
    stages: tuple[Stage, ...]
    statistics: Mapping[str, float]
    reasons: tuple[str, ...] = ()
    residual_shape: str = ""
    ca_k: tuple[float, float] = (0.0, 0.0)

    @property
    def accepted(self) -> bool:
        """Whether QA lets the pair through."""
        return not self.reasons


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignmentFailure:
    """No estimate could be made for a pair.

    Attributes
    ----------
    reason : str
        Stable reason code (``too_few_matches``, ``low_texture``, ``unreadable``, …).
    message : str
        One line: what, got, expected, what to do.
    """

    reason: str
    message: str
    stages: tuple[Stage, ...] = ()
    statistics: Mapping[str, float] = field(default_factory=dict)
