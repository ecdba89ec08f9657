"""No command writes into a file that has its name already: what a kill could cut is always a temporary file."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, shlex, sys

OUT = os.path.join(os.getcwd(), "out")
WRITES = os.O_WRONLY | os.O_RDWR

def watch(event, arguments):
    if event != "open" or not isinstance(arguments[0], str) or not isinstance(arguments[2], int):
        return
    path, _, flags = arguments
    if flags & WRITES and os.path.abspath(path).startswith(OUT + os.sep):
        seen.add(os.path.relpath(os.path.abspath(path), OUT))

seen = set()
sys.addaudithook(watch)

def run(main, line):
    try:
        main(shlex.split(line))
    except SystemExit as left:
        if left.code:
            raise

from d2crealsr.command.cli import main
loose = "--crop 40x40 --max-residual-p50 9 --max-residual-p95 99 --max-sigma 9"
run(main, "simulate --out raw --size mini --scenes 2")
run(main, f"align raw --out out/pairs {loose}")
run(main, f"align raw --out out/pairs {loose} --qa-profile off")
run(main, "split out/pairs --test 1")
if "report" in sys.argv:
    run(main, "report out/pairs")
if "train" in sys.argv:
    from d2c.cli import cli
    tiny = "--features 6 --groups 1 --blocks 1 --reduction 3 --convergence-features 4 --device cpu"
    run(cli, f"train --data out/pairs --out out/run {tiny} --batch 1 --patch 16 --steps 2 --steps-convergence 2"
             " --validation 0")
for name in sorted(seen):
    print("wrote", name)
"""

IN_PLACE = {"run/log.csv", "pairs/journal.jsonl"}
"""Both grow line by line; what a kill cuts off there is cut off on resuming, or ignored."""


@pytest.mark.slow
def test_every_file_is_written_beside_its_place(tmp_path: Path) -> None:
    parts = [name for name, needs in (("report", "jinja2"), ("train", "torch")) if importlib.util.find_spec(needs)]
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), *parts],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = [line.removeprefix("wrote ") for line in done.stdout.splitlines() if line.startswith("wrote ")]
    assert any("/.tmp-" in name and name.endswith(".csv") for name in written)  # the watch sees what is written
    named = {name for name in written if not Path(name).name.startswith(".")}
    assert named <= IN_PLACE
    assert {Path(name).suffix for name in written} >= {".csv", ".png", ".json"}
