"""Settings in layers: epochs that are given count, although the preset or the settings file counts steps."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from d2c.cli import cli
from d2c.errors import ConfigError
from d2c.networks import find
from d2c.training.resolve import resolve
from tests.d2c.training.conftest import log_of

SMALL = ["--preset", "tiny", "--patch", "8", "--batch", "2", "--features", "8", "--device", "cpu", "--log-every", "1"]
SMALL += ["--ema", "0"]


def resolved(pairs, network="edsr", text="", tmp_path=None, resumed=False, **options):
    file = None
    if text:
        file = tmp_path / "c.toml"
        file.write_text(text)
    preset, given = None if resumed else "tiny", {"data": (pairs,), "scale": 4} | options
    return resolve(find(network), preset, file, given, resumed=resumed).train


def train(pairs, out, *options):
    result = CliRunner().invoke(cli, ["train", "--data", str(pairs), "--out", str(out), *options])
    return result.exit_code, result.output


@pytest.mark.parametrize("network", ["edsr", "rcan", "srresnet", "swinir", "d2csr", "srflow"])
def test_epochs_by_option_take_the_place_of_a_presets_steps(network, pairs):
    base = resolved(pairs, network)
    assert base.steps > 0
    train = resolved(pairs, network, epochs=1, lr_halve_epochs=3)
    assert (train.epochs, train.steps) == (1, 0)
    assert (train.lr_halve_epochs, train.lr_halve_steps) == (3, 0)
    for name in {"steps_convergence", "steps_flow"} & set(dir(base)):
        assert getattr(train, name) == getattr(base, name) > 0, "another stage keeps its length"
    assert resolved(pairs, network, lr=1e-3).steps == base.steps


def test_each_stage_has_its_own_epochs(pairs):
    train = resolved(pairs, "d2csr", epochs_convergence=2)
    assert (train.epochs_convergence, train.steps_convergence) == (2, 0)
    assert train.steps == resolved(pairs, "d2csr").steps
    assert resolved(pairs, "srflow", epochs_flow=2).steps_flow == 0


def test_a_later_layer_decides_and_of_one_layer_the_steps(pairs, tmp_path):
    assert resolved(pairs, text="[train]\nepochs = 2\n", tmp_path=tmp_path).steps == 0
    assert resolved(pairs, text="[train]\nsteps = 7\nepochs = 2\n", tmp_path=tmp_path).steps == 7
    assert resolved(pairs, text="[train]\nepochs = 2\n", tmp_path=tmp_path, steps=5).steps == 5
    by_option = resolved(pairs, text="[train]\nsteps = 7\n", tmp_path=tmp_path, epochs=3)
    assert (by_option.epochs, by_option.steps) == (3, 0)
    both = resolved(pairs, epochs=3, steps=4)
    assert (both.epochs, both.steps) == (3, 4)


def test_the_file_of_a_resumed_run_is_taken_as_it_is(pairs, tmp_path):
    text = "[train]\nsteps = 7\nepochs = 2\nlr_halve_steps = 5\nlr_halve_epochs = 2000\n"
    kept = resolved(pairs, text=text, tmp_path=tmp_path, resumed=True, log_every=1)
    assert (kept.steps, kept.epochs, kept.lr_halve_steps) == (7, 2, 5)
    longer = resolved(pairs, text=text, tmp_path=tmp_path, resumed=True, epochs=9)
    assert (longer.steps, longer.epochs, longer.lr_halve_steps) == (0, 9, 5)


def test_names_and_types_are_checked_as_before(pairs, tmp_path):
    with pytest.raises(ConfigError, match="unknown setting 'epochs_nowhere'"):
        resolved(pairs, text="[train]\nepochs_nowhere = 2\n", tmp_path=tmp_path)
    with pytest.raises(ConfigError, match="epochs: got 'two', expected int"):
        resolved(pairs, text="[train]\nepochs = 'two'\n", tmp_path=tmp_path)


@pytest.mark.usefixtures("memory_is_not_counted")
def test_a_run_by_steps_goes_on_by_epochs(pairs, tmp_path):
    out = tmp_path / "run"
    assert train(pairs, out, "--network", "edsr", *SMALL, "--steps", "2")[0] == 0
    code, said = train(pairs, out, "--epochs", "2", "--device", "cpu")
    assert code == 0, said
    assert "resumed with other settings: epochs 20000 → 2, steps 2 → 0" in said
    rows = log_of(out)
    assert [int(row["epoch"]) for row in rows] == [0, 0, 1, 1]
    assert train(pairs, out, "--device", "cpu")[0] == 0
    assert log_of(out) == rows
    code, said = train(pairs, out, "--epochs", "1", "--device", "cpu")
    assert code == 2
    assert "are done; ask for more than" in said


def test_the_help_says_what_decides():
    said = CliRunner().invoke(cli, ["train", "--network", "edsr", "--help"], env={"COLUMNS": "200"}).output
    assert " ".join(said.split()).count("Used only if the steps are 0") == 2
