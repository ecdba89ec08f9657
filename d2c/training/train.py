"""Train a model in two stages (or jointly) on the pairs of a dataset, resumable at any moment.

What the weights end as depends on the settings, the data and the number format alone: order, crops and augmentation
come from (seed, stage, step), and a state holds all that the next step needs.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias

import torch
import torch.distributed as dist

from d2c.checkpoints import native
from d2c.d2csr.stages import make_stage
from d2c.data.belonging import KEPT, check_belonging
from d2c.data.cache import CachedPairs, ImageCache
from d2c.data.hold_out import grouped, hold_out
from d2c.data.layouts import find_pairs, with_split
from d2c.data.patches import CropSource
from d2c.data.records import fingerprint, pair_records
from d2c.errors import CheckpointError, ConfigError, TrainingError
from d2c.evaluation.evaluate import evaluate, is_measurable, means
from d2c.reporter import Reporter
from d2c.training import resume
from d2c.training.engine import Engine, set_tf32, world
from d2c.training.finite import not_finite
from d2c.training.log import RunLog
from d2c.training.memory import check_step_fits
from d2c.training.pace import Pace
from d2c.training.runfolder import RunFolder, claim
from d2c.training.schedule import learning_rate, stage_steps, triplet_weight
from d2c.training.start import initial_model
from d2crealsr.ui.interrupts import Interrupts

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from torch import Tensor

    from d2c.d2csr.network import D2CSR
    from d2c.data.layouts import Pair
    from d2c.data.patches import Batch
    from d2c.settings.config import D2CConfig, TrainConfig
    from d2c.training.engine import World
    from d2c.training.resume import Settings

__all__ = ["Request", "StageChoice", "train"]

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
    trust_pairs: bool = False
    """Whether pairs are taken for right without a look at their content."""
    convert_profile: bool = False
    """Whether images of another colour profile than sRGB are converted; otherwise they are refused."""
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
        When the loss or the weights are not finite any more; the last state that was finite stays.
    MemoryNeedError
        When a step would not fit into memory; nothing was started.
    """
    with world(request.device) as here, contextlib.ExitStack() as held:
        neighbours = int(os.environ.get("LOCAL_WORLD_SIZE", here.size))
        check_step_fits(request.model, request.train, request.stage, here.device, here.size, neighbours)
        speaker = (reporter or Reporter()) if here.leads else Reporter()
        folder = RunFolder(request.out)
        claim(request.out)
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
        left_out: list[str] = []
        every = find_pairs(request.data, scale=request.model.scale, note=left_out.append)
        pairs = with_split(every, "train", request.data, left_out.append)
        before = None if folder.is_blank() else folder.settings()
        if before is None:
            self._parts(pairs)  # pairs that have no such parts are told before anything is decoded
        cache = ImageCache(request.cache or folder.cache, convert_profile=request.convert_profile)
        cached = cache.images((p for pair in pairs for p in (pair.lr, pair.hr)), reporter.images("decoding"))
        if not request.trust_pairs:
            check_belonging(pairs, CachedPairs(pairs, cached), cached.digests.__getitem__, cache.folder / KEPT)
        self.state = self._state()
        self.saved = (self.state["stage"], self.state["step"]) if self.state else None
        chosen, held_out = resume.parts(before, pairs, cached.digests, lambda: self._parts(pairs))
        records = pair_records(chosen, held_out, cached.digests)
        facts = {"data": fingerprint(records), "weights": self._started_from(before)}
        settings = resume.Settings(request.model, self.config, facts, records)
        if before:
            resume.check_same(before, settings, folder.path)
        self.source = CropSource(pairs=CachedPairs(chosen, cached), scale=request.model.scale, config=self.config)
        self.validation = CachedPairs(held_out, cached)
        if before and self.saved:
            resume.check_lengths(before.train, self.config, self.source.steps_per_epoch, self.saved, folder.path)
        self._settle(before, settings)
        only_stage_2 = request.stage == "2" and not self.state
        model = initial_model(request.model, self.config.seed, request.weights, only_stage_2, reporter.note)
        self.model = model.to(here.device)
        for text in left_out:
            reporter.note(text)
        reporter.note(f"{len(chosen)} pairs to train on, {len(held_out)} to validate on; {here.device}")

    def _parts(self, pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
        """The pairs to train on and those to validate on, in a new run."""
        return hold_out(grouped(pairs, self.config.group_by), self.config.validation, is_measurable)

    def _state(self) -> dict[str, Any] | None:
        """The folder's state; one that an earlier version saved though it was not finite any more is refused."""
        state, best = self.folder.load_state(), self.folder.best
        if state and (found := not_finite({"weights": state["model"], **state["engine"]})):
            options = resume.from_run(self.folder.path, weights=best, stage=state["stage"])
            way = f"start a new run from the best weights with {options}" if best.exists() else "use another --out"
            raise CheckpointError(f"{self.folder.state}: {found} is not finite, so the run cannot go on; {way}")
        return state

    def _started_from(self, before: Settings | None) -> str:
        """Hash of the weights that the run starts from; those of a run that goes on need not be given again."""
        if self.request.weights is not None:
            return native.digest(self.request.weights)
        return before.facts.get("weights", "random") if before and self.state else "random"

    def _settle(self, before: Settings | None, settings: Settings) -> None:
        """Record the settings, which all processes must have, and say which of them are new to the run."""
        if self.here.leads:
            self.folder.settle(settings)
            self.folder.note_start(data=self.request.data, device=str(self.here.device), command=self.request.command)
        self.here.barrier()
        written = self.folder.settings()
        if written is not None and written[:3] != settings[:3]:
            raise ConfigError(
                f"{self.folder.path}: another process of this run has other settings or data "
                f"({resume.settings_changes(written, settings) or 'data'}); start all with the same command"
            )
        if before and (changes := resume.settings_changes(before, settings)):
            self.reporter.note(f"goes on with other settings: {changes}")

    def run(self) -> D2CSR:
        """All stages asked for, from where the folder's state stands."""
        state = self.state
        at_stage, at_step = self.saved or (0, 0)
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
        self.last_batch: tuple[Batch, float] | None = None
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
        batch = type(batch)(*(t.to(self.here.device) for t in batch))
        terms = self.engine.update(batch, lr, alpha)
        self.last_batch = batch, alpha
        if done == self.total:
            self.engine.adopt_average()
        if not (self._every(done, self.config.log_every) or self._validates(done)):
            return {}
        values = self._averaged(terms)
        if not math.isfinite(values["total"]):
            self._stop(done, f"the loss is {values['total']}")
        return {"stage": self.number, "step": done, "epoch": epoch, "lr": lr, "alpha": alpha, **values}

    def _conclude(self, done: int, values: dict[str, Any]) -> None:
        """All that follows a step: validation, its row of the log, its state where that is due or somebody waits."""
        if self._validates(done):
            self._check_finite(done)
            if self.here.leads:
                values = values | self._validate_or_save(done, values)
        if values and self.log is not None:
            self.log.row(values)
        due, asked = self._due(done)
        if due or asked:
            self._check_finite(done)
            self._save(done)
        if asked:
            self.training.reporter.note(f"stage {self.number}, step {done}: saved")
            self.training.interrupts.check()
            raise KeyboardInterrupt  # another process was asked

    def _validate_or_save(self, done: int, values: dict[str, Any]) -> dict[str, float]:
        """The columns of a validation; one that is interrupted comes again, from the state that is saved then."""
        try:
            with self.training.interrupts.held(False):
                return self._validate(done)
        except KeyboardInterrupt:
            self._save(done, unlogged=values)
            raise

    def _validates(self, done: int) -> bool:
        return self._every(done, self.config.validate_every) and bool(self.training.validation)

    def _due(self, done: int) -> tuple[bool, bool]:
        """Whether to save the state (every so many steps, every ten minutes, at the end), and whether to end.

        What is not decided by the number of steps, the processes agree on every few steps.
        """
        late, asked = time.monotonic() - self.saved_at > _SAVE_SECONDS, self.training.interrupts.asked
        if self.here.size > 1:
            agree = self._every(done, _AGREE_EVERY)
            late, asked = (agree and self.here.any(flag) for flag in (late, asked))
        return late or self._every(done, self.config.save_every), asked

    def _every(self, done: int, every: int) -> bool:
        return done == self.total or bool(every and done % every == 0)

    def _averaged(self, terms: dict[str, Tensor]) -> dict[str, float]:
        """The terms as numbers, means over all processes."""
        values = torch.stack([value.float() for value in terms.values()])
        if self.here.size > 1:
            dist.all_reduce(values)
            values /= self.here.size
        return dict(zip(terms, values.tolist(), strict=True))

    def _check_finite(self, done: int) -> None:
        """Stop before anything is saved whose numbers, or whose loss on the last batch, are not finite."""
        found = not_finite({"weights": self.training.model.state_dict(), **self.engine.state()})
        if not found and self.last_batch is not None and not math.isfinite(self.engine.loss(*self.last_batch)):
            found = "the loss with the weights after it"
        if self.here.any(bool(found)):
            self._stop(done, f"{found or 'what another process has'} is not finite")

    def _stop(self, done: int, why: str) -> NoReturn:
        """End a run that has lost its weights, and say what is left of it and how to go on from that."""
        folder, saved, half = self.folder, self.training.saved, self.config.precision == "fp16"
        said = f"stage {self.number}, step {done}: {why}; lower --lr" + (" or use --precision bf16" if half else "")
        weights = folder.path if saved else folder.best
        if not saved and not weights.exists():
            raise TrainingError(f"{said} and run it again; nothing had been saved before")
        kept = (
            f"{folder.last} keeps stage {saved[0]}, step {saved[1]}" if saved else f"{weights} keeps the best weights"
        )
        options = resume.from_run(folder.path, weights=weights, stage=self.number)
        raise TrainingError(f"{said}. {kept}: go on from it with {options} --lr LOWER")

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
                native.save(self.folder.best, model, stage=self.number, step=done)
        psnr = {name: values[f"val_psnr_db_{name}"] for name in ("bicubic", "mean", "fused", "oracle")}
        self.training.reporter.note(
            f"stage {self.number}, step {done}: PSNR-Y (basicsr-y) "
            + ", ".join(f"{name} {value:.3f}" for name, value in psnr.items())
        )
        return values

    def _save(self, done: int, unlogged: dict[str, Any] | None = None) -> None:
        """Save the weights and the state after a step; ``unlogged`` is its row if validation is still to come."""
        self.saved_at = time.monotonic()
        self.training.saved = self.number, done
        if not self.here.leads:
            return
        if self.log is not None:
            self.log.sync()
        with self.engine.averaged_weights():
            native.save(self.folder.last, self.training.model, stage=self.number, step=done)
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
