"""The commands of d2c with the networks that D2C-SR is compared with."""

from __future__ import annotations

import csv

import pytest
from click.testing import CliRunner

from d2c.cli import cli
from d2c.networks import find

NAMES = ("srresnet", "edsr", "rcan", "rrdb", "cdc", "lpkpn", "swinir")
BASELINES = [pytest.param(name, marks=pytest.mark.slow) for name in NAMES]


def good(*words):
    done = CliRunner().invoke(cli, [*map(str, words), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("name", BASELINES)
def test_trained_resumed_measured_upscaled_and_reported(name, pairs, tmp_path):
    size = ["--scale", "2", "--batch", "2", "--patch", "16", "--ema", "0", "--log-every", "1", "--save-every", "1"]
    train = ["train", "--data", pairs, "--network", name, "--preset", "tiny", *size]
    good(*train, "--steps", "3", "--out", tmp_path / "whole")
    good(*train, "--steps", "2", "--out", tmp_path / "run")
    good(*train, "--steps", "3", "--out", tmp_path / "run")  # goes on from step 2
    weights = [(tmp_path / run / "last.safetensors").read_bytes() for run in ("whole", "run")]
    assert weights[0] == weights[1]
    rows = list(csv.DictReader((tmp_path / "run/log.csv").read_text().splitlines()))
    assert set(find(name).stages(None)[0].terms) <= set(rows[0])
    assert len(rows) == 3
    assert "      sr" in good("eval", tmp_path / "run", "--data", pairs)
    good("upscale", pairs / "lr/000.png", "--checkpoint", tmp_path / "run", "--out", tmp_path / "made")
    assert (tmp_path / "made/000_x2.png").is_file()
    assert CliRunner().invoke(cli, ["report", str(tmp_path / "run"), "--out", str(tmp_path / "page")]).exit_code == 0
