"""In which numbers a device computes: what it has, how that is switched on and off, what results say of it."""

from __future__ import annotations

import copy
import json
import tomllib

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from d2c import D2CSR, D2CConfig
from d2c.checkpoints import native
from d2c.cli import cli
from d2c.comparison.cells import Cell, Work
from d2c.comparison.methods import Rules, chosen
from d2c.d2csr.config import TrainConfig
from d2c.errors import ConfigError
from d2c.inference.run import upscale
from d2c.precision import available_precision, computing, permitting_tf32
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.notes import note_in

CPU, CARD = torch.device("cpu"), torch.device("cuda:0")
TINY = D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=4, reduction=2, convergence_features=4)
QUICK = ["--preset", "tiny", "--patch", "8", "--batch", "2", "--features", "4", "--steps-convergence", "1"]


def command(*words):
    done = CliRunner().invoke(cli, [*map(str, words), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    return done.stderr


@pytest.fixture
def card(monkeypatch):
    """Takes the place of a card of a compute capability."""

    def put(capability):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA GeForce RTX 2080 Ti")

    return put


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return D2CSR(TINY).eval()


def test_an_older_card_has_fp32_and_fp16(card):
    card((7, 5))
    said = []
    assert [available_precision(name, CARD, said.append) for name in ("fp32", "fp16", "tf32")] == [
        "fp32",
        "fp16",
        "fp32",
    ]
    assert said == ["cuda:0 (NVIDIA GeForce RTX 2080 Ti) has no TF32; fp32 is computed in its place"]
    with pytest.raises(
        ConfigError, match=r"got bf16, which cuda:0 \(NVIDIA.*Ti\) does not have .*; use --precision fp16 or fp32"
    ):
        available_precision("bf16", CARD)


def test_a_later_card_has_all_of_them(card):
    card((8, 0))
    for name in ("fp32", "tf32", "bf16", "fp16"):
        assert available_precision(name, CARD, pytest.fail) == name


def test_a_cpu_has_all_but_tf32():
    said = []
    found = [available_precision(name, CPU, said.append) for name in ("fp32", "bf16", "fp16", "tf32")]
    assert (found, said) == (["fp32", "bf16", "fp16", "fp32"], ["cpu has no TF32; fp32 is computed in its place"])
    with pytest.raises(ConfigError, match="got 'fp8', expected one of fp32, tf32, bf16, fp16; change --precision"):
        available_precision("fp8", CPU)


def test_tf32_is_permitted_within_a_block_alone():
    def permitted():
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    before = permitted()
    with permitting_tf32(True, CARD):
        assert permitted() == (True, True)
        with permitting_tf32(False, CARD):
            assert permitted() == (False, False)
            torch.export.export(torch.nn.Conv2d(3, 3, 3), (torch.zeros(1, 3, 8, 8),))  # it reads the flags
        assert permitted() == (True, True)
    assert permitted() == before


def test_tf32_is_another_word_for_a_precision():
    assert TrainConfig(tf32=True) == TrainConfig(precision="tf32") == TrainConfig(precision="tf32", tf32=True)
    beside = TrainConfig(tf32=True, precision="bf16")
    assert (beside.precision, beside.tf32) == ("bf16", True)


def trained_settings(pairs, out, *words):
    command("train", "--data", pairs, "--out", out, *words)
    train = tomllib.loads((out / "config.toml").read_text())["train"]
    return train["precision"], train["tf32"]


def test_a_run_of_an_earlier_version_with_tf32_goes_on(pairs, tmp_path):
    out = tmp_path / "run"
    assert trained_settings(pairs, out, *QUICK, "--steps", 1, "--tf32") == ("tf32", False)
    config = out / "config.toml"
    text = config.read_text().replace('precision = "tf32"', 'precision = "fp32"').replace("tf32 = false", "tf32 = true")
    for words in ((), ("--tf32",), ("--precision", "tf32")):
        config.write_text(text)
        assert trained_settings(pairs, out, *words) == ("tf32", False)
    assert json.loads((out / "state/started.json").read_text())["precision"] == "fp32", "in which a CPU computed"


def test_options_overrule_a_settings_file(pairs, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[train]\nsteps = 1\ntf32 = true\n[model]\nscale = 2\n")
    command_line = [*QUICK, "--config", file]
    assert trained_settings(pairs, tmp_path / "a", *command_line, "--precision", "fp32") == ("fp32", False)
    file.write_text('[train]\nsteps = 1\nprecision = "tf32"\n[model]\nscale = 2\n')
    assert trained_settings(pairs, tmp_path / "b", *command_line, "--no-tf32") == ("fp32", False)
    for named, other in (("tf32", "--no-tf32"), ("fp32", "--tf32")):
        words = ["train", "--data", str(pairs), "--out", str(tmp_path / "c"), "--precision", named, other]
        refused = CliRunner().invoke(cli, words)
        assert (refused.exit_code, len(refused.stderr.splitlines())) == (2, 1)
        assert f"--precision {named} and {other} contradict each other" in refused.stderr


def test_a_run_in_bf16_says_so(pairs, tmp_path):
    said = command("train", "--data", pairs, "--out", tmp_path, *QUICK, "--steps", 1, "--precision", "bf16")
    assert "thread, bf16" in said or "threads, bf16" in said
    assert json.loads((tmp_path / "state/started.json").read_text())["precision"] == "bf16"


def test_upscaled_files_keep_the_precision_and_are_made_again_in_another(model, tmp_path):
    native.save(tmp_path / "m.safetensors", model)
    write_image(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.uint8))
    made, found = {}, {}
    for name in ("fp32", "tf32", "bf16", "fp16"):
        out = tmp_path / name
        words = ["upscale", tmp_path / "a.png", "--checkpoint", tmp_path / "m.safetensors", "--out", out]
        said = command(*words, "--precision", name)
        assert said.count("cpu has no TF32; fp32 is computed in its place") == (name == "tf32")
        made[name] = read_image(out / "a_x2.png").astype(int)
        found[name] = json.loads(note_in(out / "a_x2.png", "d2c"))["settings"].get("precision")
        assert "1 of 1 results are there already" in command(*words, "--precision", name)
    assert found == {"fp32": None, "tf32": None, "bf16": "bf16", "fp16": "fp16"}
    assert np.array_equal(made["tf32"], made["fp32"])
    assert 0 < np.abs(made["bf16"] - made["fp32"]).max() <= 3
    assert np.abs(made["fp16"] - made["fp32"]).max() <= 1
    refused = CliRunner().invoke(cli, [*map(str, words), "--precision", "fp32", "--device", "cpu"])
    assert refused.exit_code == 2, "another file is there"


def test_measured_tables_have_the_precision(model, pairs, tmp_path):
    native.save(tmp_path / "m.safetensors", model)
    table = tmp_path / "t.csv"
    for name, header in (("fp32", "ssim"), ("bf16", "ssim,precision"), ("fp32", "ssim")):
        said = command("eval", tmp_path / "m.safetensors", "--data", pairs, "--csv", table, "--precision", name)
        assert ("; computed in bf16" in said) == (name == "bf16")
        first, *rows = table.read_text().splitlines()
        assert first == f"image,method,protocol,psnr_db,{header}"
        assert all(row.endswith(",bf16") == (name == "bf16") for row in rows)


def test_the_network_alone_runs_in_the_precision(model):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    exact, half = (upscale(model, pixels, precision=name).sr for name in ("fp32", "bf16"))
    with computing("bf16", CPU):
        np.testing.assert_array_equal(upscale(model, pixels).sr, half)
        np.testing.assert_array_equal(upscale(model, pixels, precision="fp32").sr, exact)
        assert torch.is_autocast_enabled("cpu")
    assert not torch.is_autocast_enabled("cpu")
    assert 0 < np.abs(half - exact).max() < 0.02


def test_a_comparison_trains_and_measures_in_one_precision(pairs, tmp_path):
    rules = Rules(batch=2, patch=8)
    (method,) = chosen(["path-depth"], "tiny", 2, rules)
    cell = Cell(Work(data=pairs, out=tmp_path, scale=2, device="cpu", precision="bf16"), method)
    assert cell._asked()["train"]["precision"] == "bf16"
    plain = Cell(Work(data=pairs, out=tmp_path, scale=2, device="cpu"), method)
    assert plain._asked()["train"]["precision"] == method.train.precision


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("name", "most"), [("fp32", 1e-5), ("tf32", 2e-3), ("fp16", 2e-3), ("bf16", 2e-2)])
def test_each_precision_is_near_the_cpu_on_a_card(model, name, most):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    exact = upscale(model, pixels).sr
    precision = available_precision(name, torch.device("cuda"))
    found = upscale(copy.deepcopy(model).cuda(), pixels, precision=precision).sr
    assert np.abs(found - exact).max() < most
