"""The checkpoints that come with the package, and their name wherever a checkpoint is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open

import d2c
from d2c.checkpoints import native
from d2c.checkpoints.builtin import builtin_names, builtin_path
from d2c.cli import cli
from d2c.errors import CheckpointError
from d2c.inference import results
from d2c.networks import find, network_of
from d2c.training.start import initial_model
from d2crealsr.store.images import write_image
from d2crealsr.store.notes import note_in

ROOT = Path(__file__).parents[3]
NAME = "builtin:x8"


@pytest.fixture(scope="module")
def model():
    return d2c.load(NAME)


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_each_is_small_and_stored_in_half_precision():
    assert NAME in builtin_names()
    for name in builtin_names():
        path = builtin_path(name)
        assert path.stat().st_size <= 2 * 2**20
        with safe_open(path, framework="pt") as opened:
            stored = [opened.get_tensor(key) for key in opened.keys()]  # noqa: SIM118
        assert {tensor.dtype for tensor in stored} == {torch.float16}
        assert sum(parameter.numel() for parameter in d2c.load(name).parameters()) <= 1_000_000


def test_the_card_is_that_of_the_documentation_and_of_these_weights():
    for name in builtin_names():
        card = builtin_path(name).with_suffix(".md").read_text(encoding="utf-8")
        assert card == (ROOT / f"docs/checkpoint-{name.removeprefix('builtin:')}.md").read_text(encoding="utf-8")
        assert native.digest(name) in card


@pytest.mark.parametrize(
    "command",
    [
        ("upscale", "photo.png", "--checkpoint", "builtin:x5", "--out", "out"),
        ("eval", "builtin:x5", "--data", "pairs"),
        ("export", "builtin:x5", "--format", "safetensors"),
    ],
)
def test_one_that_is_not_there_is_refused_with_the_names_of_those_that_are(command):
    result = run(*command)
    assert result.exit_code == 2
    assert f"builtin:x5: no such built-in checkpoint; expected {' or '.join(builtin_names())}\n" in result.stderr


def test_another_network_than_its_own_is_refused_with_its_name():
    with pytest.raises(CheckpointError, match="builtin:x8: is of the network edsr, not of d2csr; change --network"):
        d2c.load(NAME, network="d2csr")


def test_a_result_records_its_name_and_its_hash(model, tmp_path):
    write_image(tmp_path / "photo.png", np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8))
    result = run("upscale", tmp_path / "photo.png", "--checkpoint", NAME, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    note = json.loads(note_in(tmp_path / "out" / "photo_x8.png", "d2c"))
    assert (note["name"], note["checkpoint"]) == (NAME, results.model_digest(model))


def test_a_model_that_was_changed_has_the_name_no_more():
    changed = d2c.load(NAME)
    assert results.builtin_of(changed, results.model_digest(changed)) == NAME
    next(changed.parameters()).data += 1
    assert results.builtin_of(changed, results.model_digest(changed)) == ""
    assert "name" not in json.loads(results.Origin("", "", {}).note)


def test_it_is_measured_like_any_other(make_pairs, tmp_path):
    pairs = make_pairs(tmp_path / "pairs", count=2, scale=8, size=(12, 12), test=1)
    result = run("eval", NAME, "--data", pairs, "--split", "test", "--trust-pairs")
    assert result.exit_code == 0, result.output
    assert "bicubic" in result.stdout


def test_its_export_goes_to_the_current_folder_and_names_it(tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert run("export", NAME, "--format", "safetensors").exit_code == 0
    (made,) = (tmp_path / "export").glob("*.safetensors")
    described = json.loads(native.provenance(made)["exported_from"])
    assert (described["checkpoint"], described["checkpoint_sha256"]) == (NAME, native.digest(NAME))


def test_training_starts_from_it(model):
    network, config = network_of(model)
    train = find(network.name).preset("tiny").train
    stages = network.stages(train)
    start = initial_model(network, config, train, Path(NAME), stages, pytest.fail)
    assert all(torch.equal(start.state_dict()[key], value) for key, value in model.state_dict().items())


def test_the_list_of_networks_names_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("d2c.networks.base.count.size_rows", lambda network: iter(()))  # takes long
    assert f"Checkpoints that need no training: {', '.join(builtin_names())}\n" in run("networks").stdout


def test_an_array_is_upscaled_by_its_name(model):
    image = np.random.default_rng(1).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    assert np.array_equal(d2c.upscale(image, NAME), d2c.upscale(image, model))
