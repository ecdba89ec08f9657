"""HR that is moved to where it fits a prediction: the shifts found, what is left alone, and the moved pixels."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from d2c.realignment import LEAST_LR_PX, MARGIN_LR_PX, MOST_LR_PX, moved, realigned, shift_of
from d2c.training.graph import CaptureGuard

SIDE = 24
SHIFTS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.3, -0.7), (-0.9, -1.1), (0.25, 0.5))
"""In LR px."""


@functools.cache
def texture(scale, side=SIDE, margin=0, shift=(0, 0), seed=0):
    """Grey waves of at least four LR px, as LR has them: ``(1, 3, H, W)`` in double precision, moved by HR px."""
    rng = np.random.default_rng(seed)
    fx, fy = rng.uniform(-np.pi / 2, np.pi / 2, (2, 40)) / scale
    places = np.arange(-margin * scale, (side + margin) * scale)
    rows = np.exp(1j * (np.outer(places - shift[1], fy) + rng.uniform(0, 2 * np.pi, 40)))
    waves = (rows @ np.exp(1j * np.outer(fx, places - shift[0]))).real
    return torch.from_numpy(0.5 + 0.045 * waves).expand(1, 3, -1, -1)


def sr(scale, **changes):
    return texture(scale, **changes).float()


def hr(scale, *lr_px, **changes):
    """HR with its margin, whose content lies that many LR px to the right of and below the prediction's."""
    return texture(scale, margin=MARGIN_LR_PX, shift=tuple(scale * d for d in lr_px or (0, 0)), **changes).float()


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize(("scale", "tolerance"), [(1, 0.06), (2, 0.006), (3, 0.006), (4, 0.006), (8, 0.006)])
def test_the_shift_is_where_hr_has_the_content_minus_where_the_prediction_has_it(scale, shift, tolerance):
    found, variance = shift_of(sr(scale), hr(scale, *shift))
    assert found.shape == (1, 2)
    assert (found[0] / scale - torch.tensor(shift)).abs().max() < tolerance
    assert 0 < variance.item() < (0.25 * scale) ** 2


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_hr_lies_on_the_prediction_afterwards(scale, shift):
    wanted, given = sr(scale), hr(scale, *shift)
    inner = given[..., 2 * scale : -2 * scale, 2 * scale : -2 * scale]
    got = realigned(wanted, given)
    assert got.hr.shape == wanted.shape
    assert got.length.item() / scale == pytest.approx(np.hypot(*shift), abs=0.05)
    assert (got.hr - wanted).square().mean() < 0.005 * (inner - wanted).square().mean()


@pytest.mark.parametrize(("contrast", "brightness"), [(0.2, 0.4), (0.5, 0.3), (0.9, -0.2), (1.6, -0.4), (3, 0)])
def test_brightness_and_contrast_of_the_prediction_do_not_matter(contrast, brightness):
    found, _ = shift_of(contrast * sr(4) + brightness, hr(4, 0.75, -0.5))
    assert (found[0] - torch.tensor([3.0, -2.0])).abs().max() < 0.1


def test_a_prediction_in_luma_alone_is_enough():
    assert torch.allclose(shift_of(sr(4)[:, :1], hr(4, 0.75, -0.5))[0], torch.tensor([[3.0, -2.0]]), atol=0.05)


@pytest.mark.parametrize("scale", [1, 2, 8])
def test_where_nothing_can_be_seen_nothing_is_moved(scale):
    flat = torch.full_like(sr(scale), 0.4)
    wide = torch.full_like(hr(scale), 0.4)
    rounded = (255 * (flat + 0.3 / 255 * torch.randn(flat.shape, generator=torch.Generator().manual_seed(0)))).round()
    for prediction, given in ((flat, hr(scale, 1, 1)), (sr(scale), wide), (flat, wide), (rounded / 255, wide)):
        got = realigned(prediction, given)
        assert got.length == 0
        margin = MARGIN_LR_PX * scale
        assert torch.equal(got.hr, given[..., margin:-margin, margin:-margin])


@pytest.mark.parametrize("scale", [1, 2, 8])
def test_noise_is_not_moved(scale):
    generator = torch.Generator().manual_seed(0)
    predictions, given = (image.expand(8, -1, -1, -1) for image in (sr(scale), hr(scale, 0.5, 0)))
    noise, around = (torch.rand(x.shape, generator=generator) for x in (predictions, given))
    assert realigned(noise, around).length == 0
    assert realigned(predictions, around).length == 0
    assert realigned(noise, given).length == 0


@pytest.mark.parametrize("scale", [2, 8])
def test_shifts_below_the_least_one_keep_the_pixels_and_longer_ones_do_not(scale):
    margin = MARGIN_LR_PX * scale
    for share in (0, 0.5, 0.9):
        given = hr(scale, 0, -share * LEAST_LR_PX)
        got = realigned(sr(scale), given)
        assert got.length == 0
        assert torch.equal(got.hr, given[..., margin:-margin, margin:-margin])
    assert 0 < realigned(sr(scale), hr(scale, 0, -1.3 * LEAST_LR_PX)).length < LEAST_LR_PX * scale


@pytest.mark.parametrize("scale", [2, 4])
def test_the_longest_shift_stays_within_the_image(scale):
    for far in ((1.8, 0), (0, -1.8), (1.3, 1.3)):
        got = realigned(sr(scale), hr(scale, *far))
        assert got.length.item() == pytest.approx(MOST_LR_PX * scale, rel=1e-6)
        limited = torch.tensor([far]) * scale * MOST_LR_PX / np.hypot(*far)
        wanted = moved(hr(scale, *far), limited.float(), MARGIN_LR_PX * scale)
        assert (got.hr - wanted).abs().max() < 0.01
        assert hr(scale, *far).min() - 0.05 < got.hr.min() < got.hr.max() < hr(scale, *far).max() + 0.05


@pytest.mark.parametrize(("x", "y"), [(0, 0), (3, 0), (-4, 2), (4, 4), (-4, -4), (1, -3)])
def test_whole_pixels_are_copied(x, y):
    images = torch.rand(2, 3, 17, 21, generator=torch.Generator().manual_seed(1))
    got = moved(images, torch.tensor([[x, y], [0, 0]]).float(), 4)
    assert torch.equal(got[0], images[0, :, 4 + y : 13 + y, 4 + x : 17 + x])
    assert torch.equal(got[1], images[1, :, 4:13, 4:17])


@pytest.mark.parametrize("shift", [(0.3, 0.7), (-1.4, 0.25), (0.5, -0.5)])
def test_fractions_of_pixels_are_those_of_the_waves(shift):
    given = texture(2, margin=6)
    got = moved(given, torch.tensor([shift], dtype=torch.float64), 12)
    assert (got - texture(2, shift=(-shift[0], -shift[1]))).abs().max() < 0.004
    there = moved(given, torch.tensor([shift], dtype=torch.float64), 6)
    back = moved(there, -torch.tensor([shift], dtype=torch.float64), 6)
    assert (back - texture(2)).abs().max() < 0.008
    flat = moved(torch.full_like(given, 0.3), torch.tensor([shift], dtype=torch.float64), 12)
    assert (flat - 0.3).abs().max() < 1e-12


def test_the_patches_of_a_batch_do_not_know_of_each_other():
    shifts = [(0.5, 0), (0, 0), (-0.25, 1.0), (1.5, -1.2)]
    predictions = torch.cat([sr(2, seed=k) for k in range(4)])
    given = torch.cat([hr(2, *shift, seed=k) for k, shift in enumerate(shifts)])
    whole, order = realigned(predictions, given), [2, 0, 3, 1]
    turned = realigned(predictions[order], given[order])
    torch.testing.assert_close(turned.hr, whole.hr[order], rtol=0, atol=1e-5)
    alone = [realigned(predictions[k : k + 1], given[k : k + 1]) for k in range(4)]
    torch.testing.assert_close(torch.cat([each.hr for each in alone]), whole.hr, rtol=0, atol=1e-5)
    assert [bool(each.length) for each in alone] == [True, False, True, True]
    torch.testing.assert_close(torch.stack([each.length for each in alone]).mean(), whole.length)


def test_a_prediction_gets_no_gradient():
    prediction, given = sr(2).clone().requires_grad_(), hr(2, 0.5, 0.5)
    got = realigned(prediction, given)
    assert got.length > 0
    assert not got.hr.requires_grad
    assert not got.length.requires_grad
    (prediction - got.hr).square().sum().backward()
    assert torch.equal(prediction.grad, 2 * (prediction.detach() - got.hr))


def test_the_precision_of_hr_remains_and_half_of_it_becomes_single():
    double = realigned(texture(2), texture(2, margin=2, shift=(1, -1)))
    assert double.hr.dtype == double.length.dtype == torch.float64
    single = realigned(sr(2), hr(2, 0.5, -0.5))
    torch.testing.assert_close(single.hr, double.hr.float(), rtol=0, atol=1e-4)
    for half in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype=half):
            got = realigned(sr(2).to(half), hr(2, 0.5, -0.5))
            rounded = realigned(sr(2).to(half), hr(2, 0.5, -0.5).to(half))
        assert got.hr.dtype == got.length.dtype == rounded.hr.dtype == torch.float32
        torch.testing.assert_close(got.hr, single.hr, rtol=0, atol=0.01)
        assert torch.equal(got.hr, realigned(sr(2).to(half).float(), hr(2, 0.5, -0.5)).hr), "autocast changes nothing"


def test_a_step_with_it_can_be_one_cuda_graph():
    plain = realigned(sr(2), hr(2, 0.5, -0.5))
    with CaptureGuard():
        guarded = realigned(sr(2), hr(2, 0.5, -0.5))
    assert torch.equal(guarded.hr, plain.hr)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("scale", [1, 2])
def test_what_is_not_finite_spoils_its_own_patch_alone(scale, value):
    """It is no index error; training then says that the loss is not finite."""
    broken = sr(scale).clone()
    broken[0, 1, 3, 3] = value
    got = realigned(torch.cat([broken, sr(scale)]), torch.cat([hr(scale, 1, 0)] * 2))
    assert got.hr[0].isnan().all()
    assert got.length.isnan()
    torch.testing.assert_close(got.hr[1], realigned(sr(scale), hr(scale, 1, 0)).hr[0], rtol=0, atol=1e-5)
