"""Folders that version 0.1.0 left: a run stopped in each stage, and pairs. Today's code goes on with them.

``v0.1.0/raw`` holds four small captures cut from photographs of the scikit-image wheel, ``pairs`` what
`align --scale 2` and `split --test 1` made of them, ``runs/NAME-stageN`` training runs that were stopped in that
stage, and ``runs/NAME.safetensors`` the weights that the same run ended with where nothing stopped it. That version
itself made them, and they are never made again: a setting that they lack means what it meant then.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import d2crealsr

V0_1_0 = Path(__file__).parent / "v0.1.0"

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="training needs torch")


@pytest.fixture
def folder(tmp_path):
    """A copy to work in."""
    return shutil.copytree(V0_1_0, tmp_path / "v0.1.0")


@needs_torch
@pytest.mark.parametrize(
    "stopped", ["staged-stage1", "staged-stage2", "joint-stage1", "averaged-stage1", "averaged-stage2"]
)
def test_a_stopped_run_goes_on_to_the_weights_of_its_version(folder, stopped):
    import torch
    from safetensors.torch import load_file

    from d2c.cli import cli

    torch.set_num_threads(1)
    run = folder / "runs" / stopped
    before = load_file(run / "last.safetensors")
    done = CliRunner().invoke(cli, ["train", "--data", str(folder / "pairs"), "--out", str(run), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    expected = load_file(folder / "runs" / f"{stopped.split('-')[0]}.safetensors")
    reached = load_file(run / "last.safetensors")
    assert reached.keys() == expected.keys()
    for name, weights in expected.items():
        torch.testing.assert_close(reached[name], weights, atol=1e-5, rtol=0, msg=name)
    assert any(not torch.equal(before[name], weights) for name, weights in reached.items())


@needs_torch
def test_a_stopped_run_may_get_more_steps_and_is_told_that_its_pairs_changed(folder):
    from d2c.cli import cli

    run, pairs = folder / "runs/staged-stage2", folder / "pairs"
    command = ["train", "--data", str(pairs), "--out", str(run), "--device", "cpu", "--log-every", "1"]
    done = CliRunner().invoke(cli, [*command, "--steps-convergence", "12"])
    assert done.exit_code == 0, done.output
    assert "resumed with other settings: steps-convergence " in done.output
    assert pd.read_csv(run / "log.csv").step.iloc[-1] == 12
    lr = pairs / "lr" / "coffee.png"
    d2crealsr.store.write_image(lr, d2crealsr.store.read_image(lr) // 2)
    (run / "state/pairs.csv").unlink()  # which that version did not write
    refused = CliRunner().invoke(cli, command)
    assert refused.exit_code == 2
    assert "its data changed since: which pairs is not known, as an earlier version made the run" in refused.output


def mapped(H):
    """Where a mapping to LR has the corners of the part of HR that all scenes have, (4, 2)."""
    corners = np.array([[0, 0, 1], [231, 0, 1], [0, 149, 1], [231, 149, 1]]) @ H.T
    return corners[:, :2] / corners[:, 2:]


def test_a_rerun_leaves_its_pairs_as_they_are(folder):
    from d2crealsr.command.cli import main

    pairs = folder / "pairs"
    old, images = d2crealsr.read_manifest(pairs), {p: p.read_bytes() for p in pairs.glob("?r/*.png")}
    done = CliRunner().invoke(main, ["align", str(folder / "raw"), "--out", str(pairs), "--scale", "2"])
    assert done.exit_code == 0, done.output
    new = d2crealsr.read_manifest(pairs)
    assert {p: p.read_bytes() for p in pairs.glob("?r/*.png")}.keys() == images.keys()
    pd.testing.assert_frame_equal(new[["scene", "status", "split"]], old[["scene", "status", "split"]])
    # Since illumination has more freedom, the rejected scene is uncertain too; every reason of then still holds.
    for now, then in zip(new["reasons"], old["reasons"], strict=True):
        assert set(then.split(";")) <= set(now.split(";"))
    H = [f"h{row}{column}" for row in range(3) for column in range(3)]
    # LR px, without the lens that is fitted too: clipped HR pixels are no longer used, illumination has a
    # term of fourth order, and SIFT starts from fewer keypoints.
    for one, other in zip(new[H].to_numpy(float), old[H].to_numpy(float), strict=True):
        apart = mapped(one.reshape(3, 3)) - mapped(other.reshape(3, 3))
        assert np.abs(apart).max() < 0.25
    if "(0 done now, 4 unchanged)" in done.output:
        pd.testing.assert_frame_equal(new, old)
        assert {p: p.read_bytes() for p in pairs.glob("?r/*.png")} == images


@pytest.mark.parametrize("command", ["verify", "summary"])
def test_its_pairs_are_read(folder, command):
    from d2crealsr.command.cli import main

    done = CliRunner().invoke(main, [command, str(folder / "pairs")])
    assert done.exit_code == 0, done.output
