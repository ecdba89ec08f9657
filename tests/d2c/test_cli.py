"""The command line: it parses, calls and prints, and says errors in one line."""

from __future__ import annotations

import dataclasses
import pickle
import tomllib

import pytest
from click.testing import CliRunner

import d2c
from d2c import D2CSR, D2CConfig
from d2c.checkpoints import native
from d2c.cli import cli
from d2c.d2csr.config import TrainConfig
from d2c.errors import ConfigError

MODEL = D2CConfig(scale=2, features=6, groups=1, blocks=1, reduction=3, convergence_features=5)
QUICK = [
    "--patch",
    "8",
    "--batch",
    "2",
    "--features",
    "6",
    "--steps",
    "2",
    "--steps-convergence",
    "1",
    "--device",
    "cpu",
]


def d2c_command(*arguments):
    return CliRunner().invoke(cli, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def run_folder(pairs, tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "run"
    result = d2c_command("train", "--data", pairs, "--out", out, "--preset", "tiny", *QUICK)
    assert result.exit_code == 0, result.output
    return out


def test_train_takes_the_scale_from_the_data_and_saves_the_settings(run_folder):
    tables = tomllib.loads((run_folder / "config.toml").read_text())
    assert tables["model"]["scale"] == 2
    assert tables["model"]["groups"] == 1
    assert tables["train"]["lr"] == 1e-3
    assert tables["train"]["patch"] == 8
    assert d2c.load(run_folder).config.features == 6


def test_the_same_command_goes_on_and_so_does_one_without_settings(run_folder, pairs):
    before = (run_folder / "last.safetensors").read_bytes()
    for settings in (["--preset", "tiny", *QUICK], ["--device", "cpu"]):
        result = d2c_command("train", "--data", pairs, "--out", run_folder, *settings)
        assert result.exit_code == 0, result.output
    assert (run_folder / "last.safetensors").read_bytes() == before
    result = d2c_command("train", "--data", pairs, "--out", run_folder, "--lr", "0.5")
    assert result.exit_code == 2
    assert "its run has train.lr = 0.001, now it is 0.5" in result.output


def test_settings_from_a_file_and_options_over_them(run_folder, pairs, tmp_path):
    (tmp_path / "c.toml").write_text(
        "[model]\nscale = 2\nfeatures = 6\ngroups = 1\n[train]\npatch = 8\nbatch = 2\nsteps = 9\n"
    )
    arguments = ["--config", tmp_path / "c.toml", "--steps", 1, "--steps-convergence", 1, "--no-augment", "--joint"]
    result = d2c_command("train", "--data", pairs, "--out", tmp_path / "run", *arguments, "--device", "cpu")
    assert result.exit_code == 0, result.output
    train = tomllib.loads((tmp_path / "run/config.toml").read_text())["train"]
    assert (train["steps"], train["augment"], train["joint"], train["patch"]) == (1, False, True, 8)
    (tmp_path / "c.toml").write_text("[trian]\npatch = 8\n")
    result = d2c_command("train", "--data", pairs, "--out", tmp_path / "r", "--config", tmp_path / "c.toml")
    assert result.exit_code == 2
    assert "unknown table [trian], expected [model] and [train]" in result.output


def test_every_setting_has_an_option():
    shown = d2c_command("train", "--help").output
    for kind in (D2CConfig, TrainConfig):
        for f in dataclasses.fields(kind):
            assert f"--{f.name.replace('_', '-')}" in shown


def test_errors_are_one_line(pairs, tmp_path):
    result = d2c_command("train", "--data", pairs, "--out", tmp_path / "r", "--preset", "tiny", "--device", "cpu")
    assert result.exit_code == 2
    assert result.output.startswith(
        "d2c: 001: its LR image is 24x20, smaller than a patch of 24; use --patch 20 or less"
    )
    assert len(result.output.splitlines()) == 1
    assert d2c_command("train", "--data", tmp_path / "nowhere").exit_code == 2
    assert d2c_command("eval", tmp_path, "--data", pairs).exit_code == 2


def test_eval_prints_a_table_and_writes_csv(run_folder, pairs, tmp_path):
    table = tmp_path / "table.csv"
    result = d2c_command(
        *("eval", run_folder, "--data", pairs, "--csv", table, "--device", "cpu"),
        *("--protocol", "basicsr-y", "--protocol", "d2c-released", "--protocol", "basicsr-y"),
    )
    assert result.exit_code == 0, result.output
    lines = table.read_text().splitlines()
    assert lines[0] == "image,method,protocol,psnr_db,ssim"
    assert len(lines) == 1 + 2 * 2 * 8  # one image and the mean, two protocols, eight methods
    assert "basicsr-y" in result.output


def test_upscale_writes_images_and_figures(run_folder, pairs, tmp_path):
    result = d2c_command(
        *("upscale", pairs / "lr/000.png", pairs / "lr/001.png", "--checkpoint", run_folder, "--out", tmp_path),
        *("--device", "cpu", "--save-branches", "--save-weights", "--box", "1,2,8,8"),
    )
    assert result.exit_code == 0, result.output
    assert {p.name for p in tmp_path.iterdir()} == {
        f"00{k}_x2{figure}.png" for k in (0, 1) for figure in ("", "_branches", "_weights", "_patch")
    }
    for arguments, message in (
        (["--box", "1,2,8"], "expected four whole numbers"),
        (["--box", "1,2,8,a"], "expected four whole numbers"),
        (["--hr", "x.png"], "hr: is drawn in the patch figure of one file"),
    ):
        file = pairs / "lr/000.png"
        result = d2c_command("upscale", file, "--checkpoint", run_folder, "--out", tmp_path, *arguments)
        assert result.exit_code == 2
        assert message in result.output


def test_convert_refuses_what_is_no_checkpoint(tmp_path):
    (tmp_path / "x").write_bytes(pickle.dumps({}))
    result = d2c_command("convert", tmp_path / "x", tmp_path / "y.safetensors")
    assert result.exit_code == 2
    assert "lacks state_dict_C, state_dict_D" in result.output


def test_load_is_the_documented_function(tmp_path):
    native.save(tmp_path / "m.safetensors", D2CSR(MODEL))
    assert isinstance(d2c.load(tmp_path / "m.safetensors"), d2c.D2CSR)
    assert {"D2CSR", "D2CConfig", "load", "losses", "metrics"} <= set(dir(d2c))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        d2c.nothing  # noqa: B018


def test_an_option_mends_what_a_file_of_settings_has(pairs, tmp_path):
    """As the message about the file says."""
    file = tmp_path / "settings.toml"
    file.write_text("[train]\ntheta = 2.0\n")
    command = ["train", "--data", str(pairs), "--out", str(tmp_path / "run"), "--config", str(file), "--plan"]
    refused = CliRunner().invoke(cli, command)
    assert refused.exit_code == 2
    assert "theta: got 2.0, expected 0 to 1; change --theta" in refused.stderr
    assert CliRunner().invoke(cli, [*command, "--theta", "0.5", "--patch", "8"]).exit_code == 0


def test_a_checkpoint_out_of_range_names_itself_and_no_option(tmp_path):
    import json

    import torch
    from safetensors.torch import save_file

    described = {"format": "d2c-checkpoint-1", "config": {"scale": 5}, "notes": {}}
    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors", metadata={"d2c": json.dumps(described)})
    command = ["upscale", str(tmp_path), "--checkpoint", str(tmp_path / "model.safetensors"), "--out", str(tmp_path)]
    refused = CliRunner().invoke(cli, command)
    assert refused.exit_code == 2
    assert "model.safetensors: scale: got 5, expected a power of two or 3; was it written by a newer" in refused.stderr
    assert "--scale" not in refused.stderr


def test_a_progress_bar_is_removed_when_a_command_fails(monkeypatch, tmp_path):
    removed = []

    def fails(*_, **__):
        raise ConfigError("run: got a folder without a log; train first")

    monkeypatch.setattr("d2c.report.report", fails)
    monkeypatch.setattr("d2crealsr.ui.progress.ConsoleReporter.finish", lambda self: removed.append(self))
    result = d2c_command("report", tmp_path)
    assert result.exit_code == 2
    assert len(removed) == 1
