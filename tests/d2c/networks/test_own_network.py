"""A network that is not in the table, named by ``--network module:NAME``: every command takes it."""

from __future__ import annotations

import csv
import shutil
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import d2c
from d2c.cli import cli
from d2c.errors import CheckpointError
from d2c.networks import NETWORKS
from d2crealsr.store.images import read_image

OWN = "own_network:Own"


@pytest.fixture(autouse=True)
def _where_it_is(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent)


def command(*words, network=OWN):
    named = ["--network", network] if network else []
    return CliRunner().invoke(cli, [*map(str, words), *named])


def good(*words, network=OWN):
    done = command(*words, network=network)
    assert done.exit_code == 0, done.output
    return done.output


def refused(*words, network=None):
    done = command(*words, network=network)
    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1), done.output
    return done.stderr


@pytest.fixture(scope="module")
def run(pairs, tmp_path_factory):
    """A finished run of both stages."""
    out = tmp_path_factory.mktemp("own") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        good("train", "--data", pairs, "--out", out, "--preset", "tiny", "--device", "cpu")
    return out


def test_its_settings_its_stages_and_its_outputs_are_recorded(run):
    tables = tomllib.loads((run / "config.toml").read_text())
    assert tables["model"] == {"network": OWN, "scale": 2, "channels": 3, "skip": "nearest"}
    assert (tables["train"]["steps_second"], tables["train"]["weight"]) == (3, 2.0)
    rows = list(csv.DictReader((run / "log.csv").read_text().splitlines()))
    assert [(row["stage"], row["step"]) for row in rows] == [("1", k) for k in "1234"] + [("2", k) for k in "123"]
    assert list(rows[0])[4:8] == ["weight", "total", "squares", "val_psnr_db_bicubic"]
    assert float(rows[-1]["total"]) == pytest.approx(2 * float(rows[-1]["squares"]))
    assert rows[0]["squares"] == "", "stage 1 has no such term"
    assert float(rows[-1]["val_psnr_db_sr"]) > 0


def test_a_stopped_run_is_resumed_to_the_same_weights(run, pairs, tmp_path):
    train = ["train", "--data", pairs, "--out", tmp_path / "run", "--preset", "tiny", "--device", "cpu"]
    good(*train, "--stage", "1")
    good(*train, "--stage", "2")
    assert (tmp_path / "run/last.safetensors").read_bytes() == (run / "last.safetensors").read_bytes()
    assert "its run has model.channels = 3, now it is 5" in refused(*train, "--channels", "5", network=OWN)


def test_it_is_measured_upscaled_and_reported(run, pairs, tmp_path):
    assert "      sr" in good("eval", run, "--data", pairs, "--device", "cpu")
    lr = pairs / "lr/000.png"
    made = ["upscale", lr, "--checkpoint", run, "--device", "cpu", "--box", "1,2,8,8"]
    good(*made, "--out", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"000_x2.png", "000_x2_patch.png"}
    assert read_image(tmp_path / "000_x2_patch.png").shape[1] == 3 * 244 - 4  # LR, bicubic, sr
    good("report", run, "--device", "cpu")
    page = (run / "report/index.html").read_text()
    assert "Weights of the" not in page
    assert "d2c report" in page
    assert f"--network {OWN}" in page, "the command that makes the page again"


def test_it_learns_in_its_own_range(run, pairs, tmp_path):
    """What it takes and gives is on [0, 255]; what it is trained and measured on is not."""
    lr = read_image(pairs / "lr/000.png")
    good("upscale", pairs / "lr/000.png", "--checkpoint", run, "--out", tmp_path, "--device", "cpu")
    assert np.abs(read_image(tmp_path / "000_x2.png").mean() - lr.mean()) < 60


def test_a_file_does_not_import_its_code(run, pairs, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "own_network")
    nowhere = tmp_path / "out"
    for words in (
        ["eval", run, "--data", pairs],
        ["upscale", pairs / "lr", "--checkpoint", run, "--out", nowhere],
        ["report", run, "--out", nowhere],
        ["train", "--data", pairs, "--out", run],
        ["train", "--data", pairs, "--out", nowhere, "--config", run / "config.toml"],
    ):
        said = refused(*words, "--device", "cpu")
        assert f"is of the network {OWN}, whose code is imported only where it is named; add --network {OWN}" in said
    with pytest.raises(CheckpointError, match="add --network"):
        d2c.load(run)
    assert "own_network" not in sys.modules
    assert not nowhere.exists()
    assert d2c.load(run, network=OWN).body.out_channels == 3


def test_another_network_than_the_files_is_refused(run, pairs, tmp_path):
    said = refused("eval", run, "--data", pairs, "--device", "cpu", network="d2csr")
    assert f"is of the network {OWN}, not of d2csr; change --network" in said
    moved = shutil.copytree(run, tmp_path / "run")
    said = refused("train", "--data", pairs, "--out", moved, "--preset", "tiny", network=None)
    assert f"is of the network {OWN}" in said
    assert good("eval", run, "--data", pairs, "--device", "cpu", network="own_network:Whole"), "as after a renaming"


def test_a_start_from_weights_says_what_starts_at_random(run, make_pairs, tmp_path):
    pairs = make_pairs(tmp_path / "pairs", scale=3)
    train = ["train", "--data", pairs, "--preset", "tiny", "--weights", run, "--device", "cpu"]
    said = good(*train, "--out", tmp_path / "new", "--steps", "1", "--steps-second", "1", "--lr", "0")
    assert "scale is 2 in the checkpoint and 3 here, so the parameters tail.* start at random" in said
    old, new = (d2c.load(path, network=OWN) for path in (run, tmp_path / "new"))
    assert (old.body.weight == new.body.weight).all()
    said = refused(*train, "--out", tmp_path / "other", "--channels", "4", network=OWN)
    assert "has channels = 3, expected 4; change --channels" in said


def test_help_shows_its_options_and_no_others():
    shown = good("train", "--help")
    assert "--channels N" in shown
    assert "--skip nearest|bilinear" in shown
    assert "--preset paper|tiny" in shown
    assert "--theta" not in shown
    assert "--save-branches" not in good("upscale", "--help")
    assert "--save-branches" in good("upscale", "--help", network=None)


def test_stages_that_there_are_not_are_named(pairs, tmp_path):
    train = ["train", "--data", pairs, "--out", tmp_path / "run", "--preset", "tiny", "--device", "cpu"]
    for stage in ("0", "3", "-1", "x"):
        said = refused(*train, f"--stage={stage}", network=OWN)
        assert f"stage: this run has stages 1 to 2, got {stage}; change --stage" in said
    said = refused(*train, "--stage", "2", network="own_network:Least")
    assert "stage: this run has stage 1 only, got 2; change --stage" in said


def test_only_build_is_required(pairs, tmp_path):
    options = ["--preset", "tiny", "--patch", "8", "--batch", "2", "--steps", "2", "--device", "cpu"]
    good("train", "--data", pairs, "--out", tmp_path / "run", *options, network="own_network:Least")
    said = good("eval", tmp_path / "run", "--data", pairs, "--device", "cpu", network="own_network:Least")
    assert "bicubic        sr" in said


def test_how_often_a_run_is_saved_does_not_change_what_its_layers_count(pairs, tmp_path):
    options = ["--preset", "tiny", "--patch", "8", "--batch", "2", "--steps", "4", "--device", "cpu"]
    for often in (1, 4):
        out = tmp_path / str(often)
        train = ["train", "--data", pairs, "--out", out, *options, "--save-every", often]
        good(*train, "--validate-every", often, network="own_network:Normed")
    weights = [(tmp_path / often / "last.safetensors").read_bytes() for often in "14"]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "nothing",
            f"network: got 'nothing', expected {', '.join(NETWORKS)}, or module:NAME for one of your own; ",
        ),
        ("own_network:", f"got 'own_network:', expected {', '.join(NETWORKS)}, or module:NAME"),
        ("no_such_module:Own", "cannot be imported (ModuleNotFoundError: No module named 'no_such_module')"),
        ("own_network:Missing", "cannot be imported (AttributeError: "),
        ("own_network:OwnNet", "is not a class that extends d2c.networks.Network and has build"),
        ("own_network:NoBuild", "is not a class that extends d2c.networks.Network and has build"),
        ("own_network/Own", "got 'own_network/Own', expected d2csr, "),
        ("../own_network:Own", "got '../own_network:Own', expected d2csr, "),
        ("statistics:Own", "has no attribute 'Own', in "),
        ("own_network:Twice", "own_network:Twice has two settings named batch; rename one"),
        ("own_network:Listed", "has a setting widths = (1, 2), expected a number, a text, True, False or None"),
        ("own_network:Needy", "has settings or presets that cannot be made (TypeError: "),
        ("own_network:NoMultiple", "has multiple = 0, expected a whole number of at least 1; correct it"),
        ("own_network:Black", "has peak = 0.0, expected a number above 0"),
        ("own_network:Backward", "has reach = -1, expected None, or a whole number of at least 0"),
        ("own_network:NoPreset", "has presets = {'tiny': (1, 2)}, expected a Preset of its config and its train"),
        ("own_network:NoMain", "has main = 'fused', expected one of its outputs (sr)"),
        ("own_network:WrongSize", "makes a tensor of shape (4, 3, 24, 24) of a tensor of shape (4, 3, 24, 24), expec"),
        ("own_network:Tuples", "makes a tuple of a tensor of shape (4, 3, 24, 24), expected shape (4, 3, 48, 48)"),
        ("own_network:Untrained", "a stage PixelStage whose loss, total, does not depend on any parameter that it"),
        ("own_network:NoModule", "builds a NoneType, expected a torch.nn.Module; correct its build"),
        ("own_network:Failing", "fails on torch's meta device, where its memory is counted (KeyError: 'width'); corr"),
        ("own_network:NoStage", "has no stages; its method stages must return at least one"),
        ("own_network:Endless", "has a stage whose length is the setting epochs_second, which its train lacks"),
        ("own_network:OtherTerms", "has a stage Other that returns loss, expected a dictionary of total"),
        ("own_network:Taken", "own_network:Taken has a setting device, which d2c has; rename it"),
    ],
)
def test_what_is_no_network_is_one_line(pairs, name, message):
    assert message in refused("train", "--data", pairs, "--preset", "tiny", network=name)


def test_counters_layers_of_two_names_and_settings_without_a_value_are_kept(pairs, tmp_path):
    options = ["--preset", "tiny", "--patch", "8", "--batch", "2", "--steps", "1", "--device", "cpu"]
    own = "own_network:Unequal"
    good("train", "--data", pairs, "--out", tmp_path, *options, network=own)
    model = d2c.load(tmp_path, network=own)
    assert model.seen.dtype == torch.long
    assert (model[0].weight == model[1].again.weight).all()


def test_a_run_that_is_resumed_draws_the_random_numbers_of_one_that_was_not(pairs, tmp_path):
    options = ["--preset", "tiny", "--patch", "8", "--batch", "2", "--ema", "0", "--device", "cpu"]
    state = torch.random.get_rng_state()
    for folder, steps in (("whole", 4), ("resumed", 2), ("resumed", 4)):
        train = ["train", "--data", pairs, "--out", tmp_path / folder, "--steps", steps]
        good(*train, *options, network="own_network:Dropping")
    weights = [(tmp_path / folder / "last.safetensors").read_bytes() for folder in ("whole", "resumed")]
    assert weights[0] == weights[1]
    assert torch.equal(torch.random.get_rng_state(), state), "the caller's generator is left as it was"


def test_images_that_are_not_its_outputs_are_named(run, pairs, monkeypatch):
    import own_network

    monkeypatch.setattr(own_network.Own, "images", lambda self, made, hr=None: {"other": made.sr})
    said = command("eval", run, "--data", pairs, "--device", "cpu").stderr
    assert f"network: {OWN} makes the images other, but its outputs are sr; correct images or outputs" in said


def test_patches_are_multiples_of_what_it_takes(pairs, tmp_path):
    words = ["train", "--data", pairs, "--out", tmp_path / "run", "--preset", "tiny", "--patch", "10"]
    said = refused(*words, "--device", "cpu", network=OWN)
    assert f"patch: got 10, but {OWN} takes sides that are multiples of 4; use --patch 8" in said
    assert not (tmp_path / "run").exists()


def test_nothing_is_converted_where_nothing_was_released(tmp_path):
    said = refused("convert", tmp_path / "a.pth", tmp_path / "b.safetensors", network=OWN)
    assert f"there are no released weights of {OWN} that could be converted" in said
