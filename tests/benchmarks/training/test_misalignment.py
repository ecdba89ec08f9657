"""The experiment on misalignment: shifts go the right way, balance, and lose what they must; and the stored table."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from benchmarks.result_tables import read_csv

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

from benchmarks.training import misalignment
from benchmarks.training.least_squares import fitted, luma
from benchmarks.training.misalignment import SHIFTS, losses
from benchmarks.training.shifted_scenes import CAUSES, Scene, shifts_of
from benchmarks.training.spectra import kept_amplitude
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
    lr = hr.reshape(32, SCALE, 32, SCALE, 3).mean(axis=(1, 3))[4:28, 4:28]
    return Scene(name=str(seed), hr=hr, estimate=estimate, lr=np.rint(lr).astype(np.uint8))


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
    assert length == pytest.approx(14.0 if cause in ("constant", "turned") else 0.0, abs=1e-9)


def test_a_constant_shift_can_be_undone_and_a_random_one_cannot(monkeypatch):
    monkeypatch.setitem(SHIFTS, SCALE, (4.0,))
    train, test = [scene(n) for n in range(4)], [scene(n) for n in (10, 11)]
    exact = fitted(((each.lr_luma, each.warped()) for each in train), SCALE)
    found = {cause: losses(train, test, SCALE, cause, 4.0, exact) for cause in CAUSES}
    lost = {cause: np.mean(outcome.lost) for cause, outcome in found.items()}
    left = {cause: np.mean(outcome.left) for cause, outcome in found.items()}
    for cause in ("constant", "test"):
        assert lost[cause] > 0.3
        assert abs(left[cause]) < 0.3 * lost[cause]
        assert found[cause].pooled == pytest.approx(lost[cause], rel=0.3)
    assert lost["random"] == pytest.approx(left["random"])
    assert 0 < lost["random"] < lost["constant"]
    assert 0 < lost["turned"] < 0.8 * lost["constant"]  # flips and turns make one direction eight
    still = losses(train, test, SCALE, "constant", 0.0, exact)
    assert still.lost == pytest.approx([0, 0], abs=1e-9)
    assert found["random"].kept[1] < 0.9 * still.kept[1]  # different directions blur
    assert found["constant"].kept[1] > 0.95 * still.kept[1]  # one direction displaces


def test_filters_of_flips_and_turns_are_those_of_the_flipped_and_turned_pairs():
    rng = np.random.default_rng(3)
    pair = rng.standard_normal((16, 14)), rng.standard_normal((32, 28))
    turns = [tuple(np.rot90(image, k)[:, ::way] for image in pair) for k in range(4) for way in (1, -1)]
    np.testing.assert_allclose(fitted([pair], 2, turned=True), fitted(turns, 2), atol=1e-9)


def test_the_kept_amplitude_of_a_blurred_image_is_the_kernels_and_noise_adds_nothing():
    rng = np.random.default_rng(1)
    hr = rng.standard_normal((128, 128))
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128))
    blurred = np.fft.ifft2(np.fft.fft2(hr) * np.exp(-8 * frequency**2)).real
    shares = kept_amplitude([(blurred + 0.2 * rng.standard_normal(hr.shape), hr)], (0.1, 0.25), 0.02)
    assert shares == pytest.approx([np.exp(-0.08), np.exp(-0.5)], abs=0.05)


def test_the_stored_table_has_every_cause_and_shift():
    rows = read_csv(RESULT)
    seen = {(int(row["scale"]), row["shifted"], float(row["hr_px"])) for row in rows}
    assert seen == {(scale, cause, shift) for scale in SHIFTS for cause in CAUSES.values() for shift in SHIFTS[scale]}


def test_the_figure_has_a_curve_of_each_cause_at_both_scales():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra 'report')")
    tool = runpy.run_path(str(Path(misalignment.__file__).parents[2] / "tools" / "evidence_figures.py"))
    assert list(tool["CURVES"]) == list(CAUSES.values())
    figure = tool["misalignment"](tool["read_rows"](RESULT))
    drawn = [[bars.lines[0].get_xdata() for bars in ax.containers] for ax in figure.axes if ax.containers]
    assert [[list(x) for x in curves] for curves in drawn] == [[list(SHIFTS[scale][1:])] * 4 for scale in (8, 2)]
