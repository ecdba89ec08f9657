"""Train a model in two stages (or jointly) on the pairs of a dataset, resumable at any moment.

What the weights end as depends on the settings, the data and the number format alone: order, crops and augmentation
come from (seed, stage, step), and a state holds all that the next step needs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
import torch.distributed as dist

from d2c import checkpoint
from d2c.cache import ImageCache
from d2c.crops import CropSource, PixelPair
from d2c.engine import Engine, set_tf32, world
from d2c.errors import ConfigError, TrainingError
from d2c.evaluate import evaluate, means
from d2c.interrupts import Interrupts
from d2c.layouts import find_pairs, with_split
from d2c.memory_train import check_step_fits
from d2c.model import D2CSR
from d2c.pace import Pace
from d2c.reporter import Reporter
from d2c.runfolder import RunFolder
from d2c.runlog import RunLog
from d2c.schedule import learning_rate, stage_steps, triplet_weight
from d2c.stages import make_stage
from d2c.validation import hold_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from torch import Tensor

    from d2c.config import D2CConfig, TrainConfig
    from d2c.crops import Batch
    from d2c.engine import World
    from d2c.layouts import Pair

__all__ = ["Request", "StageChoice", "fingerprint", "train"]

StageChoice: TypeAlias = Literal["1", "2", "both"]

_SAVE_SECONDS = 600

_AGREE_EVERY = 10
"""Steps after which several processes agree on whether to end; each time costs them a wait for each other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to train on what, and where; nothing here changes the weights but ``data`` and ``weights``."""

    data: Path
    out: Path
    model: D2CConfig
    train: TrainConfig
    stage: StageChoice = "both"
    device: str = "auto"
    cache: Path | None = None
    """Where decoded images are kept; by default in ``out``."""
    weights: Path | None = None
    """A checkpoint to start from, instead of random weights."""
    tensorboard: bool = False
    command: tuple[str, ...] = ()
    """What was typed, for the run's report."""


def train(request: Request, reporter: Reporter | None = None, interrupts: Interrupts | None = None) -> D2CSR:
    """Train, or go on with an interrupted run of the same ``out`` folder; returns the model, on its device.

    With ``interrupts`` opened, a signal lets the step under way end, saves the state and raises Interrupted.

    Raises
    ------
    DataError, ConfigError
        When the data cannot be trained on, or the folder holds a run with other settings.
    TrainingError
        When the loss is not finite any more.
    MemoryNeedError
        When a step would not fit into memory; nothing was started.
    """
    with world(request.device) as here, contextlib.ExitStack() as held:
        neighbours = int(os.environ.get("LOCAL_WORLD_SIZE", here.size))
        check_step_fits(request.model, request.train, request.stage, here.device, here.size, neighbours)
        speaker = (reporter or Reporter()) if here.leads else Reporter()
        folder = RunFolder(request.out)
        if here.leads:
            held.enter_context(folder.lock())
        if here.device.type == "cuda":
            set_tf32(request.train.tf32)
        return _Training(request, folder, here, speaker, interrupts or Interrupts()).run()


class _Training:
    """One process of a run."""

    def __init__(
        self, request: Request, folder: RunFolder, here: World, reporter: Reporter, interrupts: Interrupts
    ) -> None:
        self.request, self.folder, self.here, self.reporter = request, folder, here, reporter
        self.interrupts = interrupts
        self.config = request.train
        pairs = with_split(find_pairs(request.data, scale=request.model.scale), "train", request.data)
        chosen, held_out = hold_out(pairs, self.config.validation)
        cache = ImageCache(request.cache or folder.cache)
        mapped = cache.images((p for pair in pairs for p in (pair.lr, pair.hr)), reporter.images("decoding"))
        self.source = CropSource(pairs=_pixels(chosen, mapped), scale=request.model.scale, config=self.config)
        self.validation = _pixels(held_out, mapped)
        facts = {
            "data": fingerprint(chosen, held_out, {path: digest for path, (digest, _) in mapped.items()}),
            "weights": "random" if request.weights is None else checkpoint.digest(request.weights),
        }
        folder.settle(request.model, self.config, facts, write=here.leads)
        if here.leads:
            folder.note_start(data=request.data, device=str(here.device), command=request.command)
        here.barrier()
        folder.settle(request.model, self.config, facts, write=False)
        self.model = self._initial_model().to(here.device)
        reporter.note(f"{len(chosen)} pairs to train on, {len(held_out)} to validate on; {here.device}")

    def _initial_model(self) -> D2CSR:
        """Random weights, or those of a checkpoint; its convergence net only where that has the same structure."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            model = D2CSR(self.request.model)
        if self.request.weights is None:
            return model
        start = checkpoint.load(self.request.weights)
        differs = [
            f.name
            for f in dataclasses.fields(model.config)
            if getattr(start.config, f.name) != getattr(model.config, f.name)
        ]
        for name in differs:
            if not name.startswith("convergence_"):
                got, expected = getattr(start.config, name), getattr(model.config, name)
                option = "--" + name.replace("_", "-")
                raise ConfigError(f"{self.request.weights}: has {name} = {got}, expected {expected}; change {option}")
        weights = start.state_dict()
        if differs:
            self.reporter.note(f"weights: {differs[0]} differs, so the convergence net starts at random")
            weights |= {k: v for k, v in model.state_dict().items() if k.startswith("convergence.")}
        model.load_state_dict(weights, strict=True)
        return model

    def run(self) -> D2CSR:
        """All stages asked for, from where the folder's state stands."""
        state = self.folder.load_state()
        at_stage, at_step = (state["stage"], state["step"]) if state else (0, 0)
        if state:
            with self.folder.taking_up():
                self.model.load_state_dict(state["model"])
            at_step -= bool(state["unlogged"])  # that step is not concluded: it has no row yet
        log = None
        if self.here.leads:
            tensorboard = self.folder.tensorboard if self.request.tensorboard else None
            log = RunLog(
                self.folder.log, self.request.model.predictions, stage=at_stage, step=at_step, tensorboard=tensorboard
            )
        for number in self._stages(at_stage, at_step):
            resumed = state if number == at_stage else None
            _StageRun(self, number, resumed, log).run()
        if log is not None:
            log.close()
        self.here.barrier()
        return self.model.eval()

    def _stages(self, at_stage: int, at_step: int) -> list[int]:
        """Numbers of the stages that are asked for and not done."""
        asked = {"1": [1], "2": [2], "both": [1] if self.config.joint else [1, 2]}[self.request.stage]
        if self.config.joint and 2 in asked:
            raise ConfigError("stage: a joint run has stage 1 only, got 2; change --stage")
        done = at_stage if at_step >= self.steps(at_stage) else at_stage - 1
        if asked == [2] and done < 1 and self.request.weights is None:
            raise ConfigError(
                f"stage: {self.folder.path} holds no finished stage 1, which stage 2 needs; "
                "run it with --stage 1 first, or give --weights"
            )
        return [number for number in asked if number > done]

    def steps(self, number: int) -> int:
        """Steps of a stage."""
        return stage_steps(number, self.source.steps_per_epoch, self.config)

    def steps_after(self, number: int) -> int:
        """Steps of the stages that will follow this one."""
        follows = number == 1 and self.request.stage == "both" and not self.config.joint
        return self.steps(2) if follows else 0


class _StageRun:
    """One stage of a run: the loop, its log, its validations and its saved states."""

    def __init__(self, training: _Training, number: int, state: dict[str, Any] | None, log: RunLog | None) -> None:
        self.training, self.number, self.log = training, number, log
        self.config, self.here, self.folder = training.config, training.here, training.folder
        self.engine = Engine(make_stage(number, training.model, self.config), self.config, self.here.size)
        self.first, self.best = 0, -math.inf
        self.unlogged: dict[str, Any] = {}
        if state is not None:
            with self.folder.taking_up():
                self.engine.restore(state["engine"])
            self.first, self.best, self.unlogged = state["step"], state["best"], state["unlogged"]
        self.total = training.steps(number)
        self.saved_at = time.monotonic()

    def run(self) -> None:
        """Do the steps that are left."""
        training, reporter = self.training, self.training.reporter
        training.model.train()
        reporter.start(f"stage {self.number}", self.total, self.first)
        batches = training.source.batches(self.number, range(self.first, self.total), self.here.rank, self.here.size)
        pace = Pace(self.first)
        with training.interrupts.held():  # a step is done whole, with its row and what is saved, or not at all
            if self.unlogged:
                self._conclude(self.first, self.unlogged)
            for done, batch in enumerate(batches, start=self.first + 1):
                values = self._step(done, batch)
                self._conclude(done, values)
                reporter.step(done, f"loss {values['total']:.5f}" if values else "")
                if note := pace.note(done, self.total + training.steps_after(self.number)):
                    reporter.note(note)
        reporter.finish()

    def _step(self, done: int, batch: Batch) -> dict[str, Any]:
        """One step; returns its row of the log, empty where none is due."""
        epoch = (done - 1) // self.training.source.steps_per_epoch
        lr, alpha = learning_rate(epoch, self.config), triplet_weight(epoch, self.config)
        terms = self.engine.update(type(batch)(*(t.to(self.here.device) for t in batch)), lr, alpha)
        if done == self.total:
            self.engine.adopt_average()
        if not (self._every(done, self.config.log_every) or self._validates(done)):
            return {}
        values = self._averaged(terms)
        self._check_finite(values, done)
        return {"stage": self.number, "step": done, "epoch": epoch, "lr": lr, "alpha": alpha, **values}

    def _conclude(self, done: int, values: dict[str, Any]) -> None:
        """All that follows a step: validation, its row of the log, its state where that is due or somebody waits."""
        if self._validates(done) and self.here.leads:
            try:
                with self.training.interrupts.held(False):
                    values = values | self._validate(done)
            except KeyboardInterrupt:
                self._save(done, unlogged=values)
                raise
        if values and self.log is not None:
            self.log.row(values)
        asked = self._asked(done)
        if self._due(done) or asked:
            self._save(done)
        if asked:
            self.training.reporter.note(f"stage {self.number}, step {done}: saved")
            self.training.interrupts.check()
            raise KeyboardInterrupt  # another process was asked

    def _validates(self, done: int) -> bool:
        return self._every(done, self.config.validate_every) and bool(self.training.validation)

    def _asked(self, done: int) -> bool:
        """Whether any of the processes was asked to end; they agree on it every few steps."""
        asked = self.training.interrupts.asked
        if self.here.size == 1 or not self._every(done, _AGREE_EVERY):
            return asked and self.here.size == 1
        flag = torch.tensor(int(asked), device=self.here.device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def _every(self, done: int, every: int) -> bool:
        return done == self.total or bool(every and done % every == 0)

    def _averaged(self, terms: dict[str, Tensor]) -> dict[str, float]:
        """The terms as numbers, means over all processes."""
        values = torch.stack([value.float() for value in terms.values()])
        if self.here.size > 1:
            dist.all_reduce(values)
            values /= self.here.size
        return dict(zip(terms, values.tolist(), strict=True))

    def _check_finite(self, values: dict[str, Any], done: int) -> None:
        if not math.isfinite(values["total"]):
            raise TrainingError(
                f"stage {self.number}, step {done}: the loss is {values['total']}; lower --lr, or train in fp32 or bf16"
            )

    def _validate(self, done: int) -> dict[str, float]:
        """Measure on the validation part, keep the best weights, return the log's columns."""
        model = self.training.model
        with self.engine.averaged_weights():
            model.eval()
            measured = means(evaluate(model, self.training.validation))
            model.train()
            values = {f"val_psnr_db_{row.method}": row.psnr_db for row in measured}
            values |= {f"val_ssim_{row.method}": row.ssim for row in measured}
            score = values["val_psnr_db_" + ("mean" if self.number == 1 and not self.config.joint else "fused")]
            if score > self.best:
                self.best = score
                checkpoint.save(self.folder.best, model, stage=self.number, step=done)
        psnr = {name: values[f"val_psnr_db_{name}"] for name in ("bicubic", "mean", "fused", "oracle")}
        self.training.reporter.note(
            f"stage {self.number}, step {done}: PSNR-Y (basicsr-y) "
            + ", ".join(f"{name} {value:.3f}" for name, value in psnr.items())
        )
        return values

    def _due(self, done: int) -> bool:
        """Whether to save the state: every so many steps, every ten minutes, and at the end."""
        return self._every(done, self.config.save_every) or time.monotonic() - self.saved_at > _SAVE_SECONDS

    def _save(self, done: int, unlogged: dict[str, Any] | None = None) -> None:
        """Save the weights and the state after a step; ``unlogged`` is its row if validation is still to come."""
        if not self.here.leads:
            return
        if self.log is not None:
            self.log.sync()
        with self.engine.averaged_weights():
            checkpoint.save(self.folder.last, self.training.model, stage=self.number, step=done)
        self.folder.save_state(
            {
                "stage": self.number,
                "step": done,
                "best": self.best,
                "unlogged": unlogged or {},
                "model": self.training.model.state_dict(),
                "engine": self.engine.state(),
            }
        )
        self.saved_at = time.monotonic()


def _pixels(pairs: Sequence[Pair], mapped: dict[Path, Any]) -> list[PixelPair]:
    return [PixelPair(pair.name, mapped[pair.lr][1], mapped[pair.hr][1]) for pair in pairs]


def fingerprint(chosen: Sequence[Pair], held_out: Sequence[Pair], digests: Mapping[Path, str]) -> str:
    """SHA-256 over the names, parts and contents of the pairs: what training sees of a dataset.

    ``digests`` are the SHA-256 of the image files.
    """
    lines = [
        f"{part} {pair.name} {digests[pair.lr]} {digests[pair.hr]}"
        for part, pairs in (("train", chosen), ("validation", held_out))
        for pair in pairs
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
