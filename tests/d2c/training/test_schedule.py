"""Schedules as numbers."""

from __future__ import annotations

import math

import pytest
import torch

from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.network import D2CSR
from d2c.d2csr.presets import PRESETS
from d2c.d2csr.stages import ConvergenceStage, DivergenceStage, triplet_weight
from d2c.data.patches import Batch
from d2c.errors import ConfigError
from d2c.networks import find
from d2c.networks.base.stage import pixel_loss
from d2c.training.engine import Engine
from d2c.training.stages import stage_steps


def learning_rate(epoch, config):
    return DivergenceStage(D2CSR(D2CConfig(features=2, groups=1, blocks=1)), config).learning_rate(epoch)


def test_learning_rate_halves():
    paper = PRESETS["paper"].train
    assert [learning_rate(e, paper) for e in (0, 1999, 2000, 3999, 4000)] == [1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5]
    assert learning_rate(10**6, TrainConfig(lr_halve_epochs=0)) == 1e-4


def test_triplet_acts_all_the_time_by_default():
    assert {triplet_weight(epoch, TrainConfig(alpha=0.02)) for epoch in (0, 1, 999, 10**5)} == {0.02}


def test_triplet_of_the_released_code():
    released = PRESETS["released"].train
    acting = [epoch for epoch in range(4000) if triplet_weight(epoch, released)]
    assert acting == [e for e in range(4000) if e > 200 and e % 1000 < 200]
    assert acting[0] == 1000
    assert triplet_weight(1000, released) == 2e-5
    assert triplet_weight(2000, released) == 1e-5


def test_steps_of_a_stage():
    by_epochs = TrainConfig(epochs=3, epochs_convergence=2)
    assert (stage_steps(DivergenceStage, 25, by_epochs), stage_steps(ConvergenceStage, 25, by_epochs)) == (75, 50)
    by_steps = TrainConfig(steps=7, steps_convergence=4)
    assert (stage_steps(DivergenceStage, 25, by_steps), stage_steps(ConvergenceStage, 25, by_steps)) == (7, 4)


def rates(steps, **changes):
    stage = DivergenceStage(D2CSR(D2CConfig(features=2, groups=1, blocks=1)), TrainConfig(lr=0.5, **changes))
    return [stage.scheduled_rate(step, steps, epoch=step - 1) for step in range(1, steps + 1)]


def test_without_schedule_and_warm_up_the_rate_is_that_of_the_epoch():
    assert rates(4, lr_halve_epochs=2) == [0.5, 0.5, 0.25, 0.25]


def test_the_rate_is_halved_by_steps_where_their_number_is_given():
    assert rates(5, lr_halve_steps=2, lr_halve_epochs=1) == [0.5, 0.5, 0.25, 0.25, 0.125]
    assert rates(4, lr_halve_steps=1, schedule="cosine") == rates(4, schedule="cosine")
    paper = find("rcan").preset("paper").train
    assert (paper.lr_halve_steps, paper.steps) == (200_000, 1_000_000)


def test_a_cosine_begins_at_the_rate_and_ends_near_zero():
    made = rates(4, schedule="cosine", lr_halve_epochs=1)
    assert made == pytest.approx([0.5, 0.5 * (0.5 + math.sqrt(0.125)), 0.25, 0.5 * (0.5 - math.sqrt(0.125))])


def test_milestones_are_shares_of_a_stage():
    made = rates(20, schedule="milestones", lr_halve_epochs=1)
    assert made == [0.5] * 10 + [0.25] * 6 + [0.125] * 2 + [0.0625, 0.03125]


def test_warm_up_rises_linearly_to_the_schedule():
    assert rates(6, lr_halve_epochs=0, warmup=4) == [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]
    whole, warmed = rates(8, schedule="cosine"), rates(8, schedule="cosine", warmup=3)
    assert warmed == pytest.approx([whole[0] / 3, whole[1] * 2 / 3, *whole[2:]])


def gradients(clip_norm, precision="fp32"):
    """Gradients of an optimiser step, and their norm."""
    torch.manual_seed(0)
    network = find("edsr")
    model = network.make(network.config(scale=2, features=4, blocks=1))
    train = network.train(batch=2, clip_norm=clip_norm, precision=precision)
    engine = Engine(network.stages(train)[0](model, train), train)
    generator = torch.Generator().manual_seed(1)
    lr, hr = (torch.rand(2, 3, side, side, generator=generator) for side in (8, 16))
    engine.update(Batch(lr, hr), 1e-4, {})
    found = torch.cat([p.grad.flatten() for p in engine.parameters])
    return found, found.norm().item()


def test_a_gradient_longer_than_the_limit_is_shortened_and_keeps_its_direction():
    free, norm = gradients(0.0)
    clipped, shorter = gradients(norm / 4)
    assert shorter == pytest.approx(norm / 4, rel=1e-4)
    assert torch.allclose(clipped, free / 4, rtol=1e-4)
    assert torch.equal(gradients(2 * norm)[0], free)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("l1", 0.5), ("l2", (0.09 + 0.49) / 2), ("charbonnier", (math.hypot(0.3, 0.001) + math.hypot(0.7, 0.001)) / 2)],
)
def test_losses_that_compare_pixels(kind, expected):
    sr, hr = torch.tensor([0.5, 0.0]), torch.tensor([0.2, 0.7])
    assert pixel_loss(sr, hr, kind).item() == pytest.approx(expected)


def test_networks_that_are_trained_by_pixels_take_a_loss_and_others_do_not():
    for name in ("srresnet", "edsr", "rcan", "rrdb", "swinir"):
        with pytest.raises(ConfigError, match="loss: got 'l3', expected one of l1, l2, charbonnier; change --loss"):
            find(name).train(loss="l3")
    for name in ("d2csr", "cdc", "lpkpn"):
        with pytest.raises(TypeError, match="loss"):
            find(name).train(loss="l2")
