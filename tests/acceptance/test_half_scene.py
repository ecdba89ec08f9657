"""One scene of half size from capture to table, its error asserted loosely against what the method measures."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from d2crealsr.align import Alignment, align_pair
from d2crealsr.dataset.build import build
from d2crealsr.imaging import photometry
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.imaging.placement import Placement
from d2crealsr.simulate import Scene, SimulateSettings, default_recipes, shoot, simulate, wheel_library
from d2crealsr.store.pairs import read_alignment, read_manifest
from d2crealsr.truth.mapping_error import mapping_error
from d2crealsr.truth.validate import AGREEMENT_HR_PX, validate
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_matrix_and_pixels_of_a_half_scene(tmp_path: Path) -> None:
    raw, pairs = tmp_path / "raw", tmp_path / "pairs"
    truth = simulate(raw, settings=SimulateSettings(size="half", scenes=1)).iloc[0]
    build(raw, pairs)
    row = read_manifest(pairs).iloc[0]
    assert (row["lr_width"], row["lr_height"]) == (216, 144)

    def error_of(estimate: object) -> float:
        """Mean error, in HR px, of a row with h00 … h22 and k1."""
        published, true = (
            CaptureMapping(
                H_hr_to_lr=np.array([[of[f"h{i}{j}"] for j in range(3)] for i in range(3)], dtype=float),
                hr_size=Size(truth["hr_width"], truth["hr_height"]),
                lr_size=Size(truth["lr_width"], truth["lr_height"]),
                k1_hr=of["k1_hr"],
            )
            for of in (estimate, truth)
        )
        crop = Crop(*(int(row[name]) for name in ("lr_x", "lr_y", "lr_width", "lr_height")))
        return mapping_error(Placement(published, crop, 8), true).mean

    stages = read_alignment(pairs)
    assert stages["stage"].tolist()[:2] == ["rough", "sift"]
    assert stages["stage"].tolist()[-1] == "direct"
    assert error_of(stages[stages["stage"] == "sift"].iloc[-1]) < 0.25
    assert error_of(stages.iloc[-1]) < 0.06

    result = validate(pairs, raw / "truth.csv", jobs=1)
    assert result.findings == []
    scene = result.table.iloc[0]
    assert scene["status"] == "accepted"
    assert scene["true_error_mean_hr_px"] == pytest.approx(error_of(row), abs=1e-6)
    assert scene["true_error_mean_hr_px"] < 0.06
    assert scene["true_error_max_hr_px"] < 0.2
    assert result.floor_hr_px < 0.01
    signed = np.hypot(
        scene["pixel_shift_x_hr_px"] - scene["true_error_x_hr_px"],
        scene["pixel_shift_y_hr_px"] - scene["true_error_y_hr_px"],
    )
    assert signed < AGREEMENT_HR_PX == 0.03


@pytest.mark.slow
@pytest.mark.parametrize("given", [True, False])
def test_a_card_off_the_middle_of_a_distorting_wide_lens(given: bool) -> None:
    """Nothing but the LR lens' own distortion brings such a card to a few hundredths of a pixel."""
    scene = off_centre_scene()
    session = scene.truth.session
    pair = align_pair(scene.hr, scene.lr, undistort_lr=session.lr.k1 if given else 0.0)
    assert isinstance(pair, Alignment)
    assert pair.accepted, pair.reasons
    assert pair.k1_lr == pytest.approx(session.lr.k1, rel=1e-9 if given else 0.25)
    sizes = {"hr_size": session.size, "lr_size": session.size}
    true = CaptureMapping(H_hr_to_lr=scene.truth.H_hr_to_lr, k1_lr=session.lr.k1, **sizes)
    assert mapping_error(pair.estimate.placement, true).mean < (0.04 if given else 0.08)


@pytest.mark.slow
def test_the_error_bar_holds_the_bow_that_the_fit_cannot_follow() -> None:
    plain, bowed = (half_scene(*nuisances) for nuisances in ((), ("bowed-card",)))
    before, after = (align_pair(scene.hr, scene.lr) for scene in (plain, bowed))
    assert isinstance(before, Alignment)
    assert isinstance(after, Alignment)
    assert before.residual_shape == "random"
    assert after.residual_shape == "bent"
    sure, unsure = (pair.statistics["sigma_hr_px"] for pair in (before, after))
    assert unsure**2 - sure**2 == pytest.approx(after.statistics["residual_shape_hr_px"] ** 2, rel=0.1)
    assert unsure > 3 * sure


@pytest.mark.slow
def test_the_error_bar_holds_fringes_that_are_not_corrected() -> None:
    """Luma, by which the captures are aligned, is red's and blue's too, and its centre of gravity is not green's."""
    scene = half_scene("chromatic-aberration")
    lens = scene.truth.session.hr
    left, corrected = (align_pair(scene.hr, scene.lr, correct_ca=ca) for ca in (False, True))
    assert isinstance(left, Alignment)
    assert isinstance(corrected, Alignment)
    from_centre = left.scale * np.hypot(left.crop.width, left.crop.height) / np.sqrt(12)
    expected = (photometry.LUMA[0] * lens.ca_r + photometry.LUMA[2] * lens.ca_b) * from_centre
    sure, unsure = (pair.statistics["sigma_hr_px"] for pair in (corrected, left))
    assert np.sqrt(unsure**2 - sure**2) == pytest.approx(abs(expected), rel=0.3)
    assert unsure > 2 * sure


@cache
def off_centre_scene() -> Scene:
    """A mixed card off the middle of LR, whose lens distorts; half size."""
    recipe = default_recipes(3, 2, wheel_library())[2]
    return shoot(recipe, SimulateSettings(size="half", nuisances=("off-centre-lens",)))


def half_scene(*nuisances: str) -> Scene:
    """A card of leaves, half size."""
    return shoot(default_recipes(1, 0, wheel_library())[0], SimulateSettings(size="half", nuisances=nuisances))
