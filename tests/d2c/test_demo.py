"""The demo of d2c goes on from the folder of the toolkit's demo."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from click.testing import CliRunner

from d2c.cli import cli
from d2c.comparison import one_run
from d2c.comparison.ready import show_ready
from d2crealsr.ui.progress import Reporter


def test_it_trains_the_smallest_preset_on_the_pairs_of_the_demo(pairs, tmp_path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "my demo"
    shutil.copytree(pairs, folder / "pairs")
    given: dict[str, Any] = {}

    def shown(request, **more):
        given.update(request=request, **more)
        return one_run.Shown(figures=request.out / "figures", comparison=request.out / "comparison.png")

    monkeypatch.setattr(one_run, "train_and_show", shown)
    result = CliRunner().invoke(cli, ["demo", str(folder)])
    assert result.exit_code == 0, result.output
    request = given["request"]
    assert (request.data, request.out, request.model.scale) == (folder / "pairs", folder / "run", 2)
    assert given["count"] == 1
    assert f"LR enlarged | ours | HR, one picture: {folder / 'run' / 'comparison.png'}" in result.stdout
    assert "Now your own: photograph printed pictures twice" in result.stdout
    assert "Without any training" not in result.stdout  # these pairs are of scale 2


def test_beside_it_stands_what_comes_with_the_package(make_pairs, tmp_path):
    pairs = make_pairs(tmp_path / "pairs", count=3, scale=8, size=(16, 14), test=1)
    (line,) = show_ready(pairs, tmp_path / "run", Reporter())
    made = tmp_path / "run" / "builtin-x8" / "000_x8.png"
    assert made.exists()
    assert line.startswith("builtin:x8: ")
    assert line.endswith(f"(basicsr-y); {made}")


@pytest.mark.parametrize(
    ("folder", "command"), [("d2crealsr-demo", "d2crealsr demo"), ("x y", "d2crealsr demo --out 'x y'")]
)
def test_without_pairs_it_names_the_command_that_makes_them(folder, command, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["demo", folder])
    assert result.exit_code == 2
    assert f"{folder}: has no pairs of the demo; run {command} first" in result.stderr
