"""What becomes of bad input? Generated captures of every bad kind through the real command, and runs bad as a whole.

    python -m tests.robustness.bad_input --scenes 1014 --out tests/robustness/results/bad_input.md
    python -m tests.robustness.bad_input --small

Each scene must end with a reason that its kind allows, or accepted and right: worst point over the crop within 1 HR px
of the truth, or, where a file's own pixels are damaged, at most 2 % of the published pair showing two things. No
traceback, no internal error, no hang. Runs of their own must end with their exit code and one line that says what to
do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import joblib
import numpy as np

from benchmarks.program import print_and_store, program, with_cache, with_jobs, with_out, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import BenchScene, make_files
from d2crealsr import opencv
from d2crealsr.imaging.estimate import Estimate
from d2crealsr.store.images import read_image
from d2crealsr.store.pairs import read_manifest
from d2crealsr.truth.mapping_error import mapping_error
from d2crealsr.types import Size
from tests.robustness.bad_files import ANY, KINDS, Base, File, Made
from tests.robustness.bad_runs import RUNS, Run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WORST_HR_PX = 1.0
SOMETHING_ELSE = 0.02
_VISIBLE = 28
"""Levels of 255 by which blurred pixels must be apart to show something else."""
_BLUR_LR_PX = 1.5

_SCENES_A_RUN = 250
_STATUSES = ("accepted", "rejected", "failed")
_ALIGN = [sys.executable, "-m", "d2crealsr", "align"]


def base_of(seed: int, cache: Path) -> Base:
    """A good mini capture."""
    scene = BenchScene(seed=seed, size="mini")
    files = make_files(scene, cache)
    hr, lr = files.read()
    return Base(
        hr=files.hr.read_bytes(), lr=files.lr.read_bytes(), hr_pixels=hr, lr_pixels=lr, truth=scene.true_mapping
    )


def place(file: File, folder: Path, stem: str) -> None:
    """Put a file, or what stands in its place, into a folder of captures."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}{file.ending}"
    if file.special in ("loop", "dangling"):
        path.symlink_to(path.name if file.special == "loop" else "nothing.png")
    elif file.special == "folder":
        path.mkdir()
    elif file.special == "fifo":
        os.mkfifo(path)
    elif not file.special:
        path.write_bytes(file.content)


def align(raw: Path, out: Path, *options: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """The real command, in a process of its own."""
    command = [*_ALIGN, str(raw), "--out", str(out), *options]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False)


# --- scenes ------------------------------------------------------------------------------------------------------


def judge(row: Mapping[str, Any], name: str, made: Made, out: Path) -> str:
    """What is wrong with a scene's outcome; empty where nothing is."""
    kind = KINDS[name]
    codes = set(row["reasons"].split(";")) if row["reasons"] else {"accepted"}
    if "internal_error" in codes:
        return f"internal error: {row['message']}"
    if ANY not in kind.expected and not codes <= kind.expected:
        return f"unexpected: {row['status']} {row['reasons']} ({row['message']})"
    if row["status"] != "accepted":
        return "" if row["message"] and "\n" not in row["message"] else "no message"
    return _wrong_pair(row, made, out)


def _wrong_pair(row: Mapping[str, Any], made: Made, out: Path) -> str:
    if made.truth is None:
        return "accepted, though no pair of these files is right"
    if made.damaged:  # what a damaged file shows may lie elsewhere than in the good one: the published pixels decide
        share = something_else(out / row["hr_path"], out / row["lr_path"])
        return f"accepted, {share:.1%} of the crop shows something else" if share > SOMETHING_ELSE else ""
    published = Estimate.from_row(row, made.truth.hr_size, made.truth.lr_size)
    if published is None:
        return "accepted without an estimate"
    error = mapping_error(published.placement, made.truth).maximum
    return "" if error <= WORST_HR_PX else f"accepted, off by {error:.2f} HR px"


def something_else(hr: Path, lr: Path) -> float:
    """Share of a published pair's LR pixels where HR shows another colour, once both are blurred and brightness fitted.

    Unlike QA it looks at all three channels and knows nothing of what was estimated.
    """
    seen = read_image(lr)
    size = Size(seen.shape[1], seen.shape[0])
    a = opencv.blur(opencv.resize(read_image(hr), size, "area").astype(np.float32), _BLUR_LR_PX)
    b = opencv.blur(seen.astype(np.float32), _BLUR_LR_PX)
    differs = np.zeros(seen.shape[:2], dtype=bool)
    for channel in range(3):
        x, y = a[..., channel].ravel(), b[..., channel].ravel()
        gain, offset = np.polyfit(x, y, 1)
        differs |= (np.abs(gain * x + offset - y) > _VISIBLE).reshape(differs.shape)
    return float(differs.mean())


def scenes_of_a_run(
    numbers: range, seed: int, bases: Sequence[Base], folder: Path, jobs: int = 1
) -> tuple[list[Row], list[str]]:
    """Scenes number after number round the kinds, through one run; their rows and what else was wrong."""
    names, made, raw, out = list(KINDS), {}, folder / "raw", folder / "pairs"
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        one, two = (bases[int(i)] for i in rng.permutation(len(bases))[:2])
        name = names[number % len(names)]
        scene = f"{number:04d} {name}"
        made[scene] = (name, KINDS[name].make(rng, one, two))
        place(made[scene][1].hr, raw / "hr", scene)
        place(made[scene][1].lr, raw / "lr", scene)
    done = align(raw, out, "--jobs", str(jobs), seconds=60 + 30 * len(numbers))
    problems = []
    if "Traceback" in done.stdout + done.stderr or (out / "errors.log").exists():
        problems.append("a traceback")
    if done.returncode not in (0, 3):
        return [], [*problems, f"exit {done.returncode}: {done.stderr[-300:]}"]
    table = {row["scene"]: row for row in read_manifest(out).to_dict("records")}
    rows = []
    for scene, (name, files) in made.items():
        if scene not in table:
            nothing = files.hr.special and files.lr.special
            problems += [] if nothing else [f"{scene}: no row"]
            continue
        row = table[scene]
        rows.append({**row, "kind": name, "wrong": judge(row, name, files, out)})
    return rows, problems


def table_of(rows: Sequence[Row]) -> list[Row]:
    """Counts by kind."""
    table = []
    for name in KINDS:
        of_kind = [row for row in rows if row["kind"] == name]
        reasons = Counter(code for row in of_kind for code in row["reasons"].split(";") if row["status"] != "accepted")
        counts = {status: sum(row["status"] == status for row in of_kind) for status in _STATUSES}
        said = ", ".join(f"{code} {count}" for code, count in reasons.most_common())
        wrong = sum(bool(row["wrong"]) for row in of_kind)
        table.append({"kind": name, "scenes": len(of_kind), **counts, "wrong": wrong, "reasons": said})
    return table


# --- runs of their own -------------------------------------------------------------------------------------------


def own_run(run: Run, base: Base, folder: Path) -> str:
    """What is wrong with the outcome of a run that is bad as a whole; empty where nothing is."""
    raw = folder / "raw"
    for side, content in (("hr", base.hr), ("lr", base.lr)):
        (raw / side).mkdir(parents=True)
        (raw / side / "a.jpg").write_bytes(content)
    try:
        arguments = run.make(raw)
    except OSError as error:
        return f"skipped: {error.strerror}"
    done = align(raw, folder / "pairs", *arguments, seconds=120)
    lines = done.stderr.strip().splitlines()
    if done.returncode != run.code or len(lines) != 1 or not re.search(run.says, lines[0]):
        return f"exit {done.returncode}, expected {run.code} and /{run.says}/: {done.stderr[-400:]}"
    return "" if not list((folder / "pairs").glob("hr/*")) else "something was published"


def own_scene(name: str, seed: int, bases: Sequence[Base], folder: Path) -> str:
    """One bad scene alone in a run of its own."""
    rows, problems = scenes_of_a_run(range(list(KINDS).index(name), list(KINDS).index(name) + 1), seed, bases, folder)
    return "; ".join([*problems, *(row["wrong"] for row in rows if row["wrong"])])


# --- the program -------------------------------------------------------------------------------------------------


@program(__doc__)
@click.option("--scenes", type=click.IntRange(min=1), default=1014, show_default=True, help="Bad scenes in a few runs.")
@click.option("--own", type=click.IntRange(min=0), default=1000, show_default=True, help="Runs of their own, at most.")
@with_small("50 scenes and 10 runs of their own", exposed=True, scenes=50, own=10)
@with_jobs
@click.option("--seed", type=int, default=0, show_default=True)
@with_cache
@with_out
def main(scenes: int, own: int, small: bool, jobs: int, seed: int, cache: Path | None, out: Path | None) -> None:
    """Generate bad input, run the command on it, and count what it came to."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bases = [base_of(number, cache or folder / "cache") for number in range(2 if small else 5)]
        rows, problems = [], []
        for number, first in enumerate(range(0, scenes, _SCENES_A_RUN)):
            part = folder / f"run{number}"
            found, said = scenes_of_a_run(range(first, min(scenes, first + _SCENES_A_RUN)), seed, bases, part, jobs)
            rows += found
            problems += said
            shutil.rmtree(part)
            click.echo(f"{len(rows)} scenes done", err=True)
        runs = _own_runs(own, seed, bases, folder, jobs)
    print_and_store(report(rows, runs, problems), out, heading="Bad input")
    if problems or any(row["wrong"] for row in rows) or any(row["wrong"] for row in runs):
        sys.exit(1)


def _own_runs(count: int, seed: int, bases: Sequence[Base], folder: Path, jobs: int) -> list[Row]:
    """Runs bad as a whole, and each kind of scene alone; at most ``count``, taken evenly from both."""
    todo: list[Any] = [*RUNS, *KINDS]
    chosen = [todo[i] for i in np.linspace(0, len(todo) - 1, min(count, len(todo))).astype(int)]

    def done(item: Any) -> Row:
        part = Path(tempfile.mkdtemp(dir=folder))
        if isinstance(item, Run):
            return {"run": item.name, "exit": item.code, "wrong": own_run(item, bases[0], part)}
        return {"run": f"one scene: {item}", "exit": "0 or 3", "wrong": own_scene(item, seed, bases, part)}

    return list(joblib.Parallel(n_jobs=jobs or -1, prefer="threads")(joblib.delayed(done)(item) for item in chosen))


def report(rows: Sequence[Row], runs: Sequence[Row], problems: Sequence[str]) -> str:
    """The tables as text."""
    skipped = [row for row in runs if row["wrong"].startswith("skipped")]
    wrong = [f"{row['scene']}: {row['wrong']}" for row in rows if row["wrong"]]
    wrong += [f"{row['run']}: {row['wrong']}" for row in runs if row["wrong"] and row not in skipped]
    accepted = [row for row in rows if row["status"] == "accepted"]
    bad = sum(bool(row["wrong"]) for row in accepted)
    lines = [
        text_table(table_of(rows)),
        "",
        f"{len(rows)} bad scenes: {len(accepted)} accepted, {bad} of them wrong; {len(runs)} runs of their own",
        f"{len(wrong) + len(problems)} outcomes that are not as they should be",
        *(f"- {line}" for line in [*problems, *wrong, *(f"{row['run']}: {row['wrong']}" for row in skipped)]),
        "",
        "Runs of their own: " + "; ".join(f"{row['run']} ({row['exit']})" for row in runs),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
