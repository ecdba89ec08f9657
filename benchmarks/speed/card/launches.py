"""What is launched in a step, as PyTorch's profiler sees it.

Run as a program it records in a process of its own, because what has been recorded once is slower afterwards, and
prints the counts as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.speed.card.cell import GRAPH, Cell, Machine
from benchmarks.speed.card.operations import writes
from benchmarks.speed.card.steps import EAGER, made_step
from d2c.tails.siblings import run_siblings

if TYPE_CHECKING:
    from benchmarks.speed.card.cell import Found
    from d2c.settings.config import Precision

__all__ = ["launch_cell"]

_ROOT = Path(__file__).parents[3]
_SECONDS = 60
_KIND = "stage 1"


def launch_cell(precision: Precision, *, counted: bool) -> Cell:
    """The cell of stage 1 with four patches. ``counted`` says whether to count the operators that write memory."""
    said = "{} operators in forward and backward pass write memory (factored: {})"
    return Cell(
        what=f"launches, {_KIND}",
        network="d2c",
        patches=4,
        precision=precision,
        measure=lambda machine: _measured(machine, precision),
        seconds=20.0,
        known={"remark": said.format(writes(_KIND, "d2c"), writes(_KIND, "factored"))} if counted else {},
    )


def _measured(machine: Machine, precision: Precision) -> Found:
    command = [sys.executable, "-m", __name__, str(machine.device), precision, *(["small"] if machine.small else [])]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=_SECONDS)
    if done.returncode:
        return {"remark": f"failed: {done.stderr.strip().splitlines()[-1][:200]}"}
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))  # profilers speak too
    said = "{kernels} kernels one by one; as a graph {graphs} launch of {held} kernels, and {besides} launches besides"
    return {"kernels": found["kernels"], "remark": said.format(**found)}


def count(machine: Machine, precision: Precision) -> dict[str, int]:
    """Kernels of a step; and of one as a graph the launches of graphs, its kernels, and single launches besides."""
    kernels, _, _ = _recorded(machine, precision, EAGER)
    held, graphs, besides = _recorded(machine, precision, GRAPH)
    return {"kernels": kernels, "graphs": graphs, "held": held, "besides": besides}


def _recorded(machine: Machine, precision: Precision, way: str) -> tuple[int, int, int]:
    """Kernels that ran in a step, launches of graphs, and launches of single kernels."""
    step = made_step(machine, _KIND, "d2c", 4, precision, way, [])
    for _ in range(2 if machine.small else 6):
        step()
    machine.wait()
    cards = [ProfilerActivity.CUDA] if machine.is_card else []
    with profile(activities=[ProfilerActivity.CPU, *cards]) as recorded:
        step()
        machine.wait()
    events: Any = recorded.events()
    on_card = [e for e in events if e.device_type == torch.autograd.DeviceType.CUDA]
    kernels = [e for e in on_card if not e.name.startswith(("Memcpy", "Memset"))]
    graphs = [e for e in events if e.name == "cudaGraphLaunch"]
    single = [e for e in events if e.name.startswith(("cudaLaunchKernel", "cuLaunchKernel"))]
    return len(kernels), len(graphs), len(single)


if __name__ == "__main__":
    device, chosen, *rest = sys.argv[1:]
    with run_siblings(side_by_side=True):
        counts = count(Machine(device=torch.device(device), small="small" in rest), chosen)  # type: ignore[arg-type]
    sys.stdout.write(json.dumps(counts) + "\n")
