"""The captures of the benchmark of scale 1, and what it makes of its rows."""

import numpy as np
import pytest

from benchmarks.accuracy import same_scale
from d2crealsr.truth.shift import linear_luma, measure_shift


def test_a_moved_pair_is_moved_by_its_mapping() -> None:
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(20, 230, (40, 60, 3)), np.ones((6, 6, 1))).astype(np.uint8)
    pair = same_scale.moved(2, picture)
    shift = measure_shift(linear_luma(pair.lr)[20:-20, 20:-20], linear_luma(pair.hr), (20.0, 20.0))
    assert shift.field.coefficients[0] == pytest.approx(pair.true.H_hr_to_lr[:2, 2], abs=0.03)


def test_the_summary_counts_accepted_pairs_only() -> None:
    good = {"pairs": "moved", "card": "text", "status": "accepted", "mean": 0.01, "rms": 0.012, "sigma_hr_px": 0.01}
    table = same_scale.summarise([good, good | {"status": "low_texture"}])
    assert table[0]["accepted"] == 1
    assert table[0]["true/predicted"] == pytest.approx(1.2)
