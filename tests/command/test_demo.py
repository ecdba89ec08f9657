"""The demo does the main job from nothing, and again changes nothing."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from d2crealsr.command import demo
from d2crealsr.command.cli import main
from d2crealsr.store.pairs import read_manifest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
def test_the_demo_does_the_main_job_and_again_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tmp_path / "recipe.csv"
    lines = demo.RECIPE.read_text().splitlines()
    recipe.write_text("\n".join([*lines[:3], *lines[-4:]]) + "\n")  # two groups and the capture that is cut short
    monkeypatch.setattr(demo, "RECIPE", recipe)
    monkeypatch.setattr(demo, "_TEST", 2)
    monkeypatch.setattr(importlib.util, "find_spec", without_matplotlib)
    out = tmp_path / "it is here"
    first = CliRunner().invoke(main, ["demo", "--out", str(out)])
    assert first.exit_code == 0, first.output
    assert "Note: there is no report, because its extra is not installed" in first.stderr
    assert f"next:   d2c demo '{out}' trains a small network" in first.stdout
    manifest = read_manifest(out / "pairs")
    assert manifest.set_index("scene")["reasons"]["021"] == "unreadable"
    assert set(manifest["split"]) == {"train", "test", ""}
    assert (out / "errors.csv").is_file()
    before = contents(out)
    again = CliRunner().invoke(main, ["demo", "--out", str(out)])
    assert again.exit_code == 0
    assert contents(out) == before


def test_the_demo_replaces_no_other_table(tmp_path: Path) -> None:
    (tmp_path / "errors.csv").write_text("my own table\n")
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "errors.csv: holds something else than a table of validate, and is not replaced" in result.output
    assert contents(tmp_path) == {str(tmp_path / "errors.csv"): b"my own table\n"}


@pytest.mark.parametrize(
    ("file", "text", "held"),
    [
        ("dataset.json", '{"format": "d2crealsr-pairs"}', "pairs (dataset.json)"),
        ("manifest.csv", "scene,status,hr_path,lr_path", "pairs (manifest.csv)"),
        ("manifest.csv", "scene,hr,lr", "captures (manifest.csv)"),
        ("hr/001.jpg", "an image", "captures (001.jpg)"),
    ],
)
def test_the_demo_writes_nothing_among_pairs_or_captures(tmp_path: Path, file: str, text: str, held: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    result = CliRunner().invoke(main, ["demo", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert f"holds {held}, among which the demo would write its own; give another folder with --out" in result.output
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]


def without_matplotlib(name: str, *more: Any) -> Any:
    return None if name == "matplotlib" else _found(name, *more)


_found = importlib.util.find_spec


def contents(folder: Path) -> dict[str, bytes]:
    changing = {"dataset.json", "timings.csv"}  # they have the time and the duration of the last run
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name not in changing}
