"""Small objects that only one of the captures shows: whole pairs are rejected, and the place is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from d2crealsr.align import Alignment, align_pair
from d2crealsr.store.images import read_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.simulate import Scene

FIELD = Path(__file__).resolve().parents[3] / "shared/field/dataset"


def test_a_slip_of_paper_is_seen(mini_scene: Callable[..., Scene]) -> None:
    plain, covered = mini_scene("leaves", 3), mini_scene("leaves", 3, "small-object")
    before, after = (align_pair(scene.hr, scene.lr) for scene in (plain, covered))
    assert isinstance(before, Alignment)
    assert (before.reasons, before.statistics["differing_hr_px"]) == ((), 0)
    assert isinstance(after, Alignment)
    assert after.reasons[0] == "content_mismatch"
    assert set(after.reasons) <= {"content_mismatch", "colour_mismatch"}, "the slip has another colour than the card"
    assert after.statistics["content_differs_fraction"] < 0.03


@pytest.mark.slow
def test_a_black_sliver_at_the_border_of_the_frame_is_seen_with_the_largest_crop(
    mini_scene: Callable[..., Scene],
) -> None:
    scene = mini_scene("leaves", 3)
    hr = scene.hr.copy()
    hr[:, :24] = 12
    found = align_pair(hr, scene.lr, crop="max")
    assert isinstance(found, Alignment)
    assert "content_mismatch" in found.reasons
    assert found.statistics["differing_x"] <= found.crop.x + 2
    assert found.statistics["differing_hr_px"] > 100


@pytest.mark.skipif(not FIELD.is_dir(), reason=f"the captures of field trials are not in {FIELD}")
def test_a_spot_of_the_field_trials() -> None:
    reasons = {}
    for name in ("good", "spot_in_hr"):
        found = align_pair(*(read_image(FIELD / name / side / "a.jpg") for side in ("hr", "lr")))
        assert isinstance(found, Alignment)
        reasons[name] = found.reasons
    assert reasons == {"good": (), "spot_in_hr": ("content_mismatch",)}
    assert np.isfinite(found.statistics["differing_x"])
