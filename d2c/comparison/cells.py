"""One cell of a comparison: a method, a seed and a training set. It is trained and measured once, and then kept.

A cell has a folder of its own. ``plan.json`` is what was asked for and how many steps that is; ``run`` is the run as
``d2c train`` leaves it, which goes on after an interruption; ``trained.json`` is written when it is finished, and
``measured`` has a table for each test set. All of them are complete or absent, so a comparison may be killed and run
again at any time.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from d2c.comparison import least_squares
from d2c.comparison.budget import Budget, shares, with_lengths
from d2c.comparison.clock import Clock
from d2c.comparison.test_sets import measure, name_of, read_measured, write_measured
from d2c.comparison.training_set import TrainingSet, read_training_set
from d2c.data.layouts import find_pairs, with_split
from d2c.errors import ConfigError
from d2c.evaluation.evaluate import FilePairs
from d2c.inference.bicubic import bicubic
from d2c.inference.run import laid_out, upscale
from d2c.networks import find, network_of
from d2c.precision import available_precision
from d2c.training.log import read_log_rows
from d2c.training.runfolder import RunFolder
from d2c.training.stages import asked_stages
from d2c.training.train import Request, train
from d2crealsr.store import files
from d2crealsr.ui.interrupts import Interrupts
from d2crealsr.ui.progress import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from d2c.comparison.methods import Method
    from d2c.comparison.test_sets import Measured, TestSet
    from d2c.data.layouts import Pair
    from d2c.data.patches import PixelPair
    from d2c.settings.config import Precision

    Outputs: TypeAlias = Callable[[PixelPair], Mapping[str, NDArray[Any]]]

__all__ = ["REMEDY", "Cell", "Trained", "Work", "differing", "training_pairs"]

_PILOT_STEPS = 10


@dataclass(frozen=True, kw_only=True)
class Work:
    """Where and how the cells of a comparison are trained.

    Attributes
    ----------
    data : Path
        Training pairs.
    out : Path
        Folder of the comparison.
    scale : int
    budget : Budget or None
        Length of each training; None for the lengths in the method's settings.
    device : str
        As ``--device`` takes it.
    precision : str or None
        Arithmetic of training and measuring; None for that of the method's settings, and fp32 for measuring.
    known : dict
        The training sets that were read, by data and scale. Copies with other settings share it.
    """

    data: Path
    out: Path
    scale: int
    budget: Budget | None = None
    device: str = "auto"
    precision: Precision | None = None
    reporter: Reporter = field(default_factory=Reporter)
    interrupts: Interrupts = field(default_factory=Interrupts)
    known: dict[tuple[Path, int], TrainingSet] = field(default_factory=dict, repr=False, compare=False)

    def training_set(self) -> TrainingSet:
        """The training pairs with their hashes, which are computed once."""
        place = (self.data, self.scale)
        if place not in self.known:
            self.known[place] = read_training_set(training_pairs(self))
        return self.known[place]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a finished training has cost. Bicubic and the filter have no steps and crops."""

    parameters: int
    multiply_adds: int
    steps: int
    crops: int
    seconds: float


class Cell:
    """A method with one seed (0 for those without) on one training set.

    It may start from a checkpoint (``weights``), and keep weights on the way (``keep_at``, steps of a stage). With a
    budget it is validated some ``validations`` times, and always at the end of a stage.
    """

    def __init__(
        self,
        work: Work,
        method: Method,
        seed: int = 0,
        *,
        weights: Path | None = None,
        keep_at: frozenset[int] = frozenset(),
        validations: int = 10,
    ) -> None:
        if work.precision and method.network and work.precision in find(method.network).precisions:
            train = dataclasses.replace(method.train, precision=work.precision, tf32=False)
            method = dataclasses.replace(method, train=train)
        self.work, self.method, self.seed = work, method, seed
        self.weights, self.keep_at, self.validations = weights, keep_at, validations
        parts = [name_of(work.data), method.name, method.trial, f"seed{seed}" if method.seeded else ""]
        self.folder = work.out / "cells" / "_".join(filter(None, parts))
        self.run = self.folder / "run"
        self._plan, self._trained = self.folder / "plan.json", self.folder / "trained.json"
        self._filter = self.folder / "filter.npz"

    @property
    def is_trained(self) -> bool:
        """Whether the training is finished."""
        return self._trained.exists()

    def trained(self) -> Trained:
        """Train what is left to train; returns what it has cost in all."""
        wanted = self._asked()
        if self._plan.exists():
            self._check_same(_read(self._plan)["asked"], wanted)
        if not self.is_trained:
            self.work.reporter.note(f"{self.folder}:")
            if self.method.network and (asked := self.work.precision) not in (None, self._precision()):
                self.work.reporter.note(f"{self.method.label} is computed in {self._precision()} only, not in {asked}")
            cost = self._train(wanted) if self.method.network else self._fit(wanted)
            files.write_text(self._trained, json.dumps(dataclasses.asdict(cost), indent=2) + "\n")
        return Trained(**_read(self._trained))

    def measured(self, tested: TestSet) -> list[Measured]:
        """The rows of a test set, measured unless that is done already. The cell must be trained."""
        path = self.folder / "measured" / f"{tested.name}-{tested.fingerprint[:12]}.csv"
        if not path.exists():
            reporter = self.work.reporter
            reporter.note(f"{self.folder.name}: measuring on {tested.name}")
            write_measured(path, measure(self.outputs(), tested, reporter.images("measuring")))
        return read_measured(path)

    def outputs(self) -> Outputs:
        """A function that makes the HR images of a pair by this cell's method, by the names of its outputs."""
        scale = self.work.scale
        if self.method.name == "bicubic":
            return lambda pair: {"sr": bicubic(pair.lr, scale * pair.lr.shape[1], scale * pair.lr.shape[0])}
        if not self.method.network:
            fitted = least_squares.LinearFilter.load(self._filter)
            return lambda pair: {"sr": fitted(pair.lr)}
        return self._network_outputs()

    @property
    def main(self) -> str:
        """Name of the output that is the result."""
        return find(self.method.network).main if self.method.network else "sr"

    def curve(self, output: str = "") -> list[tuple[int, float, float]]:
        """The validations of the training: crops seen, PSNR and SSIM of an output, by default the result.

        They are by ``basicsr-y``.
        """
        if not self.method.network:
            return []
        output = output or self.main
        rows, before, points = read_log_rows(self.run / "log.csv"), 0, []
        for k, row in enumerate(rows):
            if k and row["stage"] != rows[k - 1]["stage"]:
                before += int(rows[k - 1]["step"])
            if psnr := row.get(f"val_psnr_db_{output}"):
                crops = (before + int(row["step"])) * self.method.train.batch
                points.append((crops, float(psnr), float(row[f"val_ssim_{output}"])))
        return points

    def _network_outputs(self) -> Outputs:
        from d2c.checkpoints.native import load
        from d2c.device import pick_device

        device = pick_device(self.work.device)
        precision = available_precision(self._precision(), device)
        model = laid_out(load(self.run, device=device, network=self.method.network))
        network, config = network_of(model)
        names = network.outputs(config)

        def made(pair: PixelPair) -> dict[str, NDArray[Any]]:
            images = network.images(upscale(model, pair.lr, name=pair.name, precision=precision), pair.hr)
            return {name: images[name] for name in names}

        return made

    def _precision(self) -> Precision:
        """Arithmetic of measuring: what is asked for, if the network may be computed in it."""
        asked = self.work.precision or "fp32"
        return asked if asked in find(self.method.network).precisions else "fp32"

    def _asked(self) -> dict[str, Any]:
        """What is asked for, as it is compared with the plan of an earlier run."""
        method, work = self.method, self.work
        asked: dict[str, Any] = {"data": name_of(work.data), "scale": work.scale}
        if method.name != "bicubic":  # which is not trained
            asked["pairs"] = work.training_set().digest
        if method.network:
            asked |= {"network": method.network, "stage": method.stage, "budget": str(work.budget or "as the settings")}
            free = {f.name for f in dataclasses.fields(method.train) if f.metadata.get("free")}
            train = {k: v for k, v in dataclasses.asdict(method.train).items() if k not in free}
            asked |= {"model": dataclasses.asdict(method.model), "train": train | {"seed": self.seed}}
        return asked

    def _check_same(self, before: dict[str, Any], wanted: dict[str, Any]) -> None:
        """Raise :class:`ConfigError` if the cell was begun with other settings, or on other pairs.

        Earlier versions kept no digest for networks, so the pairs are compared with the run's record of them as well.
        """
        had, has = ({name: value for name, value in asked.items() if name != "pairs"} for asked in (before, wanted))
        if had != has:
            raise ConfigError(f"{self.folder}: was begun with {differing(had, has)}; {REMEDY}")
        if self.method.name == "bicubic":
            return
        now = wanted["pairs"]
        changes = self.work.training_set().changes_since(RunFolder(self.run).pairs)
        if changes or before.get("pairs", now) != now:
            data = self.work.data
            said = changes or f"their SHA-256 was {before['pairs'][:12]}…, now it is {now[:12]}…"
            raise ConfigError(
                f"{self.folder}: was begun with other training pairs than those of {data}: {said}; "
                "restore the pairs, or give another --out"
            )

    def _fit(self, asked: dict[str, Any]) -> Trained:
        """Fit the filter; for bicubic there is nothing to do."""
        files.write_text(self._plan, json.dumps({"asked": asked}, indent=2) + "\n")
        if self.method.name == "bicubic":
            return Trained(parameters=0, multiply_adds=0, steps=0, crops=0, seconds=0.0)
        began = time.perf_counter()
        pairs = FilePairs(training_pairs(self.work))
        fitted = least_squares.fit(pairs, self.work.scale, self.work.reporter.images("fitting"))
        fitted.save(self._filter)
        seconds = round(time.perf_counter() - began, 1)
        costs = {"parameters": fitted.parameters, "multiply_adds": fitted.multiply_adds}
        return Trained(**costs, steps=0, crops=0, seconds=seconds)

    def _train(self, asked: dict[str, Any]) -> Trained:
        method = self.method
        if not self._plan.exists():
            steps = self._steps() if self.work.budget else 0
            files.write_text(self._plan, json.dumps({"asked": asked, "steps": steps}, indent=2) + "\n")
        settings = self._settings(int(_read(self._plan)["steps"]))
        clock = Clock(self.work.reporter, self.folder / "seconds.json")
        with clock:
            train(self._request(settings, self.run), clock, self.work.interrupts)
        last = {row["stage"]: int(row["step"]) for row in read_log_rows(self.run / "log.csv")}
        steps = sum(last.values())
        return Trained(
            parameters=method.parameters(),
            multiply_adds=method.multiply_adds(),
            steps=steps,
            crops=steps * settings.batch,
            seconds=round(clock.seconds, 1),
        )

    def _settings(self, steps: int) -> Any:
        """The training settings with the seed and, if there is a budget, these steps."""
        method = self.method
        settings = dataclasses.replace(method.train, seed=self.seed)
        if not steps:
            return settings
        settings = with_lengths(find(method.network), settings, method.stage, steps)
        times = min(self.validations, max(2, steps // 10))  # in short trainings some ten steps apart
        often = {"validate_every": max(1, steps // times), "save_every": max(1, steps // 5), "log_every": 50}
        warmup = {"warmup": steps // 50} if method.warmup else {}
        return dataclasses.replace(settings, **often, **warmup)

    def _request(self, settings: Any, out: Path) -> Request:
        work, method = self.work, self.method
        return Request(
            data=work.data,
            out=out,
            model=method.model,
            train=settings,
            network=method.network,
            stage=method.stage,
            device=work.device,
            cache=work.out / "cache",
            weights=self.weights,
            keep_at=self.keep_at,
        )

    def _steps(self) -> int:
        """Steps of the budget. For a budget in seconds, a few steps are timed first, and then undone."""
        budget, batch = self.work.budget, self.method.train.batch
        assert budget is not None
        if budget.kind != "seconds":
            return budget.steps(batch, [])
        pilot = self.folder / "pilot"
        shutil.rmtree(pilot, ignore_errors=True)
        network = find(self.method.network)
        kinds = asked_stages(network, self.method.train, self.method.stage).values()
        lengths = {kind.lengths[0]: _PILOT_STEPS for kind in kinds}
        short = dataclasses.replace(self.method.train, **lengths, validation=0.0, seed=self.seed)
        clock = Clock(self.work.reporter, pilot / "seconds.json")
        with clock:
            train(self._request(short, pilot), clock, self.work.interrupts)
        shutil.rmtree(pilot, ignore_errors=True)
        return budget.steps(batch, clock.medians(), shares(list(kinds)))


def training_pairs(work: Work) -> list[Pair]:
    """The pairs of the training split, those for validation included."""
    return with_split(find_pairs(work.data, scale=work.scale), "train", work.data)


REMEDY = "give the same options, or another --out"


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(files.read_text(path))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); delete its folder to begin it again") from error
    return found


def differing(before: Any, now: Any, name: str = "") -> str:
    """The first difference between two plans, in words."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            if before.get(key) != now.get(key):
                return differing(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    return f"{name} = {before}, now it is {now}"
