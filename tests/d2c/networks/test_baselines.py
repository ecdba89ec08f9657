"""The networks that D2C-SR is compared with: their sizes, parts and losses, and images of any size."""

from __future__ import annotations

import dataclasses
import re

import cv2
import numpy as np
import PIL.Image
import pytest
import torch
import torch.nn.functional as F

import d2c
from d2c.checkpoints import native
from d2c.data.patches import Batch
from d2c.networks import find
from d2c.networks.base.count import multiply_adds, parameters
from d2c.networks.base.shapes import shapes_only
from d2c.networks.cdc import gradient_weighted, harris_masks
from d2c.networks.lpkpn import laplacian_pyramid, rebuilt
from d2c.precision import computing
from d2c.tails.interpolation import bicubic_up
from d2c.training.engine import Engine
from d2c.training.start import initial_model
from tests.d2c.strip_plans import plan_of

BASELINES = ("srresnet", "edsr", "rcan", "rrdb", "cdc", "lpkpn", "swinir")

# Parameters, and multiply-adds an LR pixel in thousands, at ×2, ×3, ×4 and ×8, as counted on other implementations
SIZES = {
    ("srresnet", "paper"): ((1_369_859, 1_554_499, 1_517_571, 1_665_283), (1_483, 1_860, 2_536, 6_748)),
    ("srresnet", "bn"): ((1_401_749, 1_586_389, 1_549_462, 1_697_175), (1_442, 1_704, 2_218, 5_324)),
    ("edsr", "paper"): ((40_729_603, 43_680_003, 43_089_923, 45_450_243), (40_732, 43_716, 50_253, 88_333)),
    ("edsr", "baseline"): ((1_369_859, 1_554_499, 1_517_571, 1_665_283), (1_373, 1_566, 1_983, 4_425)),
    ("rcan", "paper"): ((15_444_643, 15_629_283, 15_592_355, 15_740_067), (15_307, 15_500, 15_918, 18_360)),
    ("rrdb", "paper"): ((16_661_059, 16_661_059, 16_697_987, 16_734_915), (16_874, 17_251, 17_927, 22_139)),
    ("cdc", "paper"): ((39_698_962, 39_703_570, 39_920_530, 40_142_098), (7_818, 10_101, 14_081, 39_130)),
    ("lpkpn", "paper"): ((1_430_539,) * 4, (603, 1_357, 2_413, 9_651)),
    ("swinir", "paper"): ((11_752_487, 11_937_127, 11_900_199, 12_047_911), (12_465, 12_658, 13_075, 15_518)),
    ("swinir", "light"): ((910_152, 918_267, 929_628, 1_007_532), (1_046, 1_054, 1_065, 1_143)),
}  # fmt: skip

# Names of the parameters at ×8, with every number replaced by #
KEYS = {
    ("srresnet", "paper"): "body.#.conv1 body.#.conv2 conv_first conv_hr conv_last upconvs.#",
    ("srresnet", "bn"): (
        "after_body.# body.#.conv1 body.#.conv2 body.#.norm1 body.#.norm2 body.#.relu first.# last upsample.#"
    ),
    ("edsr", "paper"): "after_body body.#.conv1 body.#.conv2 head tail.conv tail.expand.#",
    ("edsr", "baseline"): "after_body body.#.conv1 body.#.conv2 head tail.conv tail.expand.#",
    ("rcan", "paper"): (
        "after_body body.#.blocks.#.attention.excite body.#.blocks.#.attention.squeeze body.#.blocks.#.conv1 "
        "body.#.blocks.#.conv2 body.#.conv head tail.conv tail.expand.#"
    ),
    ("rrdb", "paper"): "body.#.dense.#.convs.# conv_body conv_first conv_hr conv_last upconvs.#",
    ("cdc", "paper"): (
        "hourglasses.#.down.#.conv hourglasses.#.down.#.identity hourglasses.#.down.#.narrow hourglasses.#.down.#.wide "
        "hourglasses.#.inceptions.#.first hourglasses.#.inceptions.#.join hourglasses.#.inceptions.#.once "
        "hourglasses.#.inceptions.#.second hourglasses.#.inceptions.#.starts.# hourglasses.#.middle.#.conv "
        "hourglasses.#.middle.#.narrow hourglasses.#.middle.#.wide hourglasses.#.skips.#.conv "
        "hourglasses.#.skips.#.narrow hourglasses.#.skips.#.wide hourglasses.#.up.#.conv hourglasses.#.up.#.identity "
        "hourglasses.#.up.#.narrow hourglasses.#.up.#.wide images.#.conv_hr images.#.first images.#.last "
        "images.#.upconvs.# masks.#.conv_hr masks.#.first masks.#.last masks.#.upconvs.# stem"
    ),
    ("lpkpn", "paper"): "after_body body.#.conv1 body.#.conv2 first kernels.#.#",
    ("swinir", "paper"): (
        "after_body body.#.conv body.#.layers.#.attention body.#.layers.#.attention.proj body.#.layers.#.attention.qkv "
        "body.#.layers.#.mlp.# body.#.layers.#.norm1 body.#.layers.#.norm2 head narrow norm1 norm2 tail.conv "
        "tail.expand.#"
    ),
    ("swinir", "light"): (
        "after_body body.#.conv body.#.layers.#.attention body.#.layers.#.attention.proj body.#.layers.#.attention.qkv "
        "body.#.layers.#.mlp.# body.#.layers.#.norm1 body.#.layers.#.norm2 head norm1 norm2 tail.conv"
    ),
}


def tiny(name: str, scale: int):
    network = find(name)
    torch.manual_seed(0)
    return network, network.make(dataclasses.replace(network.preset("tiny").model, scale=scale))


@pytest.mark.parametrize("name", BASELINES)
def test_training_starts_from_weights_also_those_of_another_scale(name, tmp_path):
    network, model = tiny(name, 2)
    native.save(tmp_path / "weights.safetensors", model)
    train = network.preset("tiny").train
    for scale in (2, 4):
        notes = []
        config = dataclasses.replace(network.preset("tiny").model, scale=scale)
        weights, stages = tmp_path / "weights.safetensors", network.stages(train)
        started = initial_model(network, config, train, weights, stages, notes.append).state_dict()
        anew = {note.partition("parameters ")[2].partition(".")[0] for note in notes}
        kept = {key for key in started if key.partition(".")[0] not in anew}
        assert all(torch.equal(started[key], model.state_dict()[key]) for key in kept)
        assert bool(anew) == (scale == 4 and name != "lpkpn")


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_the_papers_size_has_the_parameters_that_were_counted_elsewhere(name, size):
    network = find(name)
    configs = [dataclasses.replace(network.preset(size).model, scale=scale) for scale in network.scales]
    assert tuple(parameters(network, config) for config in configs) == SIZES[name, size][0]
    with shapes_only():
        model = network.build(configs[-1])
    names = {re.sub(r"(?<=\.)\d+(?=\.|$)", "#", key.rpartition(".")[0]) for key, _ in model.named_parameters()}
    assert " ".join(sorted(names)) == KEYS[name, size]


@pytest.mark.slow  # seconds for the deep ones
@pytest.mark.parametrize(("name", "size"), SIZES)
def test_the_papers_size_has_the_operations_that_were_counted_elsewhere(name, size):
    network = find(name)
    for scale, wanted in list(zip(network.scales, SIZES[name, size][1], strict=True))[1::2]:  # ×3 and ×8
        config = dataclasses.replace(network.preset(size).model, scale=scale)
        assert round(multiply_adds(network, config) / 1000) == wanted


@pytest.mark.parametrize("name", BASELINES)
def test_the_tiny_size_is_tiny(name):
    network = find(name)
    assert parameters(network, dataclasses.replace(network.preset("tiny").model, scale=8)) <= 200_000


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), SIZES)
@pytest.mark.parametrize("scale", [3, 8])
def test_a_step_of_the_papers_size_gives_every_parameter_a_gradient(name, size, scale):
    network = find(name)
    preset = network.preset(size)
    with shapes_only():
        model = network.make(dataclasses.replace(preset.model, scale=scale))
        lr, hr = torch.empty(2, 3, 32, 32), torch.empty(2, 3, 32 * scale, 32 * scale)
    stage = network.stages(preset.train)[0](model, preset.train)
    stage(lr, hr)["total"].backward()
    assert all(p.grad is not None for p in model.parameters())
    assert model(lr).shape == hr.shape


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), SIZES)
def test_a_step_of_the_papers_size_lowers_the_loss(name, size):
    network = find(name)
    preset = network.preset(size)
    torch.manual_seed(1)
    model = network.make(dataclasses.replace(preset.model, scale=2))
    stage = network.stages(preset.train)[0](model, preset.train)
    lr, hr = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 32, 32)

    def loss():
        torch.manual_seed(2)  # for what the network draws
        return stage(lr, hr)["total"]

    before = loss()
    before.backward()
    with torch.no_grad():  # a step by which a linear loss would fall by a thousandth
        rate = 0.001 * before / sum(p.grad.square().sum() for p in model.parameters())
        for p in model.parameters():
            p -= rate * p.grad
        after = loss()
    assert 0 < after.item() < before.item()


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("name", BASELINES)
def test_every_scale_has_an_image_of_its_size_and_a_gradient_for_each_parameter(name, scale):
    network, model = tiny(name, scale)
    stage = network.stages(network.preset("tiny").train)[0](model, network.preset("tiny").train)
    side = network.multiple
    lr, hr = torch.rand(1, 3, side, 2 * side), torch.rand(1, 3, scale * side, 2 * scale * side)
    terms = stage(lr, hr)
    assert tuple(terms) == type(stage).terms
    terms["total"].backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    assert model(lr).shape == hr.shape


@pytest.mark.parametrize("realign", [False, True])
@pytest.mark.parametrize("name", BASELINES)
def test_a_step_has_nothing_that_a_cuda_graph_cannot_hold(name, realign):
    network, model = tiny(name, 2)
    side, said = network.multiple, []
    train = dataclasses.replace(network.preset("tiny").train, batch=2, patch=side, realign=realign)
    engine = Engine(network.stages(train)[0](model, train), train, graph=True, note=said.append)
    hr_side = 2 * side + 8 * realign
    for _ in range(2):
        engine.update(Batch(torch.rand(2, 3, side, side), torch.rand(2, 3, hr_side, hr_side)), 1e-3, {})
    assert said == []


@pytest.mark.parametrize("name", BASELINES)
def test_saved_and_loaded_it_has_the_same_bits(name, tmp_path):
    network, model = tiny(name, 4)
    native.save(tmp_path / "m.safetensors", model)
    loaded = d2c.load(tmp_path / "m.safetensors")
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(tensor, loaded.state_dict()[key]) for key, tensor in model.state_dict().items())
    lr = torch.rand(1, 3, network.multiple, 3 * network.multiple)
    with torch.no_grad():
        assert (loaded.eval()(lr) - model.eval()(lr)).abs().max() < 1e-6


@pytest.mark.parametrize("scale", [2, 3, 8])
@pytest.mark.parametrize("name", ["srresnet", "edsr", "rrdb", "lpkpn"])
def test_strips_of_an_image_of_odd_size_equal_the_whole(name, scale):
    network = find(name)
    small = {"blocks": 1, "features": 16, "scale": scale} | ({"growth": 2} if name == "rrdb" else {})
    torch.manual_seed(0)
    model = network.make(network.config(**small)).double().eval()
    upscaler = network.upscaler(network.config(**small))
    reach = network.reach_of(network.config(**small))
    lr = torch.rand(1, 3, 2 * reach + 23, 5, dtype=torch.float64)
    whole, parts = (_upscaled(upscaler, model, lr, rows) for rows in (lr.shape[2], 4 * -(-reach // 8)))
    assert whole.shape == (3, scale * lr.shape[2], scale * lr.shape[3])
    assert (whole - parts).abs().max() < 1e-12


def _upscaled(upscaler, model, lr, rows):
    plan = plan_of(lr, rows)
    return torch.cat([strip.sr for strip in upscaler.strips(model, lr, plan, None, lambda: None)], dim=1)


@pytest.mark.parametrize("name", ["rcan", "cdc"])
def test_networks_whose_pixels_depend_on_the_whole_image_refuse_strips(name):
    network, _ = tiny(name, 2)
    assert f"{name} takes images whole, not in strips" in network.upscaler(network.preset("tiny").model).refusal


@pytest.mark.parametrize("name", ["edsr", "rcan"])
def test_the_range_of_255_and_the_mean_are_part_of_the_model(name):
    _, model = tiny(name, 2)
    lr = torch.rand(1, 3, 6, 7)
    mean = torch.tensor([0.4488, 0.4371, 0.4040])[:, None, None]
    x = F.conv2d(255 * (lr - mean), model.head.weight, model.head.bias, padding=1)
    x = F.conv2d(model.body(x), model.after_body.weight, model.after_body.bias, padding=1) + x
    expand, last = model.tail.expand[0], model.tail.conv
    x = F.pixel_shuffle(F.conv2d(x, expand.weight, expand.bias, padding=1), 2)
    sr = F.conv2d(x, last.weight, last.bias, padding=1) / 255 + mean
    with torch.no_grad():
        assert (model(lr) - sr).abs().max() < 1e-6


def test_the_pyramid_is_inverted_exactly():
    luma = torch.rand(2, 1, 20, 12, dtype=torch.float64)
    levels = laplacian_pyramid(luma)
    assert [tuple(level.shape[2:]) for level in levels] == [(20, 12), (10, 6), (5, 3)]
    assert (rebuilt(levels) - luma).abs().max() < 1e-15
    flat = laplacian_pyramid(torch.full((1, 1, 32, 32), 0.5, dtype=torch.float64))
    assert flat[0][0, 0, 8:-8, 8:-8].abs().max() < 1e-15  # a flat image has only the coarsest level
    assert flat[2][0, 0, 3, 3].item() == pytest.approx(0.5)


def test_the_kernels_that_keep_each_pixel_give_the_interpolated_image():
    _, model = tiny("lpkpn", 4)
    for branch in model.kernels:
        torch.nn.init.zeros_(branch[-1].weight)
    lr = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert (model(lr) - bicubic_up(lr, 4)).abs().max() < 1e-6


@pytest.mark.parametrize("scale", [2, 8])
@pytest.mark.parametrize("size", ["tiny", "paper"])
def test_an_untrained_lpkpn_nearly_gives_the_interpolated_image(size, scale):
    network = find("lpkpn")
    torch.manual_seed(1)
    model = network.make(dataclasses.replace(network.preset(size).model, scale=scale)).eval()
    lr = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        differs = model(lr) - bicubic_up(lr, scale)
    assert differs.square().mean().sqrt() < 0.1


def test_half_precision_rounds_the_predicted_kernels_of_lpkpn_and_not_its_image():
    _, model = tiny("lpkpn", 4)
    lr = F.interpolate(torch.rand(1, 3, 6, 6), scale_factor=2, mode="bilinear")  # about as smooth as a photograph
    with torch.no_grad():
        exact, enlarged = model(lr), bicubic_up(lr, 4)
        with computing("bf16", lr.device):
            image, luma = model.enlarged(lr)
            assert torch.equal(image, enlarged)
            assert model.predicted_kernels(luma)[0].dtype == torch.bfloat16
            differs = model(lr) - exact
    assert differs.dtype == torch.float32
    assert 0 < 255 * differs.square().mean().sqrt() < 0.2
    half = model.half()
    with torch.no_grad():
        assert (half(lr.half()) - exact).abs().max() < 0.002


def test_levels_of_the_pyramid_count_by_their_sums():
    network, model = tiny("lpkpn", 2)
    stage = network.stages(network.preset("tiny").train)[0](model, network.preset("tiny").train)
    lr, hr = torch.rand(3, 3, 8, 8), torch.rand(3, 3, 16, 16)
    luma = (65.481 * hr[:, :1] + 128.553 * hr[:, 1:2] + 24.966 * hr[:, 2:] + 16) / 255
    pairs = zip(model.levels(model.enlarged(lr)[1]), laplacian_pyramid(luma), strict=True)
    means = [((a - b) ** 2).mean().item() for a, b in pairs]
    terms = {name: value.item() for name, value in stage(lr, hr).items()}
    assert terms["total"] == pytest.approx(0.5 * (means[0] + means[1] / 4 + means[2] / 16), rel=1e-5)
    assert terms["coarse"] == pytest.approx(0.5 * means[2] / 16, rel=1e-5)


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_the_interpolation_is_that_of_pillow(scale):
    image = np.random.default_rng(0).random((7, 9)).astype(np.float32)
    wanted = PIL.Image.fromarray(image).resize((9 * scale, 7 * scale), PIL.Image.Resampling.BICUBIC)
    made = bicubic_up(torch.from_numpy(image)[None, None], scale)[0, 0].numpy()
    assert np.abs(made - np.asarray(wanted)).max() < 1e-5


def test_corners_edges_and_flat_parts_are_those_of_opencv():
    image = np.full((48, 64), 0.2, dtype=np.float32)
    image[12:36, 16:48] = 0.8
    image += np.random.default_rng(1).normal(0, 0.01, image.shape).astype(np.float32)
    rgb = torch.from_numpy(np.stack([image] * 3))[None]
    flat, edge, corner = harris_masks(rgb)[:, 0, 0].bool().numpy()
    response = cv2.cornerHarris(219 * image, 3, 3, 0.04, borderType=cv2.BORDER_REPLICATE)
    inner = np.s_[2:-2, 2:-2]
    assert (corner == (response > 0.01 * response.max()))[inner].all()
    assert (edge == (response < -0.001 * response.max()))[inner].all()
    assert (flat ^ edge ^ corner).all()
    assert corner[12, 16]
    assert edge[24, 16]
    assert flat[4, 4]


def test_the_gradient_weight_is_one_where_gradients_agree():
    hr = torch.rand(1, 3, 9, 9, dtype=torch.float64)
    assert gradient_weighted(hr + 0.1, hr).item() == pytest.approx(0.1)
    ramp = torch.arange(9, dtype=torch.float64)[None, None, None].expand(1, 1, 9, 9) / 100  # ∂x is 8 times the slope
    inner = (1 + 4 * 0.08) * ramp[0, 0, 0]
    inner[0] = (1 + 4 * 0.04) * ramp[0, 0, 0, 0]
    inner[-1] = (1 + 4 * 0.04) * ramp[0, 0, 0, -1]
    assert gradient_weighted(ramp, torch.zeros_like(ramp)).item() == pytest.approx(inner.mean().item())
