"""How SRFlow starts and is trained, and its share of a comparison."""

from __future__ import annotations

import math

import pytest
import torch

import d2c
from d2c.checkpoints import native
from d2c.comparison.budget import with_lengths
from d2c.comparison.methods import METHODS, Rules, chosen
from d2c.data.patches import Batch
from d2c.errors import ConfigError
from d2c.networks.base.skips import Skips
from d2c.srflow.stages import NOISE
from d2c.training.engine import Engine
from d2c.training.resume import Settings, rate_said
from tests.d2c.srflow.small_flow import NETWORK, images, settings, small, stage_of


def test_it_makes_the_encoders_image_until_its_flow_is_started():
    model, (lr, _) = small(random=0).float(), images()
    lr = lr.float()
    assert torch.equal(model(lr), model.encoder(lr))
    model.started.fill_(True)
    assert not model(lr).any()  # latents 0 of a flow that only rotates


def test_the_first_batch_of_the_flows_stage_sets_every_norm_once(tmp_path):
    model = small(random=0)
    lr, hr = (x.float() for x in images())
    stage = stage_of(model, ema=0.9)
    engine = Engine(stage, stage.config)
    stage.before_step(1, 8)
    before = [average.clone() for average in engine.average]
    assert stage.begin(lr, hr)
    assert bool(model.started)
    with torch.no_grad():
        stage._seen = 0
        x = torch.nn.functional.pixel_unshuffle(hr + stage._noise(hr), 2)
        x = model.flow.levels[0].steps[0].norm(x)
        assert x.mean(dim=(0, 2, 3)).abs().max() < 1e-5
        assert (x.std(dim=(0, 2, 3), correction=0) - 1).abs().max() < 1e-4
    assert not stage.begin(lr, hr)
    native.save(tmp_path / "m.safetensors", model)
    loaded = d2c.load(tmp_path / "m.safetensors")
    assert loaded.has_started
    assert not stage_of(loaded).begin(lr, hr)
    fresh = small(random=0)
    stage = stage_of(fresh, ema=0.9, lr_flow=0.0)
    engine = Engine(stage, stage.config)
    stage.before_step(1, 8)
    engine.update(Batch(lr, hr), 0.0, {})
    assert all(torch.equal(a, p) for a, p in zip(engine.average, engine.parameters, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(engine.average, before, strict=True))


def test_each_stage_trains_what_it_uses():
    for number, unused in ((0, {"flow"}), (1, {"encoder.upconvs.1", "encoder.conv_hr", "encoder.conv_last"})):
        model = small(random=0)
        stage = stage_of(model, number)
        stage.begin(*(x.float() for x in images()))
        terms = stage(*(x.float() for x in images()))
        assert tuple(terms) == type(stage).terms
        terms["total"].backward()
        for name, parameter in model.named_parameters():
            outside = any(name.startswith(part + ".") for part in unused)
            assert (parameter.grad is None) == outside, name
            assert parameter.requires_grad != outside
            assert outside or bool(torch.isfinite(parameter.grad).all())


def test_the_encoder_is_frozen_for_the_first_half_and_the_rate_is_halved_four_times():
    model = small(random=0)
    stage = stage_of(model, lr_flow=1e-3)
    engine, lr, hr = Engine(stage, stage.config), *(x.float() for x in images())
    rates, changed = [], []
    for step in range(1, 9):
        before = [model.encoder.conv_first.weight.clone(), model.flow.levels[0].steps[0].norm.bias.clone()]
        turned = stage.before_step(step, 8)
        assert turned == (step in (1, 5))
        rates.append(stage.scheduled_rate(step, 8, 0))
        engine.update(Batch(lr, hr), rates[-1], {})
        after = [model.encoder.conv_first.weight, model.flow.levels[0].steps[0].norm.bias]
        changed.append([not torch.equal(a, b) for a, b in zip(before, after, strict=True)])
    assert changed == [[False, True]] * 4 + [[True, True]] * 4
    assert [rate / 1e-3 for rate in rates] == [1.0] * 4 + [0.5] * 2 + [0.25, 0.0625]
    long = [stage.scheduled_rate(step, 100, 0) / 1e-3 for step in (1, 50, 51, 75, 76, 90, 91, 95, 96)]
    assert long == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625]


@pytest.mark.parametrize("schedule", ["step", "cosine"])
def test_a_longer_flow_stage_says_that_its_rate_and_its_frozen_encoder_follow_its_length(schedule):
    before, longer = (settings(schedule=schedule, steps_flow=steps) for steps in (8, 20))
    stage = stage_of(small(random=0), schedule=schedule, lr_flow=1e-3)
    for step, steps, frozen, rate in ((8, 8, False, 1e-3 / 16), (9, 20, True, 1e-3), (11, 20, False, 5e-4)):
        stage.before_step(step, steps)
        assert stage._encoder()[0].requires_grad != frozen
        assert stage.scheduled_rate(step, steps, 0) == pytest.approx(rate)
    told = [Settings(NETWORK, small().config, train, {}, []) for train in (before, longer)]
    said = (
        "; the rate follows the milestones of the new length from here on, and the encoder is frozen, again if need "
        "be, until half of it is done"
    )
    encoder, flow = NETWORK.stages(longer)
    assert rate_said(*told, flow) == said
    assert rate_said(told[0], told[0], flow) == ""
    longer = told[0]._replace(train=settings(schedule=schedule, steps_flow=8, steps=4))
    assert ("cosine schedule" in rate_said(told[0], longer, encoder)) == (schedule == "cosine")


def test_the_noise_has_its_deviation_and_depends_on_step_and_patch_alone():
    stage, hr = stage_of(small(random=0), batch=4), torch.zeros(4, 3, 64, 64)
    stage.before_step(1, 8)
    first = stage._noise(hr)
    assert first.std().item() * 255 == pytest.approx(4 / math.sqrt(3), rel=0.02)
    assert first.std().item() == pytest.approx(NOISE, rel=0.02)
    stage.before_step(1, 8)
    parts = torch.cat([stage._noise(hr[:1]), stage._noise(hr[1:])])
    assert torch.equal(parts, first)
    stage.before_step(2, 8)
    assert not torch.equal(stage._noise(hr), first)
    assert (first[0] != first[1]).all(dim=-1).all()


def test_a_step_whose_gradient_is_not_finite_is_left_out_and_counted():
    model = small(random=0)
    stage = stage_of(model, lr_flow=1e-3, ema=0.9)
    engine, lr, hr = Engine(stage, stage.config), *(x.float() for x in images())
    stage.before_step(1, 8)
    engine.update(Batch(lr, hr), 1e-3, {})
    before = [p.detach().clone() for p in (*engine.parameters, *engine.average)]
    stage.before_step(2, 8)
    terms = engine.update(Batch(lr, hr * 1e30), 1e-3, {})
    assert not torch.isfinite(terms["total"])
    assert all(torch.equal(a, b) for a, b in zip(before, (*engine.parameters, *engine.average), strict=True))
    assert engine.state()["skips"] == {"total": 1, "in_a_row": 1}
    again = Engine(stage_of(model), settings(ema=0.9))
    again.restore(engine.state())
    assert again.stage.skips.total == 1
    engine.update(Batch(lr, hr), 1e-3, {})
    assert engine.state()["skips"] == {"total": 1, "in_a_row": 0}
    assert not all(torch.equal(a, b) for a, b in zip(before, engine.parameters, strict=False))


def test_too_many_steps_that_are_left_out_are_a_problem():
    skips, lost, fine = Skips(), torch.tensor(math.nan), torch.tensor(1.0)
    for _ in range(10):
        skips.takes(lost)
    assert skips.problem(10) == ""
    skips.takes(lost)
    assert skips.problem(11) == "the gradient was not finite in 11 steps in a row, at most 10 are left out"
    skips.takes(fine)
    assert skips.problem(100) == ""
    assert skips.problem(99) == "the gradient was not finite in 11 of 99 steps, too many to leave out"


def test_both_stages_share_the_budget_equally():
    train = with_lengths(NETWORK, NETWORK.preset("tiny").train, "all", 101)
    assert train.steps + train.steps_flow == 101
    assert abs(train.steps - train.steps_flow) <= 1


def test_it_is_in_the_table_at_its_scales_only():
    assert [m.name for m in chosen([], "tiny", 4, Rules())] == list(METHODS)
    assert [m.name for m in chosen([], "tiny", 2, Rules())] == [name for name in METHODS if name != "srflow"]
    with pytest.raises(ConfigError, match="scale: got 3, expected 4 or 8: srflow"):
        chosen(["srflow"], "tiny", 3, Rules())
