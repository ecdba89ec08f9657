"""The tail of log-variance: it learns from features how large an error is, and leaves the net as it is."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

import torch

from benchmarks.training import log_variance
from benchmarks.training.log_variance import Sample, fitted_tail, sample
from benchmarks.training.sparsification import rank_correlation


def made(seed):
    """Features of noise, and errors whose size the first of them says."""
    features = torch.from_numpy(np.random.default_rng(seed).standard_normal((1, 3, 9, 12)).astype(np.float32))
    return Sample(features, torch.exp(2 * features[0, 0] + 3))


def test_the_tail_predicts_the_error_of_images_it_has_not_seen(monkeypatch):
    monkeypatch.setattr(log_variance, "STEPS", 50)
    monkeypatch.setattr(log_variance, "RATE", 1e-2)
    tail = fitted_tail([made(k) for k in range(6)], [made(6)])
    other = made(7)
    with torch.no_grad():
        found = tail(other.features)[0, 0].numpy()
    inner = (slice(1, -1), slice(1, -1))
    assert rank_correlation(found[inner], other.squares.numpy()[inner]) > 0.9
    assert abs(found[inner].mean() - 3) < 0.5


def test_a_sample_has_the_features_of_all_leaves_and_squared_errors():
    class Net:
        def leaf_features(self, lr):
            return [lr, 2 * lr]

    lr = np.full((4, 5, 3), 51, np.uint8)
    found = sample(Net(), lr, np.full((4, 5), 3.0))
    assert found.features.shape == (1, 6, 4, 5)
    assert found.features[0, :, 0, 0].tolist() == pytest.approx([0.2] * 3 + [0.4] * 3)
    assert found.squares.tolist() == [[9.0] * 5] * 4
