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


def without_matplotlib(name: str, *more: Any) -> Any:
    return None if name == "matplotlib" else _found(name, *more)


_found = importlib.util.find_spec


def contents(folder: Path) -> dict[str, bytes]:
    changing = {"dataset.json", "timings.csv"}  # they have the time and the duration of the last run
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name not in changing}
