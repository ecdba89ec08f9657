"""What a row says: constants that are the best, and noise with the deviation of the predictions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from d2c.comparison.worth import measures
from d2c.comparison.worth.measures import COLUMNS, best_constants, measured, noisy
from d2c.metrics import psnr_y


@pytest.fixture(params=[(20, 24), (900, 800)], ids=["small", "large"])
def predicted(request, monkeypatch):
    """Three predictions of an image, of which .7 of the first and .3 of the second are the truth but for noise."""
    rng = np.random.default_rng(0)
    predictions = np.float32(rng.uniform(0.2, 0.8, (3, *request.param, 3)))
    truth = 0.7 * predictions[0] + 0.3 * predictions[1] + rng.normal(0, 0.01, predictions[0].shape)
    weights = np.zeros((3, *request.param, 1), np.float32)
    weights[0] = 1.0
    made = (predictions, weights, predictions[0])
    monkeypatch.setattr(measures, "_predictions", lambda *_: made)
    monkeypatch.setattr(measures, "network_of", lambda _: (None, SimpleNamespace(scale=2)))
    return predictions, SimpleNamespace(hr=truth)


def test_the_best_constants_are_those_that_made_the_truth(predicted):
    _, pair = predicted
    found = best_constants(None, [pair, pair], "fp32")
    np.testing.assert_allclose(found, [0.7, 0.3, 0.0], atol=0.01)
    assert found.sum() == pytest.approx(1.0)


def test_predictions_that_are_all_the_truth_have_equal_constants(predicted, monkeypatch):
    predictions, _ = predicted
    same = np.rint(255 * predictions[:1].repeat(3, axis=0)) / 255
    monkeypatch.setattr(measures, "_predictions", lambda *_: (same, None, None))
    np.testing.assert_allclose(best_constants(None, [SimpleNamespace(hr=same[0])], "fp32"), 1 / 3)


def test_a_row_has_every_column_and_the_constants_are_above_the_mean(predicted):
    predictions, pair = predicted
    row = measured(None, [pair, pair], "fused", np.array([0.65, 0.35, 0.0]), "fp32")
    assert set(row) == set(COLUMNS)
    assert row["result"] == pytest.approx(psnr_y(predictions[0], np.rint(255 * pair.hr).astype(np.uint8), 2))
    assert row["constants"] > row["result"] > row["mean"]
    assert row["oracle"] > row["mean"]
    assert row["result_pooled"] == pytest.approx(row["result"])  # of two equal images
    assert row["weight_departure"] == pytest.approx((2 / 3 + 1 / 3 + 1 / 3) / 3)
    assert measured(None, [pair], "mean", np.ones(3) / 3, "fp32")["result"] == pytest.approx(row["mean"])
    assert set(measured(None, [pair], "fused", None, "fp32")) == {"result", "result_pooled"}


@pytest.mark.parametrize("by_gradient", [False, True])
def test_noise_has_the_mean_and_the_deviation_that_were_asked_for(by_gradient):
    ramp = np.linspace(0.3, 0.7, 64) ** 2
    mean = np.broadcast_to(ramp[None, :, None], (48, 64, 3)).copy()
    made = noisy(mean, 1.5, 4, np.random.default_rng(1), by_gradient=by_gradient)
    np.testing.assert_allclose(made.mean(axis=0), mean, atol=1e-6)
    deviation = measures._luma(mean) - np.stack([measures._luma(image) for image in made])
    assert np.sqrt(np.square(deviation).mean()) == pytest.approx(1.5, rel=1e-4)
    left, right = (np.sqrt(np.square(deviation[:, :, part]).mean()) for part in (slice(1, 16), slice(48, 63)))
    slope = np.gradient(ramp) if by_gradient else np.ones(64)
    expected = np.sqrt(np.square(slope[48:63]).mean() / np.square(slope[1:16]).mean())
    assert right / left == pytest.approx(expected, rel=0.1)
