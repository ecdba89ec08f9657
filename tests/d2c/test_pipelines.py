"""The recipes, run small: they wire, they resume, they leave what they say."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from d2c.d2csr.presets import PRESETS
from d2c.errors import ConfigError
from d2c.settings.presets import scaled_down
from d2crealsr.store.images import read_image

PIPELINES = Path(__file__).parents[2] / "pipelines"


def recipe(name):
    spec = importlib.util.spec_from_file_location(name, PIPELINES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name, *arguments):
    result = CliRunner().invoke(recipe(name).main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_from_pairs_to_figures(pairs, tmp_path):
    arguments = ["--data", pairs, "--out", tmp_path / "run", "--preset", "tiny", "--scale-down", 100, "--device", "cpu"]
    output = run("train_d2c", *arguments)
    assert "fused" in output
    assert set(pd.read_csv(tmp_path / "run/quality.csv")["protocol"]) == {"basicsr-y", "d2c-released"}
    figures = tmp_path / "run/figures"
    expected = {f"000_x2{part}.png" for part in ("", "_branches", "_weights", "_patch")}
    assert {p.name for p in figures.iterdir()} == expected
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*.png")}
    run("train_d2c", *arguments)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*.png")} == before


def test_a_captioned_picture_ends_it(pairs, tmp_path):
    arguments = ["--data", pairs, "--out", tmp_path, "--preset", "tiny", "--scale-down", 100, "--device", "cpu"]
    output = run("train_d2c", *arguments, "--images", 1, "--caption", "Simulated.")
    assert f"LR enlarged | ours | HR, one picture: {tmp_path / 'comparison.png'}" in output
    assert "Now your own: photograph printed pictures twice" in output
    picture = read_image(tmp_path / "comparison.png")
    hr = read_image(pairs / "hr/000.png")
    height, width = hr.shape[:2]
    np.testing.assert_array_equal(picture[-height:, -width:], hr)
    upscaled = read_image(tmp_path / "figures/000_x2.png")
    np.testing.assert_array_equal(picture[-height:, width + 4 :][:, :width], upscaled)
    assert (picture[:30] < 128).any()  # the caption


def test_the_demos_recipe_leaves_one_group_of_photographs_to_the_test():
    cards = pd.read_csv(PIPELINES / "demo.csv", dtype=str)
    assert cards["scene"].tolist() == [f"{number:03d}" for number in range(1, 22)]
    groups = cards[cards["scene"] != "021"].groupby("group")["scene"].agg(list)  # 021 is cut short
    assert groups["table"] == ["001", "002", "003"]
    assert all(len(scenes) > 3 for group, scenes in groups.items() if group != "table")
    sources = cards.groupby("group")["source"].agg(lambda names: set(";".join(names.fillna("")).split(";")))
    assert all(not sources["table"] & names for group, names in sources.items() if group != "table")


def test_ablations_make_one_table(pairs, tmp_path):
    where = ["--data", pairs, "--out", tmp_path, "--preset", "tiny", "--scale-down", 100, "--device", "cpu"]
    output = run("ablations", *where, "--only", "no-triplet", "--only", "width-1", "--seeds", 2)
    assert "within min to max are the seeds'" in output
    table = pd.read_csv(tmp_path / "ablations.csv")
    assert set(table["model"]) == {"no-triplet", "width-1"}
    assert set(table["seed"]) == {0, 1}
    assert list(table[(table.model == "width-1") & (table.seed == 0)]["method"]) == [
        "bicubic",
        "branch_1",
        "mean",
        "fused",
        "oracle",
    ]


def test_the_papers_tables_are_all_there():
    found = recipe("ablations").variants(PRESETS["paper"])
    assert found["no-triplet"].train.alpha == 0
    assert not found["no-deep-residual"].model.deep_residual
    assert [found[f"width-{k}"].model.width for k in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert [found[f"depth-{k}"].model.depth for k in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert (found["depth-4"].model.groups, found["depth-4"].model.blocks) == (2, 1)


def test_scaling_down():
    paper = PRESETS["paper"]
    assert scaled_down(paper, 1) == paper
    small = scaled_down(paper, 100)
    assert small.model == paper.model
    assert (small.train.epochs, small.train.epochs_convergence, small.train.patch) == (200, 20, 10)
    released = scaled_down(PRESETS["released"], 10).train
    assert (released.triplet_after, released.triplet_period, released.triplet_length) == (20, 100, 20)
    assert dataclasses.replace(small.train, **{"epochs": 20_000}).lr == paper.train.lr
    with pytest.raises(ConfigError, match="scale-down: got 0"):
        scaled_down(paper, 0)
