"""What a pairs folder costs as it grows: seconds and memory of every command, and the exponent of their growth.

    python -m benchmarks.speed.ledger_growth --scratch /dev/shm --out benchmarks/results/ledger_growth
    python -m benchmarks.speed.ledger_growth --small

Made scenes: tiny captures that all differ, and an aligner that only returns a result of the usual size (four stages,
196 blocks). What grows from one number of scenes to the next is therefore the cost of the tables, beside reading and
writing tiny images. Real scenes: simulated mini captures, aligned as usual. Every command is a new process and runs on
one core. Its clock starts when its libraries are loaded.

A cost that is proportional to the number of scenes has the exponent 1, one that is partly fixed a smaller one. The
exponent is the slope, by least squares, of the logarithm of the CPU seconds over that of the number of scenes; the last
column has the slope between the two largest numbers. Wall time depends on what else the machine and its disk do.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import math
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from benchmarks.made_scenes import instant, many_captures
from benchmarks.measuring import alone, peak_bytes
from benchmarks.program import PATH, numbers_in, print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.seeds import TUNING
from d2crealsr.dataset.build import SceneDone, build
from d2crealsr.dataset.split import split
from d2crealsr.dataset.summary import summarise
from d2crealsr.dataset.verify import verify
from d2crealsr.report.make import make_report
from d2crealsr.simulate import SimulateSettings, simulate
from d2crealsr.store.pairs import read_residuals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Set

_LIBRARIES = ("joblib", "pandas", "pandera.pandas", "jinja2", "PIL.Image", "d2crealsr.command.console")
_TRAINING = ("d2c.data.cache", "d2c.evaluation.evaluate")


@program(__doc__)
@click.option("--scenes", default="100,1000,10000", show_default=True, help="Numbers of made scenes.")
@click.option("--real", default="100,1000", show_default=True, help="Numbers of real scenes; empty for none.")
@click.option("--leave-out", default="", help="Commands that are not measured, separated by commas.")
@click.option("--scratch", type=PATH, help="Make the folders here.  [default: a temporary folder]")
@with_out
@with_small("Ten and twenty scenes", scenes="10,20", real="")
def main(scenes: str, real: str, leave_out: str, scratch: Path | None, out: Path | None) -> None:
    """Run every command on a folder of each size, then compare the growth."""
    found: list[Row] = []
    without = set(leave_out.split(","))
    made, counts = numbers_in(scenes, "--scenes"), numbers_in(real, "--real")
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        for count in made:
            place = Path(folder) / f"made{count}"
            many_captures(place / "raw", count)
            found += commands(place, "made", count, MADE.keys() - without)
        if counts:
            raw = Path(folder) / "real"
            simulate(raw, settings=SimulateSettings(size="mini", scenes=max(counts), seed=TUNING[1].start))
            click.echo(f"{max(counts)} real scenes are simulated", err=True)
            for count in counts:
                place = Path(folder) / f"real{count}"
                linked(raw, place / "raw", count)
                found += commands(place, "real", count, REAL.keys() - without)
    print_and_store("\n\n".join([text_table(found, digits=2), text_table(growth(found), digits=2)]), out, {"": found})


def linked(raw: Path, few: Path, count: int) -> None:
    """The first captures of a folder in another one."""
    for side in ("hr", "lr"):
        (few / side).mkdir(parents=True)
        for path in sorted((raw / side).iterdir())[:count]:
            os.link(path, few / side / path.name)


def commands(place: Path, kind: str, count: int, which: Set[str]) -> list[Row]:
    """The figures of each command on one folder, which the first one fills."""
    found: list[Row] = []
    for name in (name for name in MADE if name in which):
        row = alone(measured, place, kind, name)
        click.echo(f"{kind}, {count} scenes, {name}: {row['CPU s']:.2f} s, {row['peak MB']:.0f} MB", err=True)
        found.append({"captures": kind, "scenes": count, "command": name, **row})
    return found


def measured(place: Path, kind: str, name: str) -> Row:
    """One command in this process: seconds, and peak memory."""
    for library in (*_LIBRARIES, *(_TRAINING if name.startswith("train") else ())):
        importlib.import_module(library)
    before = peak_bytes()
    wall, cpu = time.perf_counter(), time.process_time()
    more = {"made": MADE, "real": REAL}[kind][name](place)
    return {
        "wall s": time.perf_counter() - wall,
        "CPU s": time.process_time() - cpu,
        "peak MB": peak_bytes() / 1e6,
        "of which libraries": before / 1e6,
        **(more if isinstance(more, dict) else {}),
    }


def _align(place: Path, **options: Any) -> Row:
    """`align`; CPU milliseconds a scene among the first and the last tenth of the scenes."""
    times: list[float] = []

    def note(event: Any) -> None:
        if isinstance(event, SceneDone):
            times.append(time.process_time())

    build(place / "raw", place / "pairs", on_event=note, **options)
    tenth = max(len(times) // 10, 1)
    return {
        "first tenth, ms": 1000 * (times[tenth] - times[0]) / tenth,
        "last tenth, ms": 1000 * (times[-1] - times[-1 - tenth]) / tenth,
    }


def _summary(place: Path) -> None:
    from d2crealsr.command.console import summary_table

    summary_table(summarise(place / "pairs"), terminal=False)


def _train_reads(place: Path) -> None:
    """All that `d2c train` does with its pairs before the first step."""
    from d2c.data.belonging import KEPT, check_belonging
    from d2c.data.cache import CachedPairs, ImageCache
    from d2c.data.datasets import Datasets
    from d2c.data.hold_out import hold_out
    from d2c.evaluation.evaluate import is_measurable

    data = Datasets(data=(place / "pairs",))
    pairs = data.pairs(data.scale(), lambda text: None)
    hold_out(pairs, 0.1, is_measurable)
    cache = ImageCache(place / "cache")
    cached = cache.images(path for pair in pairs for path in (pair.lr, pair.hr))
    check_belonging(pairs, CachedPairs(pairs, cached), cached.digests.__getitem__, cache.folder / KEPT)


_AFTER_ALIGN: dict[str, Callable[[Path], Any]] = {
    "split": lambda place: split(place / "pairs"),
    "split again": lambda place: split(place / "pairs"),
    "summary": _summary,
    "verify": lambda place: verify(place / "pairs"),
    "train reads": _train_reads,
    "train reads again": _train_reads,
}

REAL = {"align": _align, "align again": _align, **_AFTER_ALIGN}
_made = functools.partial(_align, align=instant)
MADE: dict[str, Callable[[Path], Any]] = {
    "align": _made,
    "align again": _made,
    **_AFTER_ALIGN,
    "read_residuals": lambda place: read_residuals(place / "pairs"),
    "report": lambda place: make_report(place / "pairs"),
    "report again": lambda place: make_report(place / "pairs"),
}
"""The commands by kind of captures. A report on real pairs is a quarter of a second of drawing each (`report_500`)."""


def growth(measurements: Sequence[Row]) -> list[Row]:
    """Of each command: CPU milliseconds a scene between one number of scenes and the next, and the exponents."""
    found: list[Row] = []
    for kind, name in dict.fromkeys((row["captures"], row["command"]) for row in measurements):
        some = [row for row in measurements if (row["captures"], row["command"]) == (kind, name)]
        row: Row = {"captures": kind, "command": name}
        steps = []
        for less, more in itertools.pairwise(some):
            added = 1000 * (float(more["CPU s"]) - float(less["CPU s"])) / (more["scenes"] - less["scenes"])
            steps.append(added)
            row[f"ms a scene, {less['scenes']} to {more['scenes']}"] = added
        if len(some) > 1:
            row["last to first step"] = steps[-1] / steps[0] if len(steps) > 1 else math.nan
            n, seconds = (np.log([float(row[name]) for row in some]) for name in ("scenes", "CPU s"))
            row["exponent"] = float(np.polyfit(n, seconds, 1)[0])
            row["exponent of the last step"] = float((seconds[-1] - seconds[-2]) / (n[-1] - n[-2]))
        found.append(row)
    return found


if __name__ == "__main__":
    main()
