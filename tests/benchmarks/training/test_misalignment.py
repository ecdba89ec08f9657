"""The experiment on misalignment: shifts go the right way, balance, and lose what they must; and the stored table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.result_tables import read_csv

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

from benchmarks.training import misalignment
from benchmarks.training.least_squares import fitted, luma
from benchmarks.training.misalignment import CAUSES, SHIFTS, Scene, losses, shifts_of
from d2crealsr import opencv
from d2crealsr.imaging import geometry
from d2crealsr.imaging.estimate import Estimate
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.imaging.photometry import Photometry
from d2crealsr.imaging.placement import Placement
from d2crealsr.types import Crop, Size

RESULT = Path(misalignment.__file__).parents[1] / "results" / "misalignment.csv"
SCALE = 8


def scene(seed):
    """A scene whose HR lies on LR's grid already, 24x24 LR px of 32x32."""
    noise = np.random.default_rng(seed).normal(128, 400, (256, 256, 3)).astype(np.float32)
    hr = np.clip(opencv.blur(noise, 5.0), 0, 255).astype(np.uint8)
    crop = Crop(4, 4, 24, 24)
    mapping = CaptureMapping(
        H_hr_to_lr=geometry.inverse(geometry.scaling(SCALE)), hr_size=Size(256, 256), lr_size=Size(32, 32)
    )
    estimate = Estimate(placement=Placement(mapping, crop, SCALE), light=Photometry(tone="srgb"))
    lr = luma(hr).reshape(32, SCALE, 32, SCALE).mean(axis=(1, 3))[4:28, 4:28]
    return Scene(hr=hr, estimate=estimate, lr=lr.astype(np.float32))


def test_a_shift_moves_the_content_of_hr():
    one = scene(0)
    still = one.warped()
    np.testing.assert_allclose(still, luma(one.hr)[32:224, 32:224], atol=0.6)
    moved = one.warped((3.0, -2.0))
    np.testing.assert_allclose(moved[:-2, 3:], still[2:, :-3], atol=0.6)


@pytest.mark.parametrize("cause", CAUSES)
def test_shifts_have_their_length_and_own_directions_add_up_to_zero(cause):
    shifts = np.array(shifts_of(cause, 2.0, 7))
    np.testing.assert_allclose(np.linalg.norm(shifts, axis=1), 2.0)
    length = np.linalg.norm(shifts.sum(axis=0))
    assert length == pytest.approx(14.0 if cause == "constant" else 0.0, abs=1e-9)


def test_a_constant_shift_can_be_undone_and_a_random_one_cannot(monkeypatch):
    monkeypatch.setitem(SHIFTS, SCALE, (4.0,))
    train, test = [scene(n) for n in range(4)], [scene(n) for n in (10, 11)]
    exact = fitted(((each.lr, each.warped()) for each in train), SCALE)
    found = {cause: np.mean(losses(train, test, SCALE, cause, 4.0, exact), axis=1) for cause in CAUSES}
    for cause in ("constant", "test"):
        lost, left = found[cause]
        assert lost > 0.3
        assert abs(left) < 0.3 * lost
    assert found["random"][0] == pytest.approx(found["random"][1])
    assert 0 < found["random"][0] < found["constant"][0]


def test_the_stored_table_has_every_cause_and_shift():
    rows = read_csv(RESULT)
    seen = {(int(row["scale"]), row["shifted"], float(row["hr_px"])) for row in rows}
    assert seen == {(scale, cause, shift) for scale in SHIFTS for cause in CAUSES.values() for shift in SHIFTS[scale]}
