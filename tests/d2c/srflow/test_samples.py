"""What SRFlow draws: in strips as whole, and by names."""

from __future__ import annotations

import pytest
import torch

from d2c.networks import network_of
from d2c.networks.base.sampling import Sampling
from d2c.srflow.config import SRFlowConfig
from d2c.srflow.model import drawn
from tests.d2c.srflow.small_flow import NETWORK, images, small
from tests.d2c.strip_plans import plan_of


@pytest.mark.parametrize("scale", [4, pytest.param(8, marks=pytest.mark.slow)])
def test_strips_equal_the_whole_also_of_samples(scale):
    network = NETWORK.sampled(Sampling(samples=2, temperature=0.8))
    model = small(scale, random=0.03, features=2, growth=1, blocks=1, transitions=0, flow_steps=1, flow_features=2)
    config = network_of(model)[1]
    upscaler, reach = network.upscaler(config), network.reach_of(config)
    lr = torch.rand(1, 3, 2 * reach + 11, 3, dtype=torch.float64)
    made = []
    for rows in (lr.shape[2], 8):
        strips = list(upscaler.strips(model, lr, plan_of(lr, rows, keep_all=True), None, lambda: None))
        made.append([torch.cat([s.sr for s in strips], 1), torch.cat([s.more["samples"] for s in strips], 2)])
    assert made[0][0].shape == (3, scale * lr.shape[2], scale * 3)
    assert made[0][1].shape == (2, *made[0][0].shape)
    for whole, parts in zip(*made, strict=True):
        assert (whole - parts).abs().max() < 1e-12
    assert upscaler.channels == 9
    assert (made[0][1][0] - made[0][1][1]).abs().max() > 0.01
    with torch.no_grad():
        assert (model(lr)[0] - made[0][0]).abs().max() < 1e-12


def test_pixels_for_which_the_inverse_has_no_value_are_black():
    model, lr = small(), images(side=2, count=1)[0]
    model.flow.levels[0].steps[0].norm.logs.data[0, 0] = -1e6  # the inverse is infinite times what comes
    model.flow.levels[0].steps[0].norm.bias.data[0, 0] = torch.inf
    upscaler = NETWORK.upscaler(network_of(model)[1])
    (strip,) = upscaler.strips(model, lr, plan_of(lr, 2, keep_all=False), None, lambda: None)
    assert model(lr).isnan().any()
    assert not strip.sr.isnan().any()
    assert (strip.sr == 0).any()


def test_latents_are_standard_normal_times_the_temperature_and_repeat():
    like = torch.zeros(1, 6, 40, 50)
    made = [drawn(4, temperature, 1)(0, like) for temperature in (1.0, 1.0, 0.5)]
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], 2 * made[2])
    assert made[0].std().item() == pytest.approx(1, abs=0.02)
    assert not torch.equal(drawn(4, 1.0, 2)(0, like), made[0])
    assert torch.equal(drawn(4, 1.0, 1, first_row=4)(0, like[:, :, :32]), made[0][:, :, 8:])


def test_outputs_are_named_by_temperature_and_number():
    config = SRFlowConfig()
    assert NETWORK.outputs(config) == ["sr", "sample_0.9"]
    three = NETWORK.sampled(Sampling(samples=3, temperature=0.5))
    assert three.outputs(config) == ["sr", "sample_0.5_1", "sample_0.5_2", "sample_0.5_3"]
    assert NETWORK.outputs(config) == ["sr", "sample_0.9"]
