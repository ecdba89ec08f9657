"""Kill commands at random moments, run them again, and compare byte for byte with runs that nobody killed.

Each kill is SIGKILL to the whole process group (so no code of ours runs any more), at a moment drawn uniformly over the
wall time of an uninterrupted run; some more fall when a file has just begun to be written. The command's libraries are
loaded before it is forked off, so that the time is spent in its own work. After a kill every published file must be
whole; the same command, run again, must end with exit code 0, the bytes of the uninterrupted run, and no temporary file
left.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before anything heavy is loaded: threads do not survive the fork

import click
import numpy as np

from benchmarks.program import print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from d2crealsr.store.changes import refuse_if_changed
from d2crealsr.store.images import read_image, read_image_and_alpha
from d2crealsr.store.pairs import read_alignment, read_dataset, read_manifest, read_residuals, read_timings
from tests.robustness.killing import end_group, finish, kill_after, kill_in_write, launch, load_libraries, temporaries

BINS = 10
PAIRS_TABLES = ("manifest.csv", "alignment.csv", "residuals.csv", "dataset.json")
TRAIN = ["--scale", "8", "--features", "6", "--groups", "1", "--blocks", "1", "--reduction", "3", "--batch", "1"]
TRAIN += [
    "--convergence-features",
    "4",
    "--patch",
    "16",
    "--steps",
    "16",
    "--steps-convergence",
    "8",
    "--device",
    "cpu",
]
TRAIN += ["--save-every", "3", "--log-every", "2", "--validate-every", "8", "--validation", "0.5"]

Content = dict[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command that is killed: its arguments, the folder it starts from, what must be equal, what must be whole."""

    name: str
    program: str
    arguments: Callable[[Path], list[str]]
    start: Path | None
    content: Callable[[Path], Content]
    check: Callable[[Path], None]


# --- what must be equal, and whole -------------------------------------------------------------------------------


def pairs_content(out: Path) -> Content:
    """The files of a pairs folder that are the same bytes however it came about (docs/pairs-format.md)."""
    images = [path for side in ("hr", "lr") for path in (out / side).glob("*")]
    return _bytes(out, [*images, *(out / name for name in PAIRS_TABLES)])


def report_content(out: Path) -> Content:
    """All files of the report, and the pairs it was made from."""
    report = (path for path in (out / "report").rglob("*") if path.is_file())
    return _bytes(out, [path for path in report if not path.name.startswith(".")]) | pairs_content(out)


def run_content(out: Path) -> Content:
    """What a training run leaves, but its state: pickles of equal states may differ in how they refer to themselves."""
    return _bytes(out, [out / name for name in ("config.toml", "log.csv", "last.safetensors", "best.safetensors")])


def _bytes(out: Path, paths: list[Path]) -> Content:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in paths}


def check_pairs(out: Path) -> None:
    """Everything that has its name is whole: tables read and have their checksums, images decode."""
    refuse_if_changed(out)
    readers = {"manifest.csv": read_manifest, "alignment.csv": read_alignment, "residuals.csv": read_residuals}
    for name, reader in {**readers, "timings.csv": read_timings, "dataset.json": read_dataset}.items():
        if (out / name).exists():
            reader(out)
    for path in (path for side in ("hr", "lr") for path in (out / side).glob("[!.]*")):
        read_image(path)


def check_report(out: Path) -> None:
    """The page is whole, and so is every picture."""
    check_pairs(out)
    page = out / "report" / "index.html"
    if page.exists() and not page.read_text(encoding="utf-8").rstrip().endswith("</html>"):
        raise ValueError(f"{page.name} is cut off")
    for path in (path for kind in ("png", "jpg") for path in (out / "report").rglob(f"[!.]*.{kind}")):
        read_image_and_alpha(path)


def check_run(out: Path) -> None:
    """Checkpoints load, the state loads."""
    from d2c.checkpoints import native
    from d2c.training.runfolder import RunFolder

    for name in ("last.safetensors", "best.safetensors"):
        if (out / name).exists():
            native.load(out / name)
    RunFolder(out).load_state()


def leftovers(out: Path) -> list[str]:
    """Temporary files: something was being written. Named by the folder that it was for."""
    found = sorted(path.relative_to(out) for path in temporaries(out))
    return [f"{path.parts[0]}/" if len(path.parts) > 1 else f"*{path.suffix}" for path in found]


# --- the cases ---------------------------------------------------------------------------------------------------


def prepare(work: Path, scenes: int, wanted: Sequence[str]) -> list[Case]:
    """Captures, the folders that commands start from, and the commands."""
    from d2crealsr.dataset.build import build
    from d2crealsr.dataset.split import split
    from d2crealsr.settings import AlignSettings
    from d2crealsr.simulate import SimulateSettings, simulate

    raw, pairs, other = work / "raw", work / "pairs", work / "other"
    simulate(raw, settings=SimulateSettings(size="mini", scenes=scenes))
    (raw / "hr" / "bad.jpg").write_bytes(b"\xff\xd8")
    shutil.copy(next((raw / "lr").glob("[!.]*")), raw / "lr" / "bad.jpg")
    (raw / "manifest.csv").unlink()  # which does not know the bad scene
    residual = ("p50", "p95", "local", "side", "worst")
    high = ("max_sigma", *(f"max_residual_{name}" for name in residual))
    lenient = AlignSettings(**dict.fromkeys(high, 99.0), crop="40x40")
    options = [part for name in high for part in (f"--{name.replace('_', '-')}", "99.0")] + ["--crop", "40x40"]
    options += ["--interpolation", "cubic", "--iters", "3", "--qa-profile", "default"]  # whatever the folder has
    build(raw, pairs, settings=lenient)
    build(raw, other, settings=dataclasses.replace(lenient, interpolation="lanczos4", iters=2))
    judged = work / "judged"
    build(raw, judged, settings=dataclasses.replace(lenient, qa_profile="strict", max_sigma=0.0))
    unsplit, trained = work / "unsplit", work / "trained"
    shutil.copytree(pairs, unsplit)
    shutil.copytree(pairs, trained)
    split(pairs, test=1)
    split(trained, test=0)

    def align(*more: str) -> Callable[[Path], list[str]]:
        return lambda out: ["align", str(raw), "--out", str(out), *options, *more]

    pairs_case = {"program": "d2crealsr", "content": pairs_content, "check": check_pairs}
    cases = [
        Case(name="align", arguments=align(), start=None, **pairs_case),
        Case(name="align, 2 jobs", arguments=align("--jobs", "2"), start=None, **pairs_case),
        Case(name="align, other settings before", arguments=align(), start=other, **pairs_case),
        Case(name="align, other thresholds before", arguments=align(), start=judged, **pairs_case),
        Case(name="split", arguments=lambda out: ["split", str(out), "--test", "1"], start=unsplit, **pairs_case),
    ]
    if find_spec("d2crealsr.report") is not None:
        cases.append(
            Case(
                name="report",
                program="d2crealsr",
                arguments=lambda out: ["report", str(out)],
                start=pairs,
                content=report_content,
                check=check_report,
            )
        )
    if find_spec("torch") is not None:
        cases.append(
            Case(
                name="train",
                program="d2c",
                arguments=lambda out: ["train", "--data", str(trained), "--out", str(out), *TRAIN],
                start=None,
                content=run_content,
                check=check_run,
            )
        )
    return [case for case in cases if not wanted or case.name in wanted]


# --- kills -------------------------------------------------------------------------------------------------------


def fresh(case: Case, out: Path) -> Path:
    """The folder the command starts from."""
    shutil.rmtree(out, ignore_errors=True)
    if case.start is not None:
        shutil.copytree(case.start, out)
    return out


def uninterrupted(case: Case, work: Path, times: int) -> tuple[Content, float, int]:
    """What the command leaves when nobody kills it, the median of its wall time in seconds, and how often it writes."""
    seconds, contents = [], []
    for _ in range(times):
        out = fresh(case, work / "out")
        start = time.monotonic()
        code = finish(launch(case.program, case.arguments(out), work / "log"))
        seconds.append(time.monotonic() - start)
        if code:
            raise SystemExit(f"{case.name}: exit code {code} without a kill: {(work / 'log').read_text()}")
        contents.append(case.content(out))
    files = writes(case, work)
    contents.append(case.content(work / "out"))
    if names := sorted({name for content in contents for name in differing(contents[0], content)}):
        raise SystemExit(f"{case.name}: two uninterrupted runs differ in {', '.join(names)}")
    return contents[0], statistics.median(seconds), files


def writes(case: Case, work: Path) -> int:
    """How many files an uninterrupted run is seen to write; those made twice count twice."""
    out, seen = fresh(case, work / "out"), set[str]()
    pid = launch(case.program, case.arguments(out), work / "log")
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        seen |= {path.name for path in temporaries(out)}
    end_group(pid)
    return max(len(seen), 1)


def differing(one: Content, other: Content) -> list[str]:
    """Names of files that are not the same in both."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def kill_once(case: Case, expected: Content, work: Path, kill: Callable[[int, Path], bool]) -> Row | None:
    """One kill, and what became of it; None where the command was quicker."""
    out = fresh(case, work / "out")
    if not kill(launch(case.program, case.arguments(out), work / "log"), out):
        return None
    inside = leftovers(out)
    faults = []
    try:
        case.check(out)
    except Exception as error:
        faults.append(f"not whole after the kill: {error}")
    code = finish(launch(case.program, case.arguments(out), work / "log"))
    if code:
        faults.append(f"exit code {code}: {(work / 'log').read_text().strip().splitlines()[-1:]}")
    else:
        faults += [f"differs: {name}" for name in differing(case.content(out), expected)]
    faults += [f"left over: {name}" for name in leftovers(out)]
    return {"inside a write of": " ".join(inside), "survived": not faults, "fault": "; ".join(faults)}


def kills(case: Case, count: int, aimed: int, seed: int, work: Path, times: int = 3) -> Iterator[Row]:
    """Kills of one command: ``count`` at moments uniform over its wall time, ``aimed`` at one of its writes.

    Draws that come too late, because this run was quicker than the median of ``times`` others, are drawn again.
    """
    expected, seconds, files = uninterrupted(case, work, times)
    rng = np.random.default_rng([seed, *case.name.encode()])
    done = tried = 0
    while done < count + aimed and tried < 4 * (count + aimed) + 10:
        tried += 1
        row: Row = {"case": case.name, "seconds of a run": round(seconds, 3), "share of wall time": ""}
        if done < count:
            share = float(rng.uniform())
            found = kill_once(case, expected, work, lambda pid, out, s=share: kill_after(pid, s * seconds))
            row["share of wall time"] = round(share, 4)
        else:
            number = int(rng.integers(1, files + 1))
            found = kill_once(case, expected, work, lambda pid, out, n=number: kill_in_write(pid, out, n))
        if found is not None:
            done += 1
            yield row | found


def shared(total: int, cases: list[Case]) -> list[int]:
    """Kills by case; one that starts worker processes takes long and gets a third."""
    weights = np.array([1.0 if "jobs" in case.name else 3.0 for case in cases])
    exact = total * weights / weights.sum()
    whole = np.floor(exact).astype(int)
    whole[np.argsort(whole - exact, kind="stable")[: total - whole.sum()]] += 1
    return whole.tolist()


def summary(rows: list[Row]) -> list[Row]:
    """One line a command, and one for all."""
    lines: list[Row] = []
    for name in [*dict.fromkeys(row["case"] for row in rows), "all"]:
        chosen = [row for row in rows if name in (row["case"], "all")]
        uniform = [row["share of wall time"] for row in chosen if row["share of wall time"] != ""]
        fell = collections.Counter(min(int(BINS * share), BINS - 1) for share in uniform)
        lines.append(
            {
                "command": name,
                "seconds": chosen[0]["seconds of a run"] if name != "all" else float("nan"),
                "uniform": len(uniform),
                "aimed": len(chosen) - len(uniform),
                "inside a write": sum(bool(row["inside a write of"]) for row in chosen),
                "survived": sum(row["survived"] for row in chosen),
                "uniform ones by tenth of the wall time": " ".join(str(fell[number]) for number in range(BINS)),
            }
        )
    return lines


@program(__doc__)
@click.option("--kills", "count", default=105, show_default=True, help="At uniform moments, shared by the commands.")
@click.option("--aimed", default=21, show_default=True, help="More kills, each when one of the writes begins.")
@click.option("--scenes", default=3, show_default=True, help="Simulated scenes; one that cannot be read joins them.")
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
@click.option("--only", multiple=True, help="A command, by its name in the table; repeatable.")
@with_small("8 kills in all, 2 scenes", count=5, aimed=3, scenes=2, exposed=True)
@with_out
def main(count: int, aimed: int, scenes: int, seed: int, only: tuple[str, ...], small: bool, out: Path | None) -> None:
    """Kill, resume, compare; an error where anything was lost."""
    times = 1 if small else 3
    load_libraries()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        cases = prepare(work, scenes, only)
        shares = zip(cases, shared(count, cases), shared(aimed, cases[::-1])[::-1], strict=True)
        for case, uniform, at_writes in shares:
            for row in kills(case, uniform, at_writes, seed, work, times) if uniform + at_writes else ():
                rows.append(row)
                click.echo(json.dumps(row), err=True)
    inside = collections.Counter(name for row in rows for name in str(row["inside a write of"]).split())
    lines = [
        "Commands killed at random moments, run again, compared byte for byte with runs that nobody killed",
        "",
        text_table(summary(rows)),
        "",
        f"Moments are uniform over the wall time (median of {times}); one after this run's own end is drawn again.",
        "what was being written: " + (", ".join(f"{n} {name}" for name, n in sorted(inside.items())) or "nothing"),
        *(f"LOST: {row['case']} {row['share of wall time']}: {row['fault']}" for row in rows if row["fault"]),
    ]
    print_and_store("\n".join(lines), out, {"": rows})
    if not rows or not all(row["survived"] for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
