"""Make docs/example-pairs anew, and what docs/alignment-errors-in-pandas.md prints of it.

    python tools/example_pairs.py

Thirteen small simulated scenes: six plain ones, six with a nuisance, one whose HR is missing; their tables, without the
images. A test compares what the page says with what its code prints.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import tempfile
from pathlib import Path

import pandas as pd

from d2crealsr.dataset.build import build
from d2crealsr.dataset.split import split
from d2crealsr.simulate import SimulateSettings, simulate

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLE = DOCS / "example-pairs"
PAGE = DOCS / "alignment-errors-in-pandas.md"
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```$(?:\n\n^```text\n(?P<output>.*?)^```$)?", re.MULTILINE | re.DOTALL)
TABLES = ("dataset.json", "manifest.csv", "alignment.csv", "residuals.csv")
PLAIN = 6
NUISANCES = ("occlusion", "low-texture", "wrong-scene", "bowed-card", "distortion-2", "lr-exposure-x4")


def captures(raw: Path) -> None:
    """The thirteen scenes, and the manifest that lists them."""
    parts = [("plain", PLAIN, ()), *((name, 1, (name,)) for name in NUISANCES)]
    rows = []
    for seed, (folder, scenes, nuisances) in enumerate(parts):
        simulate(raw / folder, settings=SimulateSettings(size="mini", scenes=scenes, seed=seed, nuisances=nuisances))
        listed = pd.read_csv(raw / folder / "manifest.csv", dtype=str)
        rows.append(listed.assign(**{side: f"{folder}/" + listed[side] for side in ("hr", "lr")}))
    table = pd.concat(rows, ignore_index=True)
    lost = table.iloc[[0]].assign(hr="plain/hr/lost.jpg", group="lost")
    table = pd.concat([table, lost], ignore_index=True)[["scene", "hr", "lr", "group"]]
    table["scene"] = [f"{number:04d}" for number in range(1, len(table) + 1)]
    table.to_csv(raw / "manifest.csv", index=False)


def printed(code: list[str], folder: Path) -> list[str]:
    """What blocks of code print, run one after the other in a folder."""
    names: dict[str, object] = {}
    outputs = []
    with contextlib.chdir(folder):
        for block in code:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block, PAGE.name, "exec"), names)
            outputs.append("".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines()))
    return outputs


def with_outputs(page: str, outputs: list[str]) -> str:
    """The page with other outputs below its blocks of code."""
    rest = iter(outputs)

    def block(found: re.Match[str]) -> str:
        output = next(rest)
        return f"```python\n{found['code']}```" + (f"\n\n```text\n{output}```" if output else "")

    return BLOCK.sub(block, page)


def main() -> None:
    os.environ["MPLBACKEND"] = "Agg"
    with tempfile.TemporaryDirectory() as work:
        raw, pairs = Path(work) / "raw", Path(work) / "pairs"
        captures(raw)
        build(raw, pairs)
        split(pairs, test=2)
        for name in TABLES:
            shutil.copy(pairs / name, EXAMPLE / name)
        shutil.copytree(EXAMPLE, Path(work) / EXAMPLE.name)
        page = PAGE.read_text(encoding="utf-8")
        outputs = printed([found["code"] for found in BLOCK.finditer(page)], Path(work))
        PAGE.write_text(with_outputs(page, outputs), encoding="utf-8")
        shutil.copy(Path(work) / "residual-field.png", DOCS / "images" / "residual-field.png")


if __name__ == "__main__":
    main()
