"""The spread of residuals at each brightness."""

import numpy as np
import pytest

from d2crealsr.registration.noise import relative_spread


def test_the_spread_follows_the_brightness() -> None:
    rng = np.random.default_rng(0)
    brightness = rng.uniform(0, 1, 40_000).astype(np.float32)
    sigma = 0.004 + 0.012 * (1 - brightness)
    found = relative_spread((sigma * rng.normal(size=40_000)).astype(np.float32), brightness, np.ones(40_000, bool))
    dark, bright = (float(np.mean(found[part])) for part in (brightness < 0.1, brightness > 0.9))
    assert dark / bright == pytest.approx(3.25, rel=0.15)  # the limit on small spreads takes a tenth of it


def test_pixels_that_are_not_trusted_do_not_count() -> None:
    rng = np.random.default_rng(0)
    brightness = np.linspace(0, 1, 4000, dtype=np.float32)
    residual = rng.normal(0, 0.01, 4000).astype(np.float32)
    trusted = np.ones(4000, bool)
    before = relative_spread(residual, brightness, trusted)
    residual[::3], trusted[::3] = 5.0, False
    after = relative_spread(residual, brightness, trusted)
    assert after == pytest.approx(before, abs=0.2)


@pytest.mark.parametrize(("count", "size"), [(0, 0.01), (60, 0.01), (4000, 0.0)])
def test_with_too_few_residuals_or_none_at_all_every_brightness_counts_the_same(count: int, size: float) -> None:
    residual = np.full(count, size, np.float32)
    assert np.all(relative_spread(residual, np.linspace(0, 1, count, dtype=np.float32), residual >= 0) == 1)


def test_a_clean_brightness_does_not_take_all_the_weight() -> None:
    brightness = np.linspace(0, 1, 4000, dtype=np.float32)
    residual = np.where(brightness > 0.8, 0, np.random.default_rng(0).normal(0, 0.01, 4000)).astype(np.float32)
    found = relative_spread(residual, brightness, np.ones(4000, bool))
    assert found.min() == pytest.approx(0.3, abs=0.01)
