"""Intervals of 95 %."""

import numpy as np
import pytest

from benchmarks.intervals import half_width, mean_of, of_share, resolved


def test_an_interval_holds_the_mean_in_19_of_20_cases() -> None:
    rng = np.random.default_rng(0)
    found = [mean_of(rng.normal(3, 2, 8)) for _ in range(400)]
    assert np.mean([one.low < 3 < one.high for one in found]) == pytest.approx(0.95, abs=0.03)


def test_one_value_has_no_interval() -> None:
    assert mean_of([2.0]).mean == 2
    assert np.isnan(mean_of([2.0]).low)
    assert np.isnan(half_width([2.0]))


def test_the_interval_of_a_share_is_that_of_clopper_and_pearson() -> None:
    assert of_share(90, 100) == pytest.approx((0.8238, 0.9510), abs=1e-4)
    assert of_share(10, 10) == pytest.approx((0.6915, 1.0), abs=1e-4)
    assert of_share(0, 10) == pytest.approx((0.0, 0.3085), abs=1e-4)


@pytest.mark.parametrize(("values", "said"), [([1.0, 1.1, 0.9], "yes"), ([1.0, -1.0, 0.1], "no"), ([5.0], "")])
def test_one_value_resolves_nothing_and_is_not_said_to_be_unresolved(values: list[float], said: str) -> None:
    assert resolved(values) == said
