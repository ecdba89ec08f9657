"""The ways of the benchmark leave out what they say, and its costs are paired."""

import numpy as np
import pytest

from benchmarks.accuracy.supplement_b import ALL_STEPS, REGISTRATIONS, WAYS, Altered, Way, by_kind, summarise
from d2crealsr.imaging import degrade, geometry

HR = np.random.default_rng(0).integers(0, 255, (96, 144, 3), dtype=np.uint8)


def test_hr_is_blurred_and_restricted_to_its_centre_where_that_is_a_step() -> None:
    hr = degrade.reduced(HR, 8, "srgb")
    everything, nothing = Altered.of(hr, Way()), Altered.of(hr, Way(False, False, False))
    assert np.array_equal(everything.blurred(hr.luma, 8.0), hr.blurred(hr.luma, 8.0))
    assert nothing.blurred(hr.luma, 8.0) is hr.luma
    centres = geometry.pixel_centres(hr.full_size)
    assert np.array_equal(nothing.holds(centres, margin_hr_px=8), hr.holds(centres, margin_hr_px=8))
    assert everything.holds(centres, margin_hr_px=8).mean() == pytest.approx(0.576**2, abs=0.02)


def row(seed: int, way: str, number: int, mean: float) -> dict[str, object]:
    return {"seed": seed, "kind": "text" if seed % 2 else "photos", "way": way, "registrations": number, "mean": mean}


def test_costs_are_paired_over_the_scenes_that_every_way_has_found() -> None:
    numbers = range(1, REGISTRATIONS + 1)
    rows = [
        row(seed, way, number, 0.1 * seed + (0.05 if way != ALL_STEPS else 0) + (0.02 if number < REGISTRATIONS else 0))
        for way in WAYS
        for number in numbers
        for seed in (1, 2, 3)
    ]
    rows += [row(4, way, number, float("nan") if way == "without blur" else 0.4) for way in WAYS for number in numbers]
    table = {(line["way"], line["registrations"]): line for line in summarise(rows)}
    assert table[ALL_STEPS, 1]["cost"] == pytest.approx(0.02)
    assert table["without blur", REGISTRATIONS]["cost"] == pytest.approx(0.05)
    assert table["without blur", REGISTRATIONS]["scenes"] == 3
    assert table["without blur", REGISTRATIONS]["failures"] == 1
    assert table["without brightness", REGISTRATIONS]["failures"] == 0
    assert by_kind(rows)[0] == {"way": "without blur", "text": "0.050 ± 0.000", "photos": "0.050 ± nan"}
