"""Many scenes without the work of many: tiny captures that all differ, and an aligner that only returns a result.

Nothing but the tables then grows with the number of scenes. The captures are no copies of one another, because
`split` keeps scenes with a capture of the same bytes together.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from d2crealsr import opencv
from d2crealsr.align import Alignment
from d2crealsr.imaging.crop import cut
from d2crealsr.imaging.estimate import Estimate
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.imaging.photometry import Photometry
from d2crealsr.imaging.placement import Placement
from d2crealsr.types import Crop, ResidualField, Size, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from d2crealsr.types import Image

__all__ = ["instant", "many_captures"]

_SCALE = 8
_LR, _SEEN = Size(24, 18), Crop(4, 3, 16, 12)
"""Size of the LR captures, and the part of them that HR shows."""
_CROP = Crop(6, 4, 12, 10)
"""The published part."""
_BLOCKS = 14
"""Blocks along each side of the crop: 196 rows of ``residuals.csv``, as for a usual pair."""
_STATISTICS = ("scale_effective", "residual_p50_hr_px", "residual_p95_hr_px", "sigma_hr_px", "sharpness_ratio", "zncc")


def many_captures(raw: Path, count: int) -> None:
    """Smooth captures of a few pixels in ``hr`` and ``lr``, each scene with colours of its own."""
    for side in ("hr", "lr"):
        (raw / side).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        colours = np.random.default_rng(number).integers(40, 215, (5, 6, 3), dtype=np.uint8)
        lr = opencv.as_image(opencv.resize(colours, _LR, "cubic").astype(np.uint8))
        hr = _enlarged(cut(lr, _SEEN))
        for side, image in (("hr", hr), ("lr", lr)):
            (raw / side / f"{number:07d}.png").write_bytes(opencv.encode_png(image))


def instant(hr: Image, lr: Image, *, settings: Any) -> Alignment:
    """An aligner for :func:`many_captures` that knows the answer and returns a result of the usual size."""
    mapping, published = _mapping(Size.of(hr), Size.of(lr)), cut(lr, _CROP)
    steps = [np.linspace(0, side - 1, _BLOCKS) + start for start, side in zip(_CROP[:2], _CROP[2:], strict=True)]
    points = np.stack(np.meshgrid(*steps), axis=-1).reshape(-1, 2)
    return Alignment(
        estimate=Estimate(placement=Placement(mapping, _CROP, settings.scale), light=Photometry()),
        hr=_enlarged(published),
        lr=published,
        residuals=ResidualField(
            points_lr=points,
            shifts_hr_px=np.sin(points) / 97.0,
            weights=np.full(len(points), 0.7),
            zncc=np.ones(len(points)),
        ),
        stages=tuple(Stage(iteration=n, stage="sift", H_hr_to_lr=mapping.H_hr_to_lr) for n in range(4)),
        statistics={"n_inliers": 1717, **dict.fromkeys(_STATISTICS, 0.212345)},
        reasons=(),
    )


def _enlarged(lr: Image) -> Image:
    return opencv.as_image(np.ascontiguousarray(lr.repeat(_SCALE, axis=0).repeat(_SCALE, axis=1)))


@functools.cache
def _mapping(hr: Size, lr: Size) -> CaptureMapping:
    half = 0.5 - 0.5 / _SCALE
    H = np.array([[1 / _SCALE, 1e-17, _SEEN.x - half], [1e-18, 1 / _SCALE, _SEEN.y - half], [0, 0, 1.0]])
    return CaptureMapping(H_hr_to_lr=H, hr_size=hr, lr_size=lr)
