"""Made-up checkpoints with the released keys and shapes, against a forward pass written out literally in BGR."""

from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import d2c
from d2c.checkpoints import native
from d2c.checkpoints.convert import convert as convert_weights_of
from d2c.checkpoints.unpickle import read_arrays
from d2c.d2csr.entry import NETWORK
from d2c.errors import CheckpointError
from d2crealsr.store import UsageError

BODIES = ("1", "2", "11", "12", "21", "22")
LEAVES = ("11", "12", "21", "22")


def convert(source, target):
    """Convert, and return the structure that was found."""
    return convert_weights_of(NETWORK, source, target).config


def released(scale, n=8, groups=2, blocks=2, narrow=2, width=6, seed=0):
    """Random state dictionaries with the released names; all of it random, the colour layers too."""
    rng = np.random.default_rng(seed)
    D, C = OrderedDict(), OrderedDict()

    def conv(where, name, out, into, side, bias=True):
        where[name + ".weight"] = rng.normal(0, 0.5 / np.sqrt(into * side), (out, into, side, side)).astype(np.float32)
        if bias:
            where[name + ".bias"] = rng.normal(0, 0.1, (1, out, 1, 1)).astype(np.float32)

    conv(D, "sub_mean", 3, 3, 1)
    conv(D, "add_mean", 3, 3, 1)
    conv(D, "head.0", n, 3, 3)
    for body in BODIES:
        for g in range(groups):
            for b in range(blocks):
                conv(D, f"body{body}.{g}.body.{b}.body.0", n, n, 3)
                conv(D, f"body{body}.{g}.body.{b}.body.2", n, n, 3)
                conv(D, f"body{body}.{g}.body.{b}.body.3.conv_du.0", narrow, n, 1)
                conv(D, f"body{body}.{g}.body.{b}.body.3.conv_du.2", n, narrow, 1)
            conv(D, f"body{body}.{g}.body.{blocks}", n, n, 3)
        conv(D, f"body{body}.{groups}", n, n, 3)
    for k in range(1, 9):
        conv(D, f"res_conv{k}", n, n, 3)
    for leaf in LEAVES:
        for k in range(1 if scale == 3 else scale.bit_length() - 1):
            conv(D, f"tail{leaf}.0.{2 * k}", (9 if scale == 3 else 4) * n, n, 3)
        conv(D, f"tail{leaf}.1", 3, n, 3)
    for k, (out, into) in enumerate([(width, 12), (width, width), (4, width)]):
        conv(C, f"fusion_final.{k}.conv", out, into, 3, bias=False)
    return D, C


def literal_forward(D, C, bgr, scale, groups=2, blocks=2):
    """The released network as its code reads, every branch written out."""
    p = {k: torch.from_numpy(v) for k, v in {**D, **C}.items()}

    def conv(name, x):
        weight = p[name + ".weight"]
        bias = p.get(name + ".bias")
        return F.conv2d(x, weight, None if bias is None else bias.reshape(-1), padding=weight.shape[-1] // 2)

    def body(name, x):
        for g in range(groups):
            inside = x
            for b in range(blocks):
                key = f"{name}.{g}.body.{b}.body"
                r = conv(key + ".2", F.relu(conv(key + ".0", inside)))
                gate = conv(key + ".3.conv_du.2", F.relu(conv(key + ".3.conv_du.0", F.adaptive_avg_pool2d(r, 1))))
                inside = inside + r * torch.sigmoid(gate)
            x = x + conv(f"{name}.{g}.body.{blocks}", inside)
        return conv(f"{name}.{groups}", x)

    def tail(name, x):
        for k in range(1 if scale == 3 else scale.bit_length() - 1):
            x = F.pixel_shuffle(conv(f"{name}.0.{2 * k}", x), 3 if scale == 3 else 2)
        return conv(name + ".1", x)

    x = conv("head.0", conv("sub_mean", bgr))
    one, two = body("body1", x), body("body2", x)
    res11 = conv("res_conv2", conv("res_conv1", body("body11", one)) + one) + x
    res12 = conv("res_conv4", conv("res_conv3", body("body12", one)) + one) + x
    res21 = conv("res_conv6", conv("res_conv5", body("body21", two)) + two) + x
    res22 = conv("res_conv8", conv("res_conv7", body("body22", two)) + two) + x
    outs = [conv("add_mean", tail("tail" + k, r)) for k, r in zip(LEAVES, (res11, res12, res21, res22), strict=True)]
    w = torch.cat(outs, dim=1)
    for k in range(3):
        w = F.relu(conv(f"fusion_final.{k}.conv", w))
    w = torch.softmax(w, dim=1)
    return outs, w, sum(o * w[:, k : k + 1] for k, o in enumerate(outs))


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_imported_weights_compute_what_the_released_network_does(tmp_path, scale, protocol):
    D, C = released(scale, seed=scale)
    (tmp_path / "released.pkl").write_bytes(pickle.dumps({"state_dict_D": D, "state_dict_C": C}, protocol=protocol))
    config = convert(tmp_path / "released.pkl", tmp_path / "ours.safetensors")
    assert (config.scale, config.groups, config.blocks, config.features) == (scale, 2, 2, 8)
    model = d2c.load(tmp_path / "ours.safetensors")
    bgr = torch.rand(1, 3, 7, 6, generator=torch.Generator().manual_seed(1))
    outs, weights, fused = literal_forward(D, C, bgr, scale)
    rgb = bgr.flip(1)
    predictions = model.diverge(rgb)
    sr, maps = model.converge(predictions)
    for found, expected in zip(predictions.unbind(1), outs, strict=True):
        torch.testing.assert_close(found, expected.flip(1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(maps, weights, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(sr, fused.flip(1), atol=1e-5, rtol=1e-5)
    assert (maps.amax(1) - maps.amin(1)).max() > 0.01


def test_the_full_structure_has_all_its_keys(tmp_path):
    D, C = released(8, n=64, groups=2, blocks=4, narrow=4, width=64)
    (tmp_path / "released.pkl").write_bytes(pickle.dumps({"state_dict_D": D, "state_dict_C": C}))
    config = convert(tmp_path / "released.pkl", tmp_path / "ours.safetensors")
    assert config == d2c.D2CConfig(convergence_bias=False, convergence_relu=True, convergence_gain=1.0)


def test_the_target_replaces_a_converted_checkpoint_and_nothing_else(tmp_path):
    D, C = released(2)
    source, target = tmp_path / "released.pkl", tmp_path / "ours.safetensors"
    source.write_bytes(pickle.dumps({"state_dict_D": D, "state_dict_C": C}))
    for _ in range(2):
        convert(source, target)
    native.save(tmp_path / "trained.safetensors", d2c.load(target), stage=2)
    (tmp_path / "mine").write_text("mine")
    os.link(source, tmp_path / "second")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name in ("trained.safetensors", "mine"):
        with pytest.raises(UsageError, match=f"{name}: holds something else than a converted checkpoint"):
            convert(source, tmp_path / name)
    for name in ("released.pkl", "second"):
        with pytest.raises(UsageError, match=f"{name}: is an input"):
            convert(source, tmp_path / name)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_fortran_order_big_endian_and_half_precision():
    values = {
        "f": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "b": np.arange(4, dtype=">f4"),
        "h": np.arange(3, dtype=np.float16),
        "d": np.arange(3, dtype=np.float64),
        "s": np.array(2.5, np.float32),
    }
    for protocol in range(6):
        found = read_arrays(io.BytesIO(pickle.dumps({"x": values}, protocol=protocol)), "x")["x"]
        for key, value in values.items():
            assert np.array_equal(found[key], value), (protocol, key)
            assert found[key].shape == value.shape


class Malicious:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict_D": {"head.0.weight": Malicious(exec, "raise SystemExit")}, "state_dict_C": {}},
        Malicious(eval, "1"),
        Malicious(np.load, "x.npy"),
        {"state_dict_D": Malicious(__import__, "os")},
    ],
)
def test_malicious_pickles_are_refused(tmp_path, content):
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(CheckpointError, match=r"evil\.pkl: asks for .* which no dictionary of arrays needs; refused"):
        convert(path, tmp_path / "ours.safetensors")
    assert not (tmp_path / "ours.safetensors").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no pickle", "is not a complete pickle"),
        (pickle.dumps([1]), "holds a list where a dictionary"),
        (pickle.dumps({"state_dict_D": {"a": np.array([object()])}}), "asks for|type 'O8'"),
        (pickle.dumps({"state_dict_D": {"a": np.array(["x"])}}), "type 'U1'"),
        (pickle.dumps({"state_dict_D": {"a": 3}}), "holds a int under 'a'"),
        (pickle.dumps({"state_dict_D": {}}), "lacks state_dict_C"),
        (pickle.dumps({"state_dict_D": {}, "state_dict_C": {}}), r"lacks 'head\.0\.weight'"),
    ],
)
def test_other_files_are_refused(tmp_path, content, message):
    path = tmp_path / "x.pkl"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        convert(path, tmp_path / "ours.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda D: D.pop("res_conv3.bias"), r"lacks 'res_conv3\.bias'"),
        (lambda D: D.update({"extra.weight": D["head.0.weight"]}), r"has extra\.weight, which"),
        (lambda D: D.update({"res_conv3.bias": np.zeros(9, np.float32)}), r"res_conv3\.bias has shape \(9,\)"),
    ],
)
def test_keys_and_shapes_must_fit_exactly(tmp_path, change, message):
    D, C = released(2)
    change(D)
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"state_dict_D": D, "state_dict_C": C}))
    with pytest.raises(CheckpointError, match=message):
        convert(path, tmp_path / "ours.safetensors")
