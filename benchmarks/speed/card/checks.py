"""The card itself: its rate of products, steps in the memory of an older card, and the tests that need CUDA."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchmarks.speed.card.cell import GRAPH, Cell, free_memory, milliseconds
from benchmarks.speed.card.steps import made_step
from d2c.precision import PRECISIONS, set_tf32

if TYPE_CHECKING:
    from benchmarks.speed.card.cell import Found, Machine
    from d2c.settings.config import Precision

__all__ = ["fitting_cell", "rate_cells", "suite_cell"]

_ROOT = Path(__file__).parents[3]
_SUITE = "tests/d2c/training/test_gpu.py"
_ALONE = (
    "--noconftest",
    "-c",
    "/dev/null",
    "--rootdir",
    str(_ROOT),
    "--import-mode=importlib",
    "-p",
    "no:cacheprovider",
)
_TERSE = ("-p", "no:cacheprovider", "-q", "--no-header", "-rfE", "--tb=line", "-W", "ignore")
_SUITE_SECONDS = 120
_OLDER_CARD_BYTES = 10e9
"""A GeForce RTX 2080 Ti has 11 GB."""


def rate_cells() -> list[Cell]:
    """The rate of a large matrix product in each precision."""
    return [
        Cell(what="matrix product", precision=precision, measure=lambda m, p=precision: _rate(m, p), seconds=2.0)
        for precision in PRECISIONS
    ]


def _rate(machine: Machine, precision: Precision) -> Found:
    set_tf32(precision == "tf32")
    side = 128 if machine.small else 8192
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    a, b = torch.rand(2, side, side, device=machine.device).to(kind)
    ms = milliseconds(machine, lambda: a @ b)
    machine.rates[precision] = side**3 / 1e6 / ms
    return {"ms": ms, "gmacs": side**3 / 1e9, "remark": f"{2 * side**3 / 1e9 / ms:.0f} TFLOP/s"}


def fitting_cell(kind: str) -> Cell:
    """Whether 16 patches of a stage in fp16 fit into 10 GB."""
    return Cell(
        what=f"{kind} in 10 GB",
        network="d2c",
        patches=16,
        precision="fp16",
        way=GRAPH,
        measure=lambda machine: _fitting(machine, kind),
        seconds=6.0,
    )


def _fitting(machine: Machine, kind: str) -> Found:
    free_memory(machine)
    if machine.is_card:
        whole = torch.cuda.get_device_properties(machine.device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, _OLDER_CARD_BYTES / whole), machine.device)
    said: list[str] = []
    try:
        ms = milliseconds(machine, made_step(machine, kind, "d2c", 16, "fp16", GRAPH, said))
    except torch.OutOfMemoryError:
        return {"remark": "does not fit"}
    finally:
        if machine.is_card:
            torch.cuda.set_per_process_memory_fraction(1.0, machine.device)
    held = torch.cuda.max_memory_reserved(machine.device) / 1e9 if machine.is_card else 0.0
    return {"ms": ms, "peak_gb": held, "remark": "; ".join(["fits; peak_gb is what the allocator holds", *said])}


def suite_cell() -> Cell:
    """The outcome of the tests of the engine that need CUDA."""
    return Cell(what="CUDA tests of the engine", measure=_suite, seconds=60.0)


def _suite(machine: Machine) -> Found:
    """Run them with no other configuration than pytest's own, so that they need nothing else."""
    if importlib.util.find_spec("pytest") is None:
        return {"remark": "not run: pytest is not installed"}
    command = [sys.executable, "-m", "pytest", *_ALONE, *_TERSE, _SUITE]
    try:
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=_SUITE_SECONDS)
    except subprocess.TimeoutExpired:
        return {"remark": f"not finished after {_SUITE_SECONDS} s"}
    told = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR "))]
    failed = [line.partition(" - ")[0].rpartition("::")[2] for line in told]
    lines = (done.stdout + done.stderr).strip().splitlines()
    return {"remark": "; ".join([lines[-1].strip("= ") if lines else f"exit code {done.returncode}", *failed])}
