"""SwinIR: against attention over the whole image that is written down here, at any size, in strips, and in training."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from d2c.data.patches import Batch
from d2c.errors import CheckpointError, ConfigError
from d2c.networks import find, network_of
from d2c.networks.base.on_card import counted_on_card
from d2c.networks.base.released import _tensors
from d2c.networks.base.shapes import shapes_only
from d2c.networks.base.windows import WindowAttention, shift_mask
from d2c.networks.swinir import _names
from d2c.training.engine import Engine
from tests.d2c.strip_plans import plan_of

MEAN = torch.tensor([0.4488, 0.4371, 0.4040])[:, None, None]
N, HEADS, WINDOW, GROUPS, LAYERS, HIDDEN, INNER, TRAINED_ON = 6, 2, 4, 2, 3, 12, 5, 12
FACTORS = {2: [2], 3: [3], 4: [2, 2], 8: [2, 2, 2]}


def authors_file(scale: int, *, short: bool) -> dict[str, torch.Tensor]:
    """Made-up weights under the authors' names, with the tensors that their program stores without need."""
    random = torch.Generator().manual_seed(scale)
    state = {}

    def layer(name, *shape):
        gain = shape[1:].numel() ** -0.5 if (shape := torch.Size(shape))[1:] else 1.0
        state[f"{name}.weight"] = torch.randn(shape, generator=random) * gain + (len(shape) == 1)
        state[f"{name}.bias"] = torch.randn(shape[0], generator=random) / 10

    layer("conv_first", N, 3, 3, 3)
    layer("patch_embed.norm", N)
    for g in range(GROUPS):
        for i in range(LAYERS):
            at = f"layers.{g}.residual_group.blocks.{i}"
            for name, shape in {"attn.qkv": (3 * N, N), "attn.proj": (N, N), "mlp.fc1": (HIDDEN, N)}.items():
                layer(f"{at}.{name}", *shape)
            layer(f"{at}.mlp.fc2", N, HIDDEN)
            for name in ("norm1", "norm2"):
                layer(f"{at}.{name}", N)
            state[f"{at}.attn.relative_position_bias_table"] = torch.randn(49, HEADS, generator=random)
            state[f"{at}.attn.relative_position_index"] = torch.zeros(WINDOW**2, WINDOW**2, dtype=torch.long)
            if i % 2:
                state[f"{at}.attn_mask"] = torch.zeros((TRAINED_ON // WINDOW) ** 2, WINDOW**2, WINDOW**2)
        layer(f"layers.{g}.conv", N, N, 3, 3)
    layer("norm", N)
    layer("conv_after_body", N, N, 3, 3)
    if short:
        layer("upsample.0", 3 * scale**2, N, 3, 3)
        return state
    layer("conv_before_upsample.0", INNER, N, 3, 3)
    for i, factor in enumerate(FACTORS[scale]):
        layer(f"upsample.{2 * i}", factor**2 * INNER, INNER, 3, 3)
    layer("conv_last", 3, INNER, 3, 3)
    return state


def attended(state, at, x, shift):
    """Attention among all pixels of an image (h, w, n), of which those of other windows are forbidden."""
    height, width = x.shape[:2]
    y, x_ = (place.flatten() for place in torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))
    apart = [place[:, None] - place[None, :] for place in (y, x_)]
    cells = [torch.div(place - shift, WINDOW, rounding_mode="floor") for place in (y, x_)]
    same = (cells[0][:, None] == cells[0]) & (cells[1][:, None] == cells[1])
    places = [(distance + WINDOW - 1).clamp(0, 2 * WINDOW - 2) for distance in apart]
    bias = state[f"{at}.relative_position_bias_table"][(2 * WINDOW - 1) * places[0] + places[1]]  # (hw, hw, heads)
    qkv = F.linear(x.flatten(0, 1), state[f"{at}.qkv.weight"], state[f"{at}.qkv.bias"])
    q, k, v = qkv.view(-1, 3, HEADS, N // HEADS).permute(1, 2, 0, 3)
    exponents = q @ k.transpose(1, 2) * (N // HEADS) ** -0.5 + bias.permute(2, 0, 1)
    weights = exponents.masked_fill(~same, -torch.inf).softmax(-1)
    mixed = (weights @ v).transpose(0, 1).reshape(height, width, N)
    return F.linear(mixed, state[f"{at}.proj.weight"], state[f"{at}.proj.bias"])


def authors_image(state, lr, scale):
    """What the authors' layers make of an image (1, 3, h, w) whose sides are multiples of the window."""

    def conv(name, x):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    def norm(name, x):
        return F.layer_norm(x, (N,), state[f"{name}.weight"], state[f"{name}.bias"])

    def linear(name, x):
        return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    shallow = conv("conv_first", lr - MEAN)
    x = norm("patch_embed.norm", shallow[0].permute(1, 2, 0))
    for g in range(GROUPS):
        inner = x
        for i in range(LAYERS):
            at = f"layers.{g}.residual_group.blocks.{i}"
            inner = inner + attended(state, f"{at}.attn", norm(f"{at}.norm1", inner), WINDOW // 2 * (i % 2))
            inner = inner + linear(f"{at}.mlp.fc2", F.gelu(linear(f"{at}.mlp.fc1", norm(f"{at}.norm2", inner))))
        x = x + conv(f"layers.{g}.conv", inner.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    x = conv("conv_after_body", norm("norm", x).permute(2, 0, 1)[None]) + shallow
    if "conv_last.weight" not in state:
        return F.pixel_shuffle(conv("upsample.0", x), scale) + MEAN
    x = F.leaky_relu(conv("conv_before_upsample.0", x), 0.01)
    for i, factor in enumerate(FACTORS[scale]):
        x = F.pixel_shuffle(conv(f"upsample.{2 * i}", x), factor)
    return conv("conv_last", x) + MEAN


@pytest.mark.parametrize(
    ("scale", "short", "wrapped"),
    [(2, False, "params"), (3, False, "params_ema"), (4, False, ""), (8, False, "params"), (4, True, "params")],
)
@torch.no_grad()
def test_the_model_makes_what_the_layers_of_the_authors_file_make(scale, short, wrapped, tmp_path):
    state = authors_file(scale, short=short)
    torch.save({wrapped: state} if wrapped else state, tmp_path / "swinir.pth")
    model = find("swinir").released(tmp_path / "swinir.pth").eval()
    expected = find("swinir").config(
        scale=scale,
        features=N,
        groups=GROUPS,
        layers=LAYERS,
        heads=HEADS,
        window=WINDOW,
        expansion=HIDDEN // N,
        tail_features=0 if short else INNER,
    )
    assert network_of(model)[1] == expected
    for size in ((8, 12), (4, 8), (4, 4)):
        lr = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
        made, wanted = model(lr), authors_image(state, lr, scale)
        assert made.shape == wanted.shape
        assert (made - wanted).abs().max() < 1e-5 * wanted.abs().max()


def test_files_of_the_authors_other_forms_are_refused(tmp_path):
    state = authors_file(2, short=False)
    state["conv_up1.weight"] = torch.ones(2)  # of the form for photographs
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"has conv_up1\.weight, for which swinir has no place"):
        find("swinir").released(tmp_path / "a.pth")
    torch.save({"head.weight": torch.ones(2)}, tmp_path / "b.pth")
    with pytest.raises(CheckpointError, match=r"not weights of swinir; expected a tensor named layers\.0\.res"):
        find("swinir").released(tmp_path / "b.pth")


def test_heads_divide_the_channels():
    with pytest.raises(ConfigError, match="heads: 10 channels cannot be divided among 4 heads; change --heads or --f"):
        find("swinir").config(features=10, heads=4)


def small(**changes):
    torch.manual_seed(0)
    network = find("swinir")
    given = {"features": N, "groups": 1, "layers": 2, "heads": HEADS, "window": WINDOW, "tail_features": INNER}
    config = network.config(scale=2, **(given | changes))
    return network, config, network.make(config)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (3, 4), (13, 5)])
@torch.no_grad()
def test_sides_that_are_no_multiples_of_the_window_are_padded_by_reflection(size):
    model = small()[2].eval()
    lr = torch.rand(1, 3, *size)
    added = [(0, -side % WINDOW) for side in size]
    padded = np.pad(lr.numpy(), [(0, 0), (0, 0), *added], mode="reflect")
    wanted = model(torch.from_numpy(padded))[:, :, : 2 * size[0], : 2 * size[1]]
    assert model(lr).shape == (1, 3, 2 * size[0], 2 * size[1])
    assert torch.equal(model(lr), wanted)


@pytest.mark.parametrize(("layers", "window", "tail_features"), [(2, 4, INNER), (3, 3, 0), (1, 4, INNER)])
def test_strips_of_an_image_equal_the_whole(layers, window, tail_features):
    network, config, model = small(layers=layers, window=window, tail_features=tail_features)
    model, upscaler = model.double().eval(), network.upscaler(config)
    for module in model.modules():
        if isinstance(module, WindowAttention):
            torch.nn.init.normal_(module.qkv.weight)
    lr = torch.rand(1, 3, 2 * network.reach_of(config) + 23, 5, dtype=torch.float64)
    plans = plan_of(lr, lr.shape[2]), plan_of(lr, 7)
    whole, parts = (
        torch.cat([strip.sr for strip in upscaler.strips(model, lr, each, None, lambda: None)], dim=1) for each in plans
    )
    assert whole.shape == (3, 2 * lr.shape[2], 2 * lr.shape[3])
    assert (whole - parts).abs().max() < 1e-12


def test_the_mask_keeps_apart_what_was_rolled_from_the_other_end():
    mask = shift_mask(torch.empty(1, 1, 4, 8), 4).unflatten(1, (4, 4)).unflatten(3, (4, 4))
    inner, last = mask[0], mask[1]  # a single row of windows, so the upper half of each may not see the lower one
    assert set(mask.unique().tolist()) == {0, -100}
    assert (inner[0, 0, :2] == 0).all()
    assert (inner[0, 0, 2:] == -100).all()
    assert (last[0, 0, :2, :2] == 0).all()
    assert (last[0, 0, :2, 2:] == -100).all()


def test_training_leaves_out_residuals_by_chance_and_nothing_else_does():
    model = small(layers=6)[2]
    lr = torch.rand(8, 3, 4, 4)
    layers = [layer for group in model.body for layer in group.layers]
    assert [round(1 - layer.residual.kept, 3) for layer in layers] == [0, 0.02, 0.04, 0.06, 0.08, 0.1]
    x = torch.ones(4000, 1, 1, 1)
    kept = layers[-1].residual(x)
    assert kept.unique().tolist() == pytest.approx([0, 1 / 0.9])
    assert kept.mean().item() == pytest.approx(1, abs=0.02)
    with torch.no_grad():
        assert not torch.equal(model(lr), model(lr))
        model.eval()
        assert torch.equal(model(lr), model(lr))
    assert layers[-1].residual(x) is x


def test_a_step_has_nothing_that_a_cuda_graph_cannot_hold():
    network, _, model = small()
    train = network.train(batch=2, patch=6, accumulate=2, clip_norm=1.0, ema=0.9)
    said = []
    engine = Engine(network.stages(train)[0](model, train), train, graph=True, note=said.append)
    before = [p.detach().clone() for p in model.parameters()]
    for _ in range(2):
        engine.update(Batch(torch.rand(2, 3, 6, 6), torch.rand(2, 3, 12, 12)), 1e-3, {})
    assert said == []
    assert all(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


@pytest.mark.slow  # the first tensors without numbers
def test_the_memory_of_a_step_on_a_card_is_counted_in_every_precision():
    network, config, _ = small()
    trains = [network.train(batch=2, patch=8, precision=precision) for precision in ("fp32", "bf16")]
    kind = network.stages(trains[0])[0]
    full, half = (counted_on_card(network, config, train, kind, 1) for train in trains)
    assert half.weights == full.weights
    assert 0 < half.tensors < full.tensors


def test_its_schedule_is_that_of_the_authors_options():
    train = find("swinir").preset("paper").train
    stage = find("swinir").stages(train)[0](small()[2], train)
    steps = {250_000: 2e-4, 250_001: 1e-4, 400_001: 5e-5, 450_001: 2.5e-5, 475_001: 1.25e-5, 500_000: 1.25e-5}
    assert {step: stage.scheduled_rate(step, train.steps, 0) for step in steps} == pytest.approx(steps)
    assert (train.batch, train.patch, train.loss, train.ema) == (32, 48, "l1", 0)


AUTHORS_KEYS = (
    "conv_after_body conv_before_upsample.# conv_first conv_last layers.#.conv layers.#.residual_group.blocks.#.attn "
    "layers.#.residual_group.blocks.#.attn.proj layers.#.residual_group.blocks.#.attn.qkv "
    "layers.#.residual_group.blocks.#.mlp.fc1 layers.#.residual_group.blocks.#.mlp.fc2 "
    "layers.#.residual_group.blocks.#.norm1 layers.#.residual_group.blocks.#.norm2 norm patch_embed.norm upsample.#"
)


@pytest.mark.parametrize("scale", FACTORS)
@pytest.mark.parametrize("size", ["paper", "light"])
def test_the_publications_sizes_have_the_authors_names_and_no_others(size, scale):
    network = find("swinir")
    config = dataclasses.replace(network.preset(size).model, scale=scale)
    with shapes_only():
        model = network.build(config)
    theirs = dict(_tensors(_names(config), model.state_dict()))
    assert theirs.keys() == {name for name, _ in model.named_parameters()}
    assert len(set(theirs.values())) == len(theirs)
    layers = {re.sub(r"(?<=\.)\d+(?=\.|$)", "#", name.rpartition(".")[0]) for name in theirs.values()}
    missing = set() if size == "paper" else {"conv_before_upsample.#", "conv_last"}
    assert layers == set(AUTHORS_KEYS.split()) - missing
