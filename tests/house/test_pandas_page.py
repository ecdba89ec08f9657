"""The page about tables in pandas: its code runs, and prints what the page says."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "alignment-errors-in-pandas.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$(?:\n\n^```text\n(.*?)^```$)?", PAGE, re.MULTILINE | re.DOTALL)


def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each block prints, run in order in a copy of the folder's tables."""
    mpl = pytest.importorskip("matplotlib")
    mpl.use("Agg")
    shutil.copytree(DOCS / "example-pairs", tmp_path / "example-pairs")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    outputs = []
    for code, _ in BLOCKS:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code, "alignment-errors-in-pandas.md", "exec"), names)
        outputs.append("".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines()))
    from matplotlib import pyplot

    pyplot.close("all")
    return outputs


def test_the_code_prints_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed(tmp_path, monkeypatch) == [output for _, output in BLOCKS]
    assert (tmp_path / "residual-field.png").stat().st_size > 1000
    assert len(BLOCKS) == 8


def test_the_example_is_a_pairs_folder_of_this_version() -> None:
    import d2crealsr
    from d2crealsr.store.pairs import read_dataset

    assert read_dataset(DOCS / "example-pairs")["version"] == 1
    manifest = d2crealsr.read_manifest(DOCS / "example-pairs")
    assert len(manifest) == 13
    assert set(d2crealsr.read_residuals(DOCS / "example-pairs")["scene"]) < set(manifest["scene"])
    assert set(d2crealsr.read_alignment(DOCS / "example-pairs")["scene"]) < set(manifest["scene"])
