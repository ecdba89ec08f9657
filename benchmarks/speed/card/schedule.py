"""How fast `d2c train --preset paper` itself is, and how long its whole schedule takes.

Run as a program it trains in a process of its own, because it needs what the other cells do not, and prints the seconds
of a step of each stage as JSON.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.speed.card.cell import Cell

if TYPE_CHECKING:
    from benchmarks.speed.card.cell import Found, Machine

__all__ = ["SCHEDULES", "hours", "schedule_cell"]

SCHEDULES = {27: 132_000, 100: 500_000}
"""Steps of preset ``paper``, of both stages together, by the number of pairs. A step took .14 s in TF32 before."""

NEEDS = ("cv2", "pandas", "pandera", "PIL", "click", "joblib", "filelock", "rich", "safetensors", "threadpoolctl")
_ROOT = Path(__file__).parents[3]
_SECONDS = 100
_FIRST, _STEPS = 60, {"stage 1": 260, "stage 2": 160}
_SHARE = 10 / 11
"""Share of stage 1 in the steps of preset ``paper``."""


def hours(stage_1: float, stage_2: float) -> str:
    """Hours of the schedules, for seconds a step of both stages."""
    mean = _SHARE * stage_1 + (1 - _SHARE) * stage_2
    times = (f"{steps:,} steps ({pairs} pairs) {steps * mean / 3600:.1f} h" for pairs, steps in SCHEDULES.items())
    return f"{1 / stage_1:.1f} and {1 / stage_2:.1f} steps a second; {', '.join(times)}"


def schedule_cell(precision: str) -> Cell:
    """The command on pairs of half size. ``ms`` is a step of stage 1."""
    return Cell(
        what="d2c train",
        network="d2c",
        patches=4,
        precision=precision,
        measure=lambda machine: _measured(machine, precision),
        seconds=60.0,
    )


def _measured(machine: Machine, precision: str) -> Found:
    if missing := [name for name in NEEDS if importlib.util.find_spec(name) is None]:
        return {"remark": f"not run: not installed: {', '.join(missing)}"}
    command = [sys.executable, "-m", __name__, str(machine.device), precision, *(["small"] if machine.small else [])]
    try:
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return {"remark": f"not finished after {_SECONDS} s"}
    if done.returncode:
        return {"remark": f"failed: {done.stderr.strip().splitlines()[-1][:200]}"}
    seconds = json.loads(done.stdout)
    return {"ms": 1e3 * seconds["stage 1"], "remark": hours(seconds["stage 1"], seconds["stage 2"])}


def make_pairs(folder: Path, count: int, size: tuple[int, int], scale: int) -> None:
    """A pairs folder of random LR images, ``size`` (width, height), and of the same images enlarged."""
    from d2crealsr.store import write_image

    width, height = size
    rng = np.random.default_rng(0)
    rows = ["scene,status,split,group,scale,hr_path,lr_path"]
    for name in ("hr", "lr"):
        (folder / name).mkdir(parents=True)
    for k in range(count):
        lr = rng.integers(0, 256, (height, width, 3), np.uint8)
        for name, image in (("lr", lr), ("hr", lr.repeat(scale, 0).repeat(scale, 1))):
            write_image(folder / name / f"{k:03d}.png", image)
        rows.append(f"{k:03d},accepted,train,{k:03d},{scale},hr/{k:03d}.png,lr/{k:03d}.png")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def train_for_a_while(folder: Path, device: str, precision: str, small: bool) -> dict[str, float]:
    """Seconds of a step of each stage."""
    import torch

    from d2c.d2csr.presets import PRESETS
    from d2c.training.train import Request, train
    from d2crealsr.ui.progress import Reporter

    first, last = (1, dict.fromkeys(_STEPS, 3)) if small else (_FIRST, _STEPS)
    taken: dict[str, float] = {}

    class Clock(Reporter):
        def start(self, what: str, total: int, done: int = 0) -> None:
            self.what = what

        def step(self, done: int, info: str = "") -> None:
            if self.what not in last or done not in (first, last[self.what]):
                return
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            taken[self.what] = time.perf_counter() - taken.get(self.what, 0.0)

    scale = 2 if small else 8
    make_pairs(folder / "pairs", 8, (24, 16) if small else (216, 144), scale)
    preset = PRESETS["tiny" if small else "paper"]
    model = dataclasses.replace(preset.model, scale=scale)
    lengths: dict[str, Any] = {
        "steps": last["stage 1"],
        "steps_convergence": last["stage 2"],
        "validation": 0.0,
        "batch": 4,
    }
    changes = {**lengths, "precision": precision, **({"patch": 12} if small else {})}
    settings = dataclasses.replace(preset.train, **changes)
    where: dict[str, Any] = {"data": folder / "pairs", "out": folder / "run", "device": device}
    request = Request(**where, model=model, train=settings, trust_pairs=True)
    train(request, Clock())
    return {stage: seconds / (last[stage] - first) for stage, seconds in taken.items()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        made = train_for_a_while(Path(temporary), sys.argv[1], sys.argv[2], "small" in sys.argv)
    sys.stdout.write(json.dumps(made) + "\n")
