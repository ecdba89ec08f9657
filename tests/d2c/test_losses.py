"""Losses against formulas written out by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from d2c.losses import attenuation, convergence_loss, divergence_loss, shared_branches, standardise, triplet_loss

OPTIONS = {"alpha": 0.01, "theta": 0.8, "margin": 0.1}


def literal_texture(rgb):
    y = (65.481 * rgb[0] + 128.553 * rgb[1] + 24.966 * rgb[2]) / 255 + 16 / 255
    return (y - y.mean()) / y.std()


def literal_ancestors(leaf, depth, width):
    path = []
    for _ in range(depth):
        path.insert(0, leaf)
        leaf //= width
    return path


def literal_triplet(predictions, hr, depth, width, theta, margin, siblings=None):
    """Eqs. 2 to 6 sample by sample and pair by pair, in numpy."""
    count = width**depth
    totals = []
    for sample, truth in zip(predictions, hr, strict=True):
        residuals = [abs(literal_texture(x) - literal_texture(truth)) for x in sample]
        total = 0.0
        for i, j in itertools.permutations(range(count), 2):
            a, b = literal_ancestors(i, depth, width), literal_ancestors(j, depth, width)
            shared = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=True)))
            gap = siblings if siblings is not None and shared == depth - 1 else margin
            d_positive = np.mean(residuals[i] ** 2)
            d_negative = np.mean((residuals[i] - residuals[j]) ** 2)
            total += theta ** ((1 + shared) - 1) * max(d_positive - d_negative + gap, 0)
        totals.append(total / (count * (count - 1)))
    return np.mean(totals)


@pytest.mark.parametrize("siblings", [None, 0.5])
@pytest.mark.parametrize(("depth", "width"), [(1, 2), (2, 2), (3, 2), (1, 4), (2, 3)])
def test_gram_form_equals_the_literal_double_loop(depth, width, siblings):
    generator = torch.Generator().manual_seed(depth * 10 + width)
    hr = torch.rand(3, 3, 9, 7, generator=generator, dtype=torch.float64)
    noise = torch.randn(3, width**depth, 3, 9, 7, generator=generator, dtype=torch.float64)
    predictions = hr[:, None] + 0.2 * noise
    for margin in (0.0, 0.1, 3.0):
        found = triplet_loss(
            predictions, hr, tree=(depth, width), theta=0.7, margin=margin, margin_siblings=siblings
        ).item()
        expected = literal_triplet(predictions.numpy(), hr.numpy(), depth, width, 0.7, margin, siblings)
        assert expected > 0
        assert found == pytest.approx(expected, rel=1e-12)


def test_hinge_is_per_sample():
    """One sample far under the hinge must not lower another's loss, as it would were distances averaged first."""
    generator = torch.Generator().manual_seed(0)
    hr = torch.rand(2, 3, 8, 8, generator=generator, dtype=torch.float64)
    predictions = hr[:, None] + 0.01 * torch.randn(2, 4, 3, 8, 8, generator=generator, dtype=torch.float64)
    predictions[1] = torch.rand(4, 3, 8, 8, generator=generator, dtype=torch.float64)
    options = {"tree": (2, 2), "theta": 0.8, "margin": 0.1, "margin_siblings": None}
    both = triplet_loss(predictions, hr, **options)
    alone = [triplet_loss(predictions[k : k + 1], hr[k : k + 1], **options) for k in (0, 1)]
    torch.testing.assert_close(both, (alone[0] + alone[1]) / 2)


def test_reconstruction_is_the_sum_of_mean_squared_errors():
    predictions, hr = torch.rand(2, 4, 3, 6, 5), torch.rand(2, 3, 6, 5)
    terms = divergence_loss(predictions, hr, tree=(2, 2), **OPTIONS)
    expected = sum(((predictions[:, i] - hr) ** 2).mean() for i in range(4))
    torch.testing.assert_close(terms.reconstruction, expected)
    torch.testing.assert_close(terms.total, terms.reconstruction + 0.01 * terms.triplet)
    torch.testing.assert_close(convergence_loss(predictions[:, 0], hr), ((predictions[:, 0] - hr) ** 2).mean())


def test_attenuation_of_the_baseline():
    beta = attenuation(2, 2, 0.8)
    expected = torch.tensor([[0, 0.8, 1, 1], [0.8, 0, 1, 1], [1, 1, 0, 0.8], [1, 1, 0.8, 0]], dtype=torch.float64)
    off = ~torch.eye(4, dtype=torch.bool)
    torch.testing.assert_close(beta[off], expected[off])
    assert attenuation(3, 2, 0.5)[0].tolist()[1:] == [0.25, 0.5, 0.5, 1, 1, 1, 1]
    assert shared_branches(2, 2).tolist()[0] == [2, 1, 0, 0]


def test_gradcheck():
    generator = torch.Generator().manual_seed(3)
    hr = torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    predictions = torch.rand(2, 4, 3, 4, 5, generator=generator, dtype=torch.float64).requires_grad_()

    def loss(x):
        return divergence_loss(x, hr, tree=(2, 2), alpha=0.3, theta=0.8, margin=2.0).total

    assert torch.autograd.gradcheck(loss, (predictions,))
    sr = torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: convergence_loss(x, hr), (sr,))


def gradient(predictions, hr, **changes):
    predictions = predictions.detach().requires_grad_()
    divergence_loss(predictions, hr, tree=(2, 2), **{**OPTIONS, **changes}).total.backward()
    return predictions.grad


def test_each_term_changes_the_gradient():
    generator = torch.Generator().manual_seed(4)
    hr = torch.rand(2, 3, 8, 8, generator=generator)
    spread = torch.tensor([0.02, 0.05, 0.1, 0.3])[:, None, None, None]  # so that the margin decides some hinges
    predictions = hr[:, None] + spread * torch.randn(2, 4, 3, 8, 8, generator=generator)
    plain = gradient(predictions, hr, alpha=0.0)
    torch.testing.assert_close(plain, 2 * (predictions - hr[:, None]) / (2 * 3 * 64))
    full = gradient(predictions, hr)
    triplet = full - plain
    assert triplet.norm() > 1e-3 * plain.norm()
    assert (gradient(predictions, hr, theta=0.1) - full).norm() > 1e-3 * triplet.norm()
    assert (gradient(predictions, hr, margin=5.0) - full).norm() > 1e-3 * triplet.norm()
    assert (gradient(predictions, hr, margin_siblings=5.0) - full).norm() > 1e-3 * triplet.norm()


def test_triplet_pushes_predictions_apart():
    generator = torch.Generator().manual_seed(5)
    hr = torch.rand(1, 3, 16, 16, generator=generator)
    predictions = hr[:, None] + 0.1 * torch.randn(1, 4, 3, 16, 16, generator=generator)
    options = {"tree": (2, 2), "theta": 0.8, "margin": 1.0, "margin_siblings": None}
    for _ in range(5):
        predictions = predictions.detach().requires_grad_()
        loss = triplet_loss(predictions, hr, **options)
        (grad,) = torch.autograd.grad(loss, predictions)
        predictions = predictions - 0.5 * grad
    assert triplet_loss(predictions, hr, **options) < loss


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("noise", [0.0, 1e-9])
def test_flat_patches_are_finite(dtype, noise):
    flat = 0.3 + noise * torch.randn(1, 4, 3, 6, 6, dtype=dtype)
    textured = torch.rand(1, 3, 6, 6, dtype=dtype)
    for predictions, hr in (
        (flat, textured),
        (flat, flat[:, 0]),
        (textured[:, None].repeat(1, 4, 1, 1, 1), flat[:, 0]),
    ):
        found = gradient(predictions, hr)
        assert torch.isfinite(found).all()
    assert standardise(flat).abs().max() == 0


def test_standardise_is_per_image_with_population_sigma():
    rgb = torch.rand(3, 3, 5, 4, dtype=torch.float64)
    for found, image in zip(standardise(rgb), rgb, strict=True):
        np.testing.assert_allclose(found.numpy(), literal_texture(image.numpy()), rtol=1e-10)


def test_a_single_prediction_has_no_triplet():
    predictions, hr = torch.rand(2, 1, 3, 6, 5, requires_grad=True), torch.rand(2, 3, 6, 5)
    terms = divergence_loss(predictions, hr, tree=(3, 1), **OPTIONS)
    assert terms.triplet == 0
    terms.total.backward()
    assert torch.isfinite(predictions.grad).all()


def test_autocast_does_not_reach_the_losses():
    predictions, hr = torch.rand(1, 4, 3, 32, 32), torch.rand(1, 3, 32, 32)
    expected = divergence_loss(predictions, hr, tree=(2, 2), **OPTIONS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = divergence_loss(predictions, hr, tree=(2, 2), **OPTIONS)
        half = divergence_loss(predictions.bfloat16(), hr, tree=(2, 2), **OPTIONS)
    assert found == expected
    assert half.total.dtype == torch.float32
    assert half.triplet.item() == pytest.approx(expected.triplet.item(), rel=0.02)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.2, 3), st.floats(-0.5, 0.5))
def test_texture_ignores_brightness_and_contrast(gain, offset):
    rgb = torch.rand(2, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    torch.testing.assert_close(standardise(gain * rgb + offset), standardise(rgb))


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"predictions: got shape .*expected \(N, 4, 3, H, W\)"):
        divergence_loss(torch.rand(1, 3, 3, 4, 4), torch.rand(1, 3, 4, 4), tree=(2, 2), **OPTIONS)
    with pytest.raises(ValueError, match="hr: got shape"):
        divergence_loss(torch.rand(1, 4, 3, 4, 4), torch.rand(1, 3, 8, 8), tree=(2, 2), **OPTIONS)
    assert math.isfinite(divergence_loss(torch.rand(1, 4, 3, 4, 4), torch.rand(1, 3, 4, 4), tree=(2, 2), **OPTIONS)[2])
