"""SRFlow: its size, the flow and its inverse, the likelihood, how it starts, how it is trained, what it draws."""

from __future__ import annotations

import dataclasses
import math
import re

import pytest
import torch

import d2c
from d2c.checkpoints import native
from d2c.comparison.budget import with_lengths
from d2c.comparison.methods import METHODS, Rules, chosen
from d2c.data.patches import Batch
from d2c.errors import ConfigError
from d2c.networks import find, network_of
from d2c.networks.base.count import parameters
from d2c.networks.base.mirror import mirrored
from d2c.networks.base.sampling import Sampling
from d2c.networks.base.shapes import Multiplications, shapes_only
from d2c.networks.base.skips import Skips
from d2c.networks.base.upscaler import Plan
from d2c.networks.rrdb import NAMINGS
from d2c.settings.config import SettingError
from d2c.srflow.config import SRFlowConfig
from d2c.srflow.flow import log_normal
from d2c.srflow.model import drawn, zeros
from d2c.srflow.released import names
from d2c.srflow.stages import NOISE
from d2c.training.engine import Engine

NETWORK = find("srflow")
SMALL = {"features": 4, "growth": 3, "blocks": 2, "transitions": 1, "flow_steps": 2, "flow_features": 4}


def small(scale=4, *, random=0.1, **changes):
    """A small model in double precision whose flow does something."""
    torch.manual_seed(0)
    model = NETWORK.make(SRFlowConfig(scale=scale, **SMALL | changes)).double().eval()
    if random:
        for name, parameter in model.named_parameters():
            share = len(parameter) ** -0.5 if "mix" in name else 1.0  # matrices remain well-conditioned
            parameter.data += random * share * torch.randn_like(parameter)
        model.started.fill_(True)
    return model


def images(scale=4, side=4, count=2, seed=1):
    made = torch.Generator().manual_seed(seed)
    lr = torch.rand(count, 3, side, side, dtype=torch.float64, generator=made)
    return lr, torch.rand(count, 3, scale * side, scale * side, dtype=torch.float64, generator=made)


def settings(**changes):
    preset = NETWORK.preset("tiny").train
    return dataclasses.replace(preset, **{"batch": 2, "patch": 4, "steps": 2, "steps_flow": 8, "warmup": 0} | changes)


def stage_of(model, number=1, **changes):
    return NETWORK.stages(None)[number](model.float(), settings(**changes)).train()


# --- size ------------------------------------------------------------------------------------------------------------

COUNTS = {4: (39_265_235, 39_541_811, 34_753), 8: (50_545_315, 50_821_891, 140_530)}
"""Parameters, those with the layer in the authors' files that is never run, and the flow's thousand multiply-adds."""
KEYS = (
    "encoder.body.#.dense.#.convs.# encoder.conv_body encoder.conv_first encoder.conv_hr encoder.conv_last "
    "encoder.upconvs.# flow.levels.#.prior flow.levels.#.prior.conv flow.levels.#.steps.#.coupling.conv# "
    "flow.levels.#.steps.#.coupling.last flow.levels.#.steps.#.coupling.last.conv flow.levels.#.steps.#.coupling.norm# "
    "flow.levels.#.steps.#.injector.conv# flow.levels.#.steps.#.injector.last flow.levels.#.steps.#.injector.last.conv "
    "flow.levels.#.steps.#.injector.norm# flow.levels.#.steps.#.mix flow.levels.#.steps.#.norm"
)


def paper(scale):
    return dataclasses.replace(NETWORK.preset("paper").model, scale=scale)


@pytest.fixture(scope="module", params=COUNTS)
def shapes(request):
    """A scale, and the model of the publication's size without numbers."""
    with shapes_only():
        return request.param, NETWORK.build(paper(request.param))


def test_the_papers_size_has_the_parameters_that_were_counted_elsewhere(shapes):
    scale, model = shapes
    assert model.config.taps == ((1, 8, 15, 22) if scale == 4 else (1, 3, 5, 7))
    counted = {name: parameter.numel() for name, parameter in model.named_parameters()}
    assert sum(counted.values()) == COUNTS[scale][0]
    parts = {re.sub(r"(?<=\.)\d+(?=\.|$)|(?<=conv|norm)\d$", "#", name.rpartition(".")[0]) for name in counted}
    assert " ".join(sorted(parts)) == KEYS
    theirs = dict(pairs_of(model.config, counted))
    never_run = 96 * (9 * 320 + 1)
    assert sum(counted[name] for name in theirs) + never_run == COUNTS[scale][1]
    assert len(set(theirs.values())) == len(counted)


@pytest.mark.slow
def test_the_papers_flow_has_the_operations_that_were_counted_elsewhere(shapes):
    scale, model = shapes
    sides = [32 * scale // 2 ** (level + 1) for level in range(model.config.levels)]
    with shapes_only():
        conditions = [torch.empty(1, 320, side, side) for side in sides]
    with torch.no_grad(), Multiplications() as done:
        model.flow.inverse(conditions, zeros)
    matrices = sum(18 * (p.shape[0] ** 2) * s**2 for s, p in zip(sides, first_matrices(model), strict=True))
    assert round((done.total - matrices) / 32**2 / 1000) == COUNTS[scale][2]


def first_matrices(model):
    return [level.steps[0].mix.weight for level in model.flow.levels]


def pairs_of(config, own):
    """Our names of tensors and the authors', in the naming of their encoder's files."""
    for ours, theirs in names(config, NAMINGS[1]):
        ends = [""] if ours in own else [end for end in (".weight", ".bias") if ours + end in own]
        yield from ((ours + end, theirs + end) for end in ends)


def test_the_first_and_last_layers_have_the_authors_names(shapes):
    scale, model = shapes
    theirs = set(dict(pairs_of(model.config, model.state_dict())).values())
    last = {4: 57, 8: 77}[scale]
    assert {
        "RRDB.RRDB_trunk.22.RDB3.conv5.bias",
        f"RRDB.upconv{2 if scale == 4 else 3}.weight",
        "flowUpsamplerNet.layers.1.actnorm.logs",
        "flowUpsamplerNet.layers.2.invconv.weight",
        "flowUpsamplerNet.layers.3.affine.fFeatures.0.actnorm.bias",
        "flowUpsamplerNet.layers.18.affine.fAffine.4.logs",
        "flowUpsamplerNet.layers.19.conv.weight",  # the first level's split, then the next level's squeeze
        "flowUpsamplerNet.layers.21.invconv.weight",
        f"flowUpsamplerNet.layers.{last}.affine.fAffine.2.weight",
    } <= theirs
    layers = {int(name.split(".")[2]) for name in theirs if name.startswith("flow")}
    squeezes = {0, 20, 39} if scale == 4 else {0, 20, 40, 59}
    assert layers == set(range(last + 1)) - squeezes


@pytest.mark.parametrize("scale", COUNTS)
def test_the_tiny_size_is_tiny(scale):
    assert parameters(NETWORK, dataclasses.replace(NETWORK.preset("tiny").model, scale=scale)) <= 200_000


@pytest.mark.parametrize("scale", [2, 3, 16, 5, 65])
def test_scales_without_a_published_form_are_refused_by_name(scale):
    with pytest.raises(SettingError, match=f"scale: got {scale}, expected 4 or 8: srflow has no published form"):
        SRFlowConfig(scale=scale)


def test_other_precisions_are_refused():
    for precision in ("tf32", "bf16", "fp16"):
        with pytest.raises(SettingError, match=f"precision: got {precision}, expected fp32: .* leave out --precision"):
            settings(precision=precision)


# --- the flow --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [4, 8])
def test_the_flow_is_inverted(scale):
    model, (lr, hr) = small(scale), images(scale)
    with torch.no_grad():
        conditions = model.conditions(lr)
        latents, _ = model.flow(hr, conditions)
        assert sum(z[0].numel() for z in latents) == hr[0].numel()
        back = model.flow.inverse(conditions, lambda level, like: latents[min(level, len(latents) - 1)])
        assert (back - hr).abs().max() < 1e-5 * hr.std()
        assert (model.flow.inverse(conditions, zeros) - hr).abs().max() > 0.1
        assert [z.shape[1] for z in latents] == ([6, 96] if scale == 4 else [6, 12, 192])
    single = model.float()
    with torch.no_grad():
        conditions = single.conditions(lr.float())
        latents, _ = single.flow(hr.float(), conditions)
        back = single.flow.inverse(conditions, lambda level, like: latents[min(level, len(latents) - 1)])
    assert (back - hr).abs().max() < 1e-4


def test_the_log_determinant_is_that_of_the_jacobian():
    model, (lr, hr) = small(), images(side=2, count=1)
    conditions = [c.detach() for c in model.conditions(lr)]

    def flat(x):
        return torch.cat([z.flatten() for z in model.flow(x.view_as(hr), conditions)[0]])

    jacobian = torch.autograd.functional.jacobian(flat, hr.flatten(), vectorize=True)
    log_det = model.flow(hr, conditions)[1].item()
    assert log_det == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-6)
    assert abs(log_det) > 1
    z = flat(hr.flatten())
    log_density = -0.5 * (z**2).sum() - 0.5 * len(z) * math.log(2 * math.pi) + log_det
    in_grey_levels = log_density - len(z) * math.log(255)
    assert model.bits(hr, conditions).item() == pytest.approx(-in_grey_levels.item() / math.log(2) / 64, rel=1e-9)
    assert log_normal([z.view(1, -1, 1, 1)]).item() == pytest.approx((log_density - log_det).item())


def test_bits_are_the_mean_over_the_images():
    model, (lr, hr) = small(), images()
    with torch.no_grad():
        both = model.bits(hr, model.conditions(lr))
        each = [model.bits(hr[k : k + 1], model.conditions(lr[k : k + 1])) for k in (0, 1)]
    assert both.item() == pytest.approx(torch.stack(each).mean().item())


def test_sides_that_are_odd_are_extended_by_reflection():
    model, lr = small(), images(side=6, count=1)[0][:, :, :5, :3]
    with torch.no_grad():
        assert torch.equal(model(lr), model(mirrored(lr, 2))[:, :, :20, :12])
    assert model(lr).shape == (1, 3, 20, 12)


def test_half_precision_around_it_changes_nothing():
    model, lr = small().float(), torch.rand(1, 3, 4, 4)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        made = model(lr)
    assert torch.equal(made, model(lr))


# --- its start -------------------------------------------------------------------------------------------------------


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


# --- training --------------------------------------------------------------------------------------------------------


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


# --- samples ---------------------------------------------------------------------------------------------------------


def plan_of(lr, rows, *, keep_all):
    sizes = {"height": lr.shape[2], "width": lr.shape[3], "memory": 0, "spilled": 0, "result": 0}
    return Plan(strip=rows, band=0, spill=False, keep_all=keep_all, **sizes)


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


# --- comparisons -----------------------------------------------------------------------------------------------------


def test_both_stages_share_the_budget_equally():
    train = with_lengths(NETWORK, NETWORK.preset("tiny").train, "all", 101)
    assert train.steps + train.steps_flow == 101
    assert abs(train.steps - train.steps_flow) <= 1


def test_it_is_in_the_table_at_its_scales_only():
    assert [m.name for m in chosen([], "tiny", 4, Rules())] == list(METHODS)
    assert [m.name for m in chosen([], "tiny", 2, Rules())] == [name for name in METHODS if name != "srflow"]
    with pytest.raises(ConfigError, match="scale: got 3, expected 4 or 8: srflow"):
        chosen(["srflow"], "tiny", 3, Rules())
