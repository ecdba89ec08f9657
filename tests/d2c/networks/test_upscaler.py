"""Whole images with the defaults of a network: padded, in strips where it says how far it looks, else refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from own_network import Own, OwnConfig, Whole

from d2c.errors import MemoryNeedError
from d2c.inference.plan import make_plan
from d2c.inference.run import as_image, upscale, upscale_strips
from d2c.networks.base.mirror import mirrored

CPU = torch.device("cpu")


def network(kind=Own, **changes):
    torch.manual_seed(0)
    made = kind("own_network:" + kind.__name__)
    return made, made.make(OwnConfig(scale=2, **changes)).eval()


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (7, 21), (16, 12)])
def test_strips_are_the_whole(size):
    own, model = network()
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    whole = upscale(model, pixels)
    assert whole.sr.shape == (2 * size[0], 2 * size[1], 3)
    assert whole.more == {}
    plan = make_plan(own.upscaler(OwnConfig(scale=2)), size[::-1], CPU)
    assert plan.strip == size[0]
    for rows in (4, 8):
        strips = upscale_strips(model, pixels, dataclasses.replace(plan, strip=rows))
        np.testing.assert_allclose(np.concatenate([as_image(s.sr) for s in strips]), whole.sr, atol=1e-6)


def test_what_is_padded_is_mirrored_and_cut_off():
    _, model = network()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3)).astype(np.uint8)
    padded = np.pad(pixels, ((0, 2), (0, 3), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(upscale(model, pixels).sr, upscale(model, padded).sr[:12, :10])


def test_values_are_in_the_networks_range():
    _, model = network()
    lr = torch.rand(1, 3, 4, 4)
    expected = model(lr * 255)[0] / 255
    found = upscale(model, np.rint(np.moveaxis(lr[0].numpy(), 0, -1) * 65535).astype(np.uint16)).sr
    np.testing.assert_allclose(found, as_image(expected.detach()), atol=1e-4)


def test_less_memory_means_smaller_strips_and_then_a_refusal():
    own, _ = network()
    upscaler = own.upscaler(OwnConfig(scale=2))
    plans = [make_plan(upscaler, (400, 400), CPU, max_memory=size) for size in (10**8, 2 * 10**7)]
    assert (plans[0].strip, plans[0].spill) == (400, False)
    assert 4 <= plans[1].strip < 400
    assert plans[1].memory <= 2 * 10**7
    with pytest.raises(
        MemoryNeedError, match=r"image: upscaling 400x400 pixels by 2 needs about .* gives 1\.0 MB; crop"
    ):
        make_plan(upscaler, (400, 400), CPU, max_memory=10**6)


def test_a_network_whose_pixels_depend_on_all_others_says_why_it_takes_no_strips():
    whole, model = network(Whole)
    plan = make_plan(whole.upscaler(OwnConfig(scale=2)), (400, 400), CPU, max_memory=10**8)
    assert plan.strip == 400
    message = r"gives 20\.0 MB \(own_network:Whole takes images whole, not in strips: each of its pixels may depend on"
    with pytest.raises(MemoryNeedError, match=message):
        make_plan(whole.upscaler(OwnConfig(scale=2)), (400, 400), CPU, max_memory=2 * 10**7)
    upscale(model, np.zeros((5, 3, 3), np.uint8))


def test_mirroring_goes_on_where_an_image_is_smaller_than_its_padding():
    assert mirrored(torch.tensor([[[[7.0]]]]), 4)[0, 0].tolist() == [[7.0] * 4] * 4
    assert mirrored(torch.tensor([[[[1.0, 2.0]]]]), 4)[0, 0, 0].tolist() == [1.0, 2.0, 1.0, 2.0]
