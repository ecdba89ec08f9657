"""The page about tables in pandas: its code runs, and prints what the page says."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pytest

TOOL = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "example_pairs.py"))
EXAMPLE = TOOL["EXAMPLE"]
BLOCKS = [found.group("code", "output") for found in TOOL["BLOCK"].finditer(TOOL["PAGE"].read_text(encoding="utf-8"))]


def test_the_code_prints_what_the_page_says(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib").use("Agg")
    shutil.copytree(EXAMPLE, tmp_path / EXAMPLE.name)
    printed = TOOL["printed"]([code for code, _ in BLOCKS], tmp_path)
    from matplotlib import pyplot

    pyplot.close("all")
    assert printed == [output or "" for _, output in BLOCKS]
    assert (tmp_path / "residual-field.png").stat().st_size > 1000
    assert len(BLOCKS) == 8


def test_the_example_is_a_pairs_folder_of_this_version() -> None:
    import d2crealsr
    from d2crealsr.store.pairs import read_dataset

    assert read_dataset(EXAMPLE)["version"] == 1
    manifest = d2crealsr.read_manifest(EXAMPLE)
    assert len(manifest) == 13
    assert set(d2crealsr.read_residuals(EXAMPLE)["scene"]) < set(manifest["scene"])
    assert set(d2crealsr.read_alignment(EXAMPLE)["scene"]) < set(manifest["scene"])
