"""Does `ingest --watch` name what went wrong before the next scene begins, and how long does a frame take?

    python -m benchmarks.speed.watch --seeds 100..129 --out benchmarks/results/watch
    python -m benchmarks.speed.watch --seeds 130..131 --size full --out benchmarks/results/watch-full

The command runs as a user runs it. A second process copies the frames of one scene after the other into its folder,
every ten seconds one, and each in two halves. Faults: the LR of the fifth scene and the HR of the twelfth are out of
focus (Gaussian of 3.5 px more), the eighteenth scene has no HR, and the HR of the twenty-fourth has four times the
light.
With fewer scenes, the first ones have these faults in this order. Ctrl-C ends the watch after the last scene.

frame s: from the end of a copy to the line about the frame. verdict s: from the end of the copy of a scene's second
frame to the line with the verdict. named: faults that a line names before the next scene begins; by: the first such
words in the lines. The line about a frame whose other half has not come says so at once, and MISSING follows when the
next card begins. alarms: scenes without a fault that are to be shot again, and frames without a fault that are called
blurred or clipped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np

from benchmarks.memory_card import Shot, as_jpeg, blurred, overexposed, shots_of
from benchmarks.program import Run, over_scenes, program, with_cache, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, text_table

if TYPE_CHECKING:
    from collections.abc import Sequence

_FAULTS = {4: "LR blurred", 11: "HR blurred", 17: "no HR", 23: "HR clipped"}
_WORDS = {
    "LR blurred": ("BLURRED", "lr_blurred"),
    "HR blurred": ("BLURRED", "hr_not_sharper"),
    "no HR": ("its HR is missing so far", "MISSING"),
    "HR clipped": ("CLIPPED", "clipped:"),
}
"""Words, one of which names the fault in a line about the frame or about its scene."""

_BLUR_PX, _GAIN = 3.5, 4.0
_PAUSE_SECONDS = 0.5
_PATIENCE_SECONDS = 60.0


class Copied(NamedTuple):
    """A frame that was copied: its file, its scene's number and fault, and when the copy began and ended."""

    name: str
    scene: int
    fault: str
    began: float
    ended: float


def frames_of(run: Run) -> list[tuple[str, list[Shot]]]:
    """The fault of each scene, empty for most, and its frames in the order of shooting."""
    numbers = list(_FAULTS) if len(run.wanted) > max(_FAULTS) else range(len(_FAULTS))
    faults = dict(zip(numbers, _FAULTS.values(), strict=True))
    scenes = []
    for number, scene in enumerate(run.scenes()):
        hr, lr = shots_of(scene, run.cache, minute=3 * number)
        fault = faults.get(number, "")
        if fault == "HR clipped":
            hr = overexposed(hr, _GAIN)
        elif fault.endswith("blurred"):
            hr, lr = (blurred(shot, _BLUR_PX) if fault[:2].lower() == shot.what else shot for shot in (hr, lr))
        scenes.append((fault, [lr] if fault == "no HR" else [lr, hr] if number % 2 else [hr, lr]))
    return scenes


def copy_in(scenes: Sequence[tuple[str, list[Shot]]], folder: Path, every: float) -> list[Copied]:
    """Copy frame by frame."""
    copied: list[Copied] = []
    for number, (fault, shots) in enumerate(scenes):
        for shot in shots:
            data, name = as_jpeg(shot), f"DSC{len(copied):05d}.JPG"
            began = time.monotonic()
            with (folder / name).open("wb") as file:
                file.write(data[: len(data) // 2])
                file.flush()
                time.sleep(_PAUSE_SECONDS)
                file.write(data[len(data) // 2 :])
            copied.append(Copied(name, number, fault, began, time.monotonic()))
            time.sleep(max(0.0, began + every - time.monotonic()))
    return copied


def watched(
    scenes: Sequence[tuple[str, list[Shot]]], every: float
) -> tuple[list[Copied], list[tuple[float, str]], Row]:
    """Run the command while frames are copied; returns the copies, the lines with their times, and what it took."""
    with tempfile.TemporaryDirectory() as folder:
        card = Path(folder, "DCIM")
        card.mkdir()
        command = [sys.executable, "-m", "d2crealsr", "ingest", str(card), "--out", f"{folder}/raw", "--watch"]
        lines: list[tuple[float, str]] = []
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        assert process.stdout is not None
        output = process.stdout
        reader = threading.Thread(target=lambda: lines.extend((time.monotonic(), line) for line in output))
        reader.start()
        while not lines and process.poll() is None:
            time.sleep(0.1)
        copied = copy_in(scenes, card, every)
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until and not any(copied[-1].name in line for _, line in lines):
            time.sleep(0.5)
        time.sleep(every)
        process.send_signal(signal.SIGINT)
        _, status, usage = os.wait4(process.pid, 0)
        reader.join()
        taken: Row = {"exit code": os.waitstatus_to_exitcode(status), "CPU s": usage.ru_utime + usage.ru_stime}
        return copied, lines, taken | {"memory MB": usage.ru_maxrss / 1024}


def judged(copied: Sequence[Copied], lines: Sequence[tuple[float, str]]) -> list[Row]:
    """A row for each scene."""
    rows: list[Row] = []
    last = copied[-1].scene
    for number in range(last + 1):
        frames = [copy for copy in copied if copy.scene == number]
        end = min((copy.began for copy in copied if copy.scene == number + 1), default=np.inf)
        about = [(at, text) for at, text in lines if any(copy.name in text for copy in frames)]
        first = [next((at for at, text in about if text.startswith(copy.name)), np.nan) for copy in frames]
        verdict = next((at for at, text in about if ": GOOD" in text or ": SHOOT AGAIN" in text), np.nan)
        words = _WORDS.get(frames[0].fault, ("SHOOT AGAIN", "BLURRED", "CLIPPED"))
        said = [at for at, text in about if any(word in text for word in words)]
        by = [word for _, text in about for word in words if word in text]
        rows.append(
            {
                "scene": number,
                "fault": frames[0].fault,
                "frame s": float(np.max([at - copy.ended for at, copy in zip(first, frames, strict=True)])),
                "verdict s": verdict - frames[-1].ended,
                "in time": bool(said) and min(said) < end,
                "said": bool(said),
                "by": by[0] if by else "",
            }
        )
    return rows


def summary(rows: Sequence[Row], copied: Sequence[Copied], taken: Row) -> Row:
    frame, verdict = (np.array([row[name] for row in rows]) for name in ("frame s", "verdict s"))
    faults = [row for row in rows if row["fault"]]
    return {
        "scenes": len(rows),
        "frames": len(copied),
        "frame s, median": float(np.nanmedian(frame)),
        "largest": float(np.nanmax(frame)),
        "verdict s, median": float(np.nanmedian(verdict)),
        "largest ": float(np.nanmax(verdict)),
        "named in time": f"{sum(row['in time'] for row in faults)} of {len(faults)}",
        "alarms": sum(row["said"] for row in rows if not row["fault"]),
        "CPU s a frame": taken["CPU s"] / len(copied),
        "memory MB": taken["memory MB"],
        "exit code": taken["exit code"],
    }


@program(__doc__)
@over_scenes(
    with_seeds("100..129"),
    with_size("mini"),
    with_cache,
    click.option("--every", default=10.0, show_default=True, help="Seconds from frame to frame."),
    with_small("Four scenes, a frame every four seconds", seeds="100..103", every=4.0),
)
def main(run: Run, every: float) -> None:
    copied, lines, taken = watched(frames_of(run), every)
    rows = judged(copied, lines)
    table = text_table([summary(rows, copied, taken)])
    faults = text_table([row for row in rows if row["fault"]])
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f} over the last five minutes"
    said = "".join(text for _, text in lines)
    run.store(
        f"A watched shoot, {run.about}, a frame every {every:g} s; {load}.\n\n{table}\n\n{faults}\n\n{said}", rows
    )


if __name__ == "__main__":
    main()
