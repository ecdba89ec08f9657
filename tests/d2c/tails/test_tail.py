"""The composed tail against its layers one after the other: outputs, all gradients, bands of rows, and what is kept."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from d2c import D2CSR, D2CConfig
from d2c.checkpoints import native
from d2c.tails.layers import ColourLayer
from d2c.tails.tail import HALO, Tail

SIZES = [(1, 1), (1, 4), (3, 1), (2, 2), (2, 3), (3, 3), (4, 2), (5, 7), (6, 9)]


def tail(scale, features=5, borders="exact", seed=0):
    """A tail and a colour layer of random numbers, in float64."""
    torch.manual_seed(seed)
    colour = ColourLayer((0.4, 0.5, 0.6))
    colour.matrix.uniform_()
    made = Tail(features, scale, borders)
    return made.double(), colour.double()


def image(height, width, features=5, batch=2):
    generator = torch.Generator().manual_seed(height * 100 + width)
    return torch.randn(batch, features, height, width, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8, 16])
def test_outputs_and_all_gradients_are_those_of_the_layers(scale, size):
    module, colour = tail(scale)
    found = []
    for function in (module.forward, module.factored):
        x = image(*size).requires_grad_()
        out = function(x, colour)
        wanted = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=out.dtype)
        gradients = torch.autograd.grad((out - wanted).square().sum(), [x, *module.parameters()])
        found.append([out.detach(), *gradients])
    assert len(found[0]) == 2 + 2 * (len(module.factors) + 1)
    for ours, literal in zip(*found, strict=True):
        torch.testing.assert_close(ours, literal, rtol=1e-12, atol=1e-12 * float(literal.abs().max()))


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_composed_borders_differ_in_the_outermost_pixels_only(scale):
    exact, colour = tail(scale)
    composed, _ = tail(scale, borders="composed")
    difference = (exact(image(5, 6), colour) - composed(image(5, 6), colour)).abs().amax(dim=(0, 1))
    edge = 1 if scale == 3 else scale - 1
    assert difference[edge:-edge, edge:-edge].max() < 1e-13
    assert difference.max() > 1e-3
    assert composed(image(1, 1), colour).shape == (2, 3, scale, scale)


@pytest.mark.parametrize("borders", ["exact", "composed"])
@pytest.mark.parametrize("scale", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [(1, 5), (2, 4), (3, 1), (7, 6)])
def test_any_rows_are_those_of_the_whole(scale, size, borders):
    module, colour = tail(scale, borders=borders)
    x, height = image(*size), size[0]
    with torch.no_grad():
        whole = module(x, colour)
        for start in range(height):
            for stop in range(start + 1, height + 1):
                part = x[:, :, max(0, start - HALO) : min(height, stop + HALO)]
                found = module.rows(part, start, stop, height, colour)
                torch.testing.assert_close(found, whole[:, :, scale * start : scale * stop], rtol=1e-12, atol=1e-13)
    with pytest.raises(ValueError, match="x: got 1 rows, expected"):
        module.rows(x[:, :, :1], 0, height + 1, height + 1, colour)


def fresh(module, x, colour):
    """What a copy that has kept nothing says."""
    return copy.deepcopy(module)(x, colour)


def edit_data(module, colour):
    module.conv.weight.data[0, 0, 0, 0] += 1


def edit_in_place(module, colour):
    module.expand[1].weight.mul_(2)


def edit_bias(module, colour):
    module.expand[0].bias[3] += 1


def edit_colour(module, colour):
    colour.offset += 0.5


def replace_parameter(module, colour):
    module.conv.bias = torch.nn.Parameter(module.conv.bias + 1)


def load(module, colour):
    module.load_state_dict(tail(4, seed=1)[0].state_dict())


def optimise(module, colour):
    optimiser = torch.optim.Adam(module.parameters(), lr=0.1)
    with torch.enable_grad():
        module(image(4, 4).to(module.conv.weight.dtype), colour).square().sum().backward()
    optimiser.step()


def average(module, colour):
    torch._foreach_lerp_(list(module.parameters()), [p + 1 for p in module.parameters()], 0.5)


@pytest.mark.parametrize(
    "change", [edit_data, edit_in_place, edit_bias, edit_colour, replace_parameter, load, optimise, average]
)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_kept_kernels_never_go_stale(change, mode):
    module, colour = tail(4)
    x = image(4, 5)
    with mode():
        before = module(x, colour)
        kept = module.kernels(colour)
        assert module.kernels(colour) is kept  # or there would be nothing to go stale
    with torch.no_grad():
        change(module, colour)
    with mode():
        after = module(x, colour)
        assert torch.equal(after, fresh(module, x, colour))
        assert not torch.allclose(after, before)


def test_kept_kernels_follow_type_and_device():
    module, colour = tail(4)
    x = image(4, 5)
    with torch.no_grad():
        expected = module(x, colour)
        module.float(), colour.float()
        single = module(x.float(), colour)
        assert single.dtype == torch.float32
        torch.testing.assert_close(single, expected.float(), rtol=1e-4, atol=1e-5)
        module.half(), colour.half()
        torch.testing.assert_close(module(x.half(), colour), expected.half(), rtol=2e-2, atol=2e-2)
        assert module.kernels(colour)[0, 0].weight.dtype == torch.float32
        module.to("meta"), colour.to("meta")
        assert module(x.half().to("meta"), colour).is_meta


def test_kept_kernels_follow_the_memory_layout():
    """Sums in another order end in other bits, and a run that goes on must not depend on what was kept before."""
    module, colour = tail(4)
    with torch.no_grad():
        kept = module.kernels(colour)
        module.to(memory_format=torch.channels_last)
        assert module.kernels(colour) is not kept


def test_kept_kernels_are_no_part_of_the_module():
    module, colour = tail(2)
    keys = set(module.state_dict())
    with torch.no_grad():
        module(image(3, 3), colour)
    assert set(module.state_dict()) == keys == {"expand.0.weight", "expand.0.bias", "conv.weight", "conv.bias"}
    assert module._kept is not None
    assert copy.deepcopy(module)._kept is None


@pytest.mark.parametrize("scale", [1, 3, 4])
@pytest.mark.parametrize("size", [(1, 2), (5, 4)])
def test_the_whole_tree_of_predictions_is_the_layers(scale, size):
    torch.manual_seed(0)
    model = D2CSR(D2CConfig(scale=scale, features=4, groups=1, blocks=1, reduction=2)).double()
    model.colour_out.matrix.uniform_()
    lr = torch.rand(2, 3, *size, dtype=torch.float64)
    features = model.leaf_features(lr)
    literal = torch.stack(
        [tail.factored(x, model.colour_out) for tail, x in zip(model.tails, features, strict=True)], 1
    )
    with torch.no_grad():
        torch.testing.assert_close(model.diverge(lr), literal, rtol=1e-12, atol=1e-13)
    found = model.diverge(lr)
    torch.testing.assert_close(found, literal, rtol=1e-12, atol=1e-13)
    parameters = model.divergence_parameters()
    wanted = torch.randn(found.shape, dtype=torch.float64)
    expected = torch.autograd.grad((literal - wanted).square().sum(), parameters)
    for ours, theirs in zip(torch.autograd.grad((found - wanted).square().sum(), parameters), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12 * float(theirs.abs().max()))


def test_composition_is_in_fp32_under_autocast():
    module, colour = tail(4, features=8)
    module.float(), colour.float()
    x = image(5, 5, 8).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        kernels = module.kernels(colour)
        module(x, colour).float().square().sum().backward()
    assert {k.weight.dtype for k in kernels.values()} == {torch.float32}
    for place, kernel in module.kernels(colour).items():
        assert torch.equal(kernel.weight, kernels[place].weight)
    assert all(torch.isfinite(p.grad).all() and p.grad.dtype == torch.float32 for p in module.parameters())


def test_a_model_runs_with_the_borders_it_was_trained_with(tmp_path):
    config = D2CConfig(scale=4, features=6, groups=1, blocks=1, reduction=3, convergence_features=5, borders="composed")
    torch.manual_seed(0)
    model = D2CSR(config)
    native.save(tmp_path / "m.safetensors", model)
    loaded = native.load(tmp_path / "m.safetensors")
    assert loaded.config.borders == "composed"
    lr = torch.rand(1, 3, 6, 5)
    torch.testing.assert_close(loaded(lr), model(lr), rtol=0, atol=2e-6)
    exact = D2CSR(dataclasses.replace(config, borders="exact"))
    exact.load_state_dict(model.state_dict())
    assert not torch.allclose(exact(lr), model(lr), rtol=0, atol=1e-4)
