"""SRFlow: its size, the flow and its inverse, the likelihood."""

from __future__ import annotations

import dataclasses
import math
import re

import pytest
import torch

from d2c.networks.base.count import parameters
from d2c.networks.base.mirror import mirrored
from d2c.networks.base.shapes import Multiplications, shapes_only
from d2c.networks.rrdb import NAMINGS
from d2c.settings.config import SettingError
from d2c.srflow.config import SRFlowConfig
from d2c.srflow.flow import log_normal
from d2c.srflow.model import zeros
from d2c.srflow.released import names
from tests.d2c.srflow.small_flow import NETWORK, images, settings, small

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
