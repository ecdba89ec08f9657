"""A folder of tiny captures, and an aligner that is quick, exact about what it was given, and fit to travel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from d2crealsr.store.images import write_image

if TYPE_CHECKING:
    from collections.abc import Callable


def capture(number: int, side: str) -> np.ndarray[Any, Any]:
    """A small picture that no other scene has."""
    return np.random.default_rng([number, ord(side[0])]).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def write_captures(raw: Path, scenes: list[str]) -> Path:
    """``hr/`` and ``lr/`` of a raw folder."""
    for number, scene in enumerate(scenes):
        write_image(raw / "hr" / f"{scene}.png", capture(number, "hr"))
        write_image(raw / "lr" / f"{scene}.png", capture(number, "lr"))
    return raw


@pytest.fixture
def make_raw() -> Callable[[Path, list[str]], Path]:
    return write_captures


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_captures(tmp_path / "raw", ["001", "NA", "null", "1e5", 'card é, "x"'])


@pytest.fixture
def aligner() -> Callable[..., Any]:
    return quick_aligner()


def quick_aligner() -> Callable[..., Any]:
    """An aligner as a closure: it reaches workers by value, since they cannot import a test's modules."""

    def align(hr: Any, lr: Any, *, settings: Any) -> Any:
        import numpy as np

        from d2crealsr.align import Alignment
        from d2crealsr.imaging.estimate import Estimate
        from d2crealsr.imaging.geometry import CaptureMapping
        from d2crealsr.imaging.photometry import Photometry
        from d2crealsr.imaging.placement import Placement
        from d2crealsr.types import AlignmentFailure, Crop, ResidualField, Size, Stage

        level = float(lr.mean())
        if level < 1:
            return AlignmentFailure(reason="low_texture", message="0 keypoints, 24 needed", statistics={"n_matches": 0})
        if lr[0, 0, 0] == 255 and lr[0, 0, 1] == 0:
            raise ZeroDivisionError("two\nlines")
        H = np.array([[1 / 3, 1e-17, level], [0.1, 1 / 7, -level], [1e-9, -1e-9, 1]])
        s = settings.scale
        mapping = CaptureMapping(H_hr_to_lr=H, hr_size=Size.of(hr), lr_size=Size.of(lr))
        return Alignment(
            estimate=Estimate(
                placement=Placement(mapping, Crop(1, 2, 6, 4), s), light=Photometry(gain=(level, 1.0, 1 / 3))
            ),
            hr=np.ascontiguousarray(np.resize(hr, (4 * s, 6 * s, 3))),
            lr=np.ascontiguousarray(lr[2:6, 1:7]),
            residuals=ResidualField(
                points_lr=np.array([[2.0, 3.0], [4.0, 5.0]]),
                shifts_hr_px=np.array([[level / 1000, -1e-9], [0.02, np.nan]]),
                weights=np.array([1.0, 0.0]),
                zncc=np.array([1.0, 0.0]),
            ),
            stages=(Stage(iteration=0, stage="rough", H_hr_to_lr=None), Stage(iteration=1, stage="sift", H_hr_to_lr=H)),
            statistics={"n_inliers": 17, "residual_p50_hr_px": level / 1000, "zncc": float("nan")},
            reasons=("not_same_scene",) if (lr[0, 0] == 7).all() else (),
        )

    return align
