"""Exported models: files that give what the network gives, and one line where that is not possible."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import d2c
from d2c.checkpoints import native
from d2c.cli import cli
from d2c.errors import ConfigError, D2CError
from d2c.export import FORMATS, write
from d2c.export.graph import graph_of, own_output
from d2c.networks import NETWORKS, find
from d2crealsr.store import UsageError

SMALL = d2c.D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=8, convergence_features=8)


@pytest.fixture
def checkpoint(tmp_path):
    torch.manual_seed(0)
    native.save(tmp_path / "run" / "last.safetensors", d2c.D2CSR(SMALL))
    return tmp_path / "run"


def tiny(name):
    """At the network's smallest scale."""
    torch.manual_seed(0)
    network = find(name)
    return network, network.make(dataclasses.replace(network.preset("tiny").model, scale=network.scales[0])).eval()


def command(*words):
    return CliRunner().invoke(cli, ["export", *map(str, words)])


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_the_module_of_every_network_gives_its_image_at_any_size(name):
    _, model = tiny(name)
    module = graph_of(model, everything=False, precision="fp32").module
    lr = torch.rand(1, 3, 17, 18)
    assert torch.allclose(module(lr), own_output(model, lr), atol=1e-6)
    assert all(not parameter.requires_grad for parameter in module.parameters())
    half = graph_of(model, everything=False, precision="fp16").module
    assert {t.dtype for t in half.state_dict().values() if t.is_floating_point()} == {torch.float16}
    assert next(model.parameters()).dtype == torch.float32, "the model itself is left as it is"


@torch.no_grad()
def test_the_module_of_a_started_flow_gives_its_image_too():
    _, model = tiny("srflow")
    for name, parameter in model.named_parameters():
        parameter += 0.05 * (len(parameter) ** -0.5 if "mix" in name else 1) * torch.randn_like(parameter)
    model.started.fill_(True)
    lr = torch.rand(2, 3, 5, 6)
    module = graph_of(model, everything=False, precision="fp32").module
    assert torch.allclose(module(lr), own_output(model, lr), atol=1e-5)
    assert (own_output(model, lr) - model.encoder(lr)).abs().max() > 0.1


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("borders", ["exact", "composed"])
@torch.no_grad()
def test_fixed_tails_keep_the_borders_also_of_the_smallest_images(scale, borders):
    model = d2c.D2CSR(dataclasses.replace(SMALL, scale=scale, borders=borders)).eval()
    fixed = find("d2csr").exported(model, everything=True).eval()
    for height, width in ((2, 2), (2, 5), (3, 4)):
        lr = torch.rand(1, 3, height, width)
        sr, predictions, weights = fixed(lr)
        assert torch.allclose(predictions, model.diverge(lr), atol=1e-6)
        assert torch.allclose(sr, model(lr), atol=1e-6)
        assert weights.shape == (1, 2, scale * height, scale * width)
    assert not any("expand" in name for name, _ in fixed.named_parameters() if scale > 1), "only composed tails"


def test_weights_are_a_checkpoint_again(checkpoint):
    said = command(checkpoint, "--format", "safetensors", "--precision", "fp16")
    assert said.exit_code == 0, said.output
    path = checkpoint / "export" / "d2csr_x2_fp16.safetensors"
    assert f"{path}: safetensors, 0.0" in said.output
    assert "at 23x18, " in said.output
    model, own = d2c.load(path), d2c.load(checkpoint)
    assert torch.equal(model.head.weight, own.head.weight.half().float())
    described = json.loads(native.provenance(path)["exported_from"])
    assert described["checkpoint_sha256"] == native.digest(checkpoint)
    before = path.read_bytes()
    assert command(checkpoint, "--format", "safetensors", "--precision", "fp16").exit_code == 0
    assert path.read_bytes() == before


def test_only_files_of_an_export_are_replaced(checkpoint, tmp_path):
    for name in FORMATS:
        said = command(checkpoint, "--format", name, "--out", checkpoint / "last.safetensors")
        assert said.exit_code == 2
        assert "is an input of this command" in said.output
        other = tmp_path / "other"
        other.write_bytes(b"work")
        said = command(checkpoint, "--format", name, "--out", other)
        assert "holds something else than an exported model, and is not replaced" in said.output
        assert other.read_bytes() == b"work"


def test_a_file_of_another_format_is_not_named_so(checkpoint, tmp_path):
    with pytest.raises(
        ConfigError, match=r"m\.onnx: has the suffix of the format onnx, and safetensors is to be written"
    ):
        write.export(checkpoint, "safetensors", tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()
    assert write.export(checkpoint, "safetensors", tmp_path / "m.weights").path.exists()


def test_what_cannot_be_exported_is_named(checkpoint, tmp_path, monkeypatch):
    network, model = tiny("edsr")
    native.save(tmp_path / "edsr.safetensors", model)
    said = command(tmp_path / "edsr.safetensors", "--format", "torch-export", "--outputs", "all")
    assert said.exit_code == 2
    assert "outputs: got all, but edsr makes nothing beside the image; leave --outputs out" in said.output
    said = command(checkpoint, "--format", "safetensors", "--outputs", "all")
    assert "safetensors holds weights and no graph; leave --outputs out" in said.output
    with pytest.raises(ConfigError, match="format: got 'tflite', expected one of onnx, torch-export, safetensors"):
        write.export(checkpoint, "tflite")
    monkeypatch.setattr(type(network), "exports", False)
    said = command(tmp_path / "edsr.safetensors", "--format", "torch-export")
    assert "edsr cannot be exported as a graph, as its entry says; use --format safetensors" in said.output


def test_a_missing_package_is_named_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    said = command(tmp_path / "none", "--format", "onnx")
    assert said.exit_code == 2
    assert "format: onnx needs onnx, which is not installed; run: pip install '.[onnx]'" in said.output


def test_a_file_that_gives_something_else_is_not_written(checkpoint, monkeypatch):
    monkeypatch.setattr(write, "_compared", lambda *_, **__: {(18, 23): float("nan")})
    with pytest.raises(D2CError, match=r"differ from the network's by up to nan.*no file was written"):
        write.export(checkpoint, "safetensors")
    assert not (checkpoint / "export").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "precision", "tolerance"), [("d2csr", "fp32", 1e-4), ("lpkpn", "fp16", 0.02)])
def test_onnxruntime_gives_what_the_network_gives(name, precision, tolerance, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    network, model = tiny(name)
    names = ["sr", *network.more_outputs]
    native.save(tmp_path / "model.safetensors", model)
    everything = len(names) > 1
    written = write.export(tmp_path / "model.safetensors", "onnx", everything=everything, precision=precision)
    assert written.said == "ONNX, opset 18"
    assert len(written.differences) == 3
    assert max(written.differences.values()) < tolerance
    session = runtime.InferenceSession(written.path, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_outputs()] == names
    lr = np.random.default_rng(1).random((3, 3, 19, 25), dtype=np.float32)
    with torch.no_grad():
        expected = own_output(model, torch.from_numpy(lr)).numpy()
    assert np.abs(session.run(["sr"], {"lr": lr})[0] - expected).max() < tolerance
    with pytest.raises(UsageError, match="holds something else"):  # a file of another format
        write.export(tmp_path / "model.safetensors", "torch-export", written.path)


@pytest.mark.slow
def test_torch_export_is_read_without_the_network(checkpoint):
    written = write.export(checkpoint, "torch-export")
    assert max(written.differences.values()) < 1e-6
    read = torch.export.load(written.path).module()
    lr = torch.rand(1, 3, 2, 9)
    with torch.no_grad():
        assert torch.allclose(read(lr), d2c.load(checkpoint)(lr), atol=1e-6)
    assert write.export(checkpoint, "torch-export").path == written.path, "an own file is replaced"
