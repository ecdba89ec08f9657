"""What training and upscaling cost on a CUDA GPU, beside the factored structure of the released code: one table.

    python -m benchmarks.speed.on_cuda --out benchmarks/results/on_cuda  # at most eight minutes; also: make bench-cuda
    python -m benchmarks.speed.on_cuda --dry-run                         # tiny, on a CPU: to see that it works

It needs PyTorch (wheel ``torch``, with ``triton`` for what is compiled), NumPy (``numpy``) and this repository, from
whose folder it is started; nothing is installed. Two cells need more, in processes of their own, and say so where it is
missing. The CUDA tests need ``pytest`` with ``iniconfig``, ``packaging``, ``pluggy`` and ``pygments``. ``d2c train``
needs ``opencv-contrib-python`` or ``opencv-python-headless``, ``pandas``, ``pandera``, ``pillow``, ``click``,
``joblib``, ``filelock``, ``rich``, ``safetensors`` and ``threadpoolctl``, and what these need in turn.

Cells are measured in the order of what they are worth. One that fails says why and the next begins; what there is no
time for is named. Steps are whole: forward and backward pass, losses and Adam, on patches of 96² LR pixels at ×8 that
are on the card already. They are launched one after the other, and a figure is the median of three samples. "d2c" is
the engine of `d2c train`, whose step is one CUDA graph; the factored network has its losses, its engine and its own
fastest order in memory, and the fastest of its ways counts. ``gmacs`` are 10⁹ multiply-adds of a step, counted from the
operators that run (composing included), and ``share`` is what they are of the matrix products that the card does in
that time and precision. ``peak_gb`` is the allocator's peak. Batches are random numbers; nothing is read.
"""

from __future__ import annotations

import argparse
import functools
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.result_tables import Row, provenance, text_table, write_csv
from benchmarks.speed.card.budgets import NOT_RUN, budget_rows, hour_rows, ratio
from benchmarks.speed.card.cell import GRAPH, Cell, Machine
from benchmarks.speed.card.checks import fitting_cell, rate_cells, suite_cell
from benchmarks.speed.card.launches import launch_cell
from benchmarks.speed.card.schedule import schedule_cell
from benchmarks.speed.card.steps import COMPILED, EAGER, TUNED, peer_cells, step_cell
from benchmarks.speed.card.upscaling import upscaling_cells
from d2c.precision import PRECISIONS
from d2c.tails.siblings import run_siblings

if TYPE_CHECKING:
    from types import FrameType

    from d2c.settings.config import Precision

SECONDS = 465.0
"""The program ends within this time, of which the start of Python and PyTorch is no part."""

_RESERVE = 15.0
"""Seconds at the end in which no cell is begun."""

COLUMNS = (
    "what",
    "network",
    "patches",
    "precision",
    "way",
    "ms",
    "factored_over_this",
    "peak_gb",
    "gmacs",
    "share",
    "remark",
)


class OutOfTimeError(BaseException):
    """The time of the program is over. What handles errors of any type does not stop it."""


def all_cells(*, counted: bool = True) -> list[Cell]:
    """Everything that is measured, in the order of what it is worth. ``counted`` says whether to count operations."""
    one = functools.partial(step_cell, counted=counted)

    def steps(kind: str, patches: int, *precisions: Precision) -> list[Cell]:
        return [
            one(kind, network, patches, precision, way)
            for precision in precisions
            for network, way in (("d2c", GRAPH), ("factored", EAGER))
        ]

    def faster(kind: str, patches: int, precision: Precision, way: str) -> list[Cell]:
        return [one(kind, network, patches, precision, way) for network in ("d2c", "factored")]

    cells = [*rate_cells(), suite_cell()]
    cells += [*steps("stage 1", 4, "bf16", "tf32", "fp32"), *steps("joint", 16, "bf16")]
    cells += [*steps("stage 2", 4, "bf16", "tf32", "fp32"), *steps("stage 1", 16, "bf16")]
    cells += [one(kind, "factored", 4, p, GRAPH) for kind in ("stage 1", "joint") for p in ("bf16", "tf32")]
    cells += [launch_cell("bf16", counted=counted), schedule_cell("tf32")]
    cells += [fitting_cell("stage 1"), fitting_cell("joint")]
    cells += [cell for precision in PRECISIONS for cell in upscaling_cells(precision)]
    cells += [*faster("stage 1", 4, "bf16", COMPILED), *faster("stage 1", 4, "tf32", COMPILED)]
    cells += [*steps("joint", 4, "bf16", "tf32"), *faster("stage 1", 4, "bf16", TUNED)]
    cells += [*faster("joint", 4, "bf16", COMPILED), *faster("joint", 4, "tf32", COMPILED)]
    cells += [one("stage 1", "d2c", 4, precision, EAGER) for precision in ("bf16", "tf32")]
    cells += [schedule_cell("bf16"), *faster("joint", 16, "bf16", TUNED), *faster("joint", 16, "bf16", COMPILED)]
    cells += [*steps("stage 1", 4, "fp16"), *steps("stage 1", 16, "tf32", "fp16", "fp32"), *peer_cells("tf32")]
    cells += [*steps("stage 2", 16, *PRECISIONS), *steps("stage 2", 4, "fp16")]
    return [*cells, *steps("joint", 16, "tf32", "fp16", "fp32"), *steps("joint", 4, "fp16", "fp32")]


def _different(cells: list[Cell]) -> list[Cell]:
    """One of the cells that differ in nothing but the number of patches."""
    return list({(c.what, c.network, c.precision, c.way): c for c in cells}.values())


def measure(cells: list[Cell], machine: Machine, until: float) -> None:
    """Measure the cells one after the other; ``until`` is the end on the monotonic clock."""
    for number, cell in enumerate(cells, start=1):
        left = until - time.monotonic() - _RESERVE
        if left < (0.0 if machine.small else cell.seconds):
            cell.remark = "skipped: no time left"
            continue
        begun = time.monotonic()
        try:
            found = cell.measure(machine)
        except OutOfTimeError:
            cell.remark = "cut: no time left"
            continue
        except Exception as error:  # whatever it is, the other cells are measured
            found = {"remark": f"failed: {type(error).__name__}: {str(error).strip().partition(chr(10))[0][:160]}"}
        cell.remark = found.pop("remark", "")
        cell.found = found
        _share(cell, machine)
        took = time.monotonic() - begun
        figure = f"{found['ms']:.2f} ms" if "ms" in found else ""
        said = "; ".join(part for part in (figure, cell.remark) if part)
        sys.stderr.write(f"{number}/{len(cells)} {cell.name}: {said} ({took:.1f} s)\n")


def _share(cell: Cell, machine: Machine) -> None:
    rate, gmacs = machine.rates.get(cell.precision), cell.known.get("gmacs")
    if rate and gmacs and "ms" in cell.found:
        cell.found["share"] = gmacs / (cell.found["ms"] / 1e3) / rate


def rows_of(cells: list[Cell]) -> list[Row]:
    """The rows of the table."""
    rows: list[Row] = []
    for cell in cells:
        row: Row = {name: getattr(cell, name) for name in ("what", "network", "patches", "precision", "way")}
        row |= {**cell.known, **cell.found}
        row["ms"] = cell.found.get("ms", NOT_RUN if not cell.found else "")
        row["factored_over_this"] = found if (found := ratio(cell, cells)) is not None else ""
        row["remark"] = "; ".join(part for part in (cell.known.get("remark", ""), cell.remark) if part)
        rows.append({name: row.get(name, "") for name in COLUMNS})
    return rows


def as_text(cells: list[Cell], about: str) -> str:
    """The whole result."""
    skipped = [cell.name for cell in cells if cell.remark.endswith("no time left")]
    parts = [about, text_table(rows_of(cells), COLUMNS), text_table(budget_rows(cells)), text_table(hour_rows(cells))]
    parts += [f"Skipped, no time left: {'; '.join(skipped)}"] if skipped else []
    return "\n\n".join([*parts, provenance(sys.argv)]) + "\n"


def about_machine(machine: Machine) -> str:
    """What was measured on, in one line."""
    if machine.small:
        return "Dry run on a CPU, everything tiny: this tests the program; its figures mean nothing."
    if not machine.is_card:
        return "There is no CUDA device on this machine: nothing was run, and nothing is claimed. Counts need no card."
    found = torch.cuda.get_device_properties(machine.device)
    return f"{found.name}, {found.total_memory / 1e9:.0f} GB, CUDA {torch.version.cuda}, torch {torch.__version__}"


def _store(text: str, cells: list[Cell], out: Path | None) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
    if out is not None:
        out.with_name(f"{out.name}.txt").write_text(text, encoding="utf-8")
        write_csv(out.with_name(f"{out.name}.csv"), rows_of(cells))


def _options(arguments: list[str] | None) -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="store the table in OUT.txt and its rows in OUT.csv")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="end within this time (default: %(default)s)")
    parser.add_argument("--dry-run", action="store_true", help="everything tiny, on a CPU: to see that it works")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Measure, print and store the table."""
    until = time.monotonic()
    given = _options(arguments)
    until += given.seconds
    card = torch.cuda.is_available() and not given.dry_run
    machine = Machine(device=torch.device("cuda" if card else "cpu"), small=given.dry_run)
    cells = _different(all_cells(counted=False)) if machine.small else all_cells()
    if machine.small:
        torch.set_num_threads(1)

    def over(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTimeError

    def end() -> None:  # where a cell hangs in the driver and hears no signal
        _store(as_text(cells, about_machine(machine)), cells, given.out)
        os._exit(0)

    if card or machine.small:
        signal.signal(signal.SIGALRM, over)
        signal.setitimer(signal.ITIMER_REAL, max(1.0, given.seconds - _RESERVE))
        watch = threading.Timer(max(1.0, given.seconds - 3.0), end)
        watch.daemon = True
        watch.start()
        with run_siblings(side_by_side=True):
            measure(cells, machine, until)
        signal.setitimer(signal.ITIMER_REAL, 0)
        watch.cancel()
    _store(as_text(cells, about_machine(machine)), cells, given.out)


if __name__ == "__main__":
    main()
