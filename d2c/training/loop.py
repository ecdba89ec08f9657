"""The loop over the steps of a stage, with its log, validations and saved states."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from typing import TYPE_CHECKING, NoReturn

import torch
import torch.distributed as dist

from d2c.checkpoints import native
from d2c.device import naming_lack_of_memory
from d2c.errors import MemoryNeedError, MemoryRanOutError, TrainingError
from d2c.evaluation.evaluate import evaluate, is_one_of_many, means
from d2c.training import resume
from d2c.training.agreeing import Agreement
from d2c.training.draws import own_draws, seed_draws
from d2c.training.engine import Engine
from d2c.training.finite import not_finite
from d2c.training.memory import smaller_validation
from d2c.training.pace import Pace
from d2c.training.readings import Readings

if TYPE_CHECKING:
    from typing import Any

    from torch import Tensor

    from d2c.data.patches import Batch
    from d2c.data.travel import RawBatch
    from d2c.training.log import RunLog
    from d2c.training.train import Training

__all__ = ["StageRun"]

_SAVE_SECONDS = 600


class StageRun:
    """One stage of a run: its steps, log, validations and saved states."""

    def __init__(self, training: Training, number: int, state: dict[str, Any] | None, log: RunLog | None) -> None:
        self.training, self.number, self.log = training, number, log
        self.config, self.here, self.folder = training.config, training.here, training.folder
        self.stage = training.network.stages(self.config)[number - 1](training.model, self.config)
        note = training.reporter.note
        self.engine = Engine(self.stage, self.config, self.here.size, graph=training.graph, note=note)
        self.first, self.best = 0, -math.inf
        self.unlogged: dict[str, Any] = {}
        self.readings = Readings(self.here.device)
        self.said = ""
        """The loss of the last row, for the progress line of its step."""
        self.last_batch: tuple[Batch | RawBatch, dict[str, float]] | None = None
        if state is not None:
            with self.folder.taking_up():
                self.engine.restore(state["engine"])
            self.first, self.best, self.unlogged = state["step"], state["best"], state["unlogged"]
        self.agreement = Agreement(self.here, self.first)
        self.total = training.steps(number)
        self.saved_at = time.monotonic()

    def run(self) -> None:
        """Do the remaining steps."""
        training, reporter = self.training, self.training.reporter
        training.model.train()
        reporter.start(f"stage {self.number}", self.total, self.first)
        raw = self.here.device.type == "cuda"  # integers travel faster
        batches = training.source.batches(
            self.number, range(self.first, self.total), self.here.rank, self.here.size, raw=raw
        )
        pace = Pace(self.first, training.network, training.request.model)
        # a step is done with its row and state, or not at all; and whatever follows needs the memory
        with contextlib.closing(self.engine), own_draws(self.here.device), training.interrupts.held():
            if self.unlogged:
                self._conclude(self.first, self.unlogged)
            for done, batch in enumerate(batches, start=self.first + 1):
                with naming_lack_of_memory(functools.partial(self._lack, done)):
                    self._step(done, batch)
                    together = self.here.size > 1  # a loss that is not finite must end all processes at the same step
                    values = self._read(done, wait=together or self._validates(done))
                    self._conclude(done, values)
                reporter.step(done, self.said)
                if note := pace.note(done, self.total + training.steps_after(self.number)):
                    reporter.note(note)
        reporter.finish()

    def _step(self, done: int, batch: Batch | RawBatch) -> None:
        """Do one step, and begin to read its row of the log if one is due."""
        epoch = (done - 1) // self.training.source.steps_per_epoch
        lr, weights = self.stage.scheduled_rate(done, self.total, epoch), self.stage.term_weights(epoch)
        seed_draws(self.here.device, (self.config.seed, self.number, done, self.here.rank))
        if self.stage.before_step(done, self.total):
            self.engine.distribute()
        terms = self.engine.update(batch, lr, weights)
        if self.stage.skips is not None and (problem := self.stage.skips.problem(done)):
            self._stop(done, problem)
        self.readings.launched()
        self.last_batch, self.said = (batch, weights), ""
        if done == self.total:
            self.engine.adopt_average()
        if self._every(done, self.config.log_every) or self._validates(done):
            row = {"stage": self.number, "step": done, "epoch": epoch, "lr": lr, **weights}
            self.readings.add(row, tuple(terms), self._averaged(terms))

    def _read(self, done: int, *, wait: bool) -> dict[str, Any]:
        """Write the rows of earlier steps that have arrived; returns that of this step, empty if there is none yet."""
        found: dict[str, Any] = {}
        for row in self.readings.arrived(wait=wait):
            if not math.isfinite(row["total"]) and self.stage.skips is None:
                self._stop(row["step"], f"the loss is {row['total']}")
            self.said = f"loss {row['total']:.5f}"
            if row["step"] == done:
                found = row
            else:
                self._write(row)
        return found

    def _write(self, row: dict[str, Any]) -> None:
        if row and self.log is not None:
            self.log.row(row)

    def _conclude(self, done: int, values: dict[str, Any]) -> None:
        """Do what follows a step: validation, the row of the log, and saving the state if due or interrupted."""
        if self._validates(done):
            self._check_finite(done)
            with self.here.ending_together():
                if self.here.leads:
                    values = values | self._validate_or_save(done, values)
        if done in self.training.request.keep_at:
            self._keep(done)
        self._write(values)
        due, asked = self._due(done)
        if due or asked:
            self._write(self._read(done, wait=True))
            self._check_finite(done)
            self._save(done)
        if asked:
            self.training.reporter.note(f"stage {self.number}, step {done}: saved")
            self.training.interrupts.check()
            raise KeyboardInterrupt  # another process was interrupted

    def _validate_or_save(self, done: int, values: dict[str, Any]) -> dict[str, float]:
        """The columns of a validation. If it is interrupted or lacks memory, the state is saved and it comes again."""
        try:
            with naming_lack_of_memory(lambda: f"memory ran out on {self.here.device} in the validation"):
                return self._validate(done)
        except KeyboardInterrupt:
            self._save(done, unlogged=values)
            raise
        except (MemoryNeedError, MemoryRanOutError) as error:
            self._save(done, unlogged=values)
            raise type(error)(self._lack_in_validation(done, str(error))) from error

    def _validates(self, done: int) -> bool:
        return self._every(done, self.config.validate_every) and bool(self.training.validation)

    def _due(self, done: int) -> tuple[bool, bool]:
        """Whether to save the state (at regular steps, every ten minutes, at the end), and whether to end.

        Decisions that do not depend on the number of steps alone are agreed on by all processes every few steps.
        """
        flags = time.monotonic() - self.saved_at > _SAVE_SECONDS, self.training.interrupts.asked
        late, asked = self.agreement.on(flags, done, last=done == self.total)
        return late or self._every(done, self.config.save_every), asked

    def _every(self, done: int, every: int) -> bool:
        return done == self.total or bool(every and done % every == 0)

    def _averaged(self, terms: dict[str, Tensor]) -> Tensor:
        """The values of the terms (n,), averaged over all processes."""
        values = torch.stack([value.float() for value in terms.values()])
        if self.here.size > 1:
            dist.all_reduce(values)
            values /= self.here.size
        return values

    def _check_finite(self, done: int) -> None:
        """Stop before saving if a number of the state, or the loss of the last batch, is not finite."""
        found = not_finite({"weights": self.training.model.state_dict(), **self.engine.state()})
        if not found and self._loss_is_lost():
            found = "the loss with the weights after it"
        if self.here.any(bool(found)):
            self._stop(done, f"{found or 'what another process has'} is not finite")

    def _loss_is_lost(self) -> bool:
        """Whether the loss of the last batch is not finite any more. A stage that leaves steps out bears that."""
        if self.last_batch is None or self.stage.skips is not None:
            return False
        return not math.isfinite(self.engine.loss(*self.last_batch))

    def _stop(self, done: int, why: str) -> NoReturn:
        """End a run whose weights are lost, with an error that says what remains and how to resume from it."""
        folder, saved, half = self.folder, self.training.saved, self.config.precision == "fp16"
        said = f"stage {self.number}, step {done}: {why}; lower --lr" + (" or use --precision bf16" if half else "")
        weights = folder.path if saved else folder.best
        if not saved and not weights.exists():
            raise TrainingError(f"{said} and run it again; nothing had been saved before")
        kept = (
            f"{folder.last} keeps stage {saved[0]}, step {saved[1]}" if saved else f"{weights} keeps the best weights"
        )
        options = resume.from_run(folder.path, weights=weights, stage=self.number)
        raise TrainingError(f"{said}. {kept}: resume from it with {options} --lr LOWER")

    def _lack(self, done: int) -> str:
        """What is said when memory ran out in a step: what remains, and what to change."""
        folder, saved = self.folder, self.training.saved
        said = f"stage {self.number}, step {done}: memory ran out on {self.here.device}"
        change = "a lower --batch or --patch, or a higher --accumulate"
        if not saved:
            return f"{said}; nothing had been saved before: run it again with {change}"
        return (
            f"{said}; {folder.last} keeps stage {saved[0]}, step {saved[1]}: close other programs there and give the "
            f"same command again, or start a new run from its weights, with {change}: "
            f"{resume.from_run(folder.path, stage=self.number)}"
        )

    def _lack_in_validation(self, done: int, why: str) -> str:
        """What is said when a validation lacks memory: that the step before it is saved, and what to change."""
        smaller = smaller_validation(outside=self.training.request.validate_on is not None)
        return (
            f"stage {self.number}, step {done}: {why}; {self.folder.last} keeps this step: close other programs and "
            f"give the same command again, or start a new run from its weights, with {smaller}: "
            f"{resume.from_run(self.folder.path, stage=self.number)}"
        )

    def _validate(self, done: int) -> dict[str, float]:
        """Measure on the validation part, keep the best weights, and return the columns of the log."""
        training, model = self.training, self.training.model
        with self.engine.averaged_weights():
            model.eval()
            with training.interrupts.held(False):  # but not while weights are exchanged or written
                measured = means(evaluate(model, training.validation))
            model.train()
            values = {f"val_psnr_db_{row.method}": row.psnr_db for row in measured}
            values |= {f"val_ssim_{row.method}": row.ssim for row in measured}
            score = values["val_psnr_db_" + (self.stage.judged_by or training.network.main)]
            if score > self.best:
                native.save(self.folder.best, model, stage=self.number, step=done)
                self.best = score  # a state with this number must not be saved without the weights
        psnr = [f"{row.method} {row.psnr_db:.3f}" for row in measured if not is_one_of_many(row.method)]
        training.reporter.note(f"stage {self.number}, step {done}: PSNR-Y (basicsr-y) {', '.join(psnr)}")
        return values

    def _keep(self, done: int) -> None:
        """Keep the weights after a step, or their moving average, which they would have if the stage ended here."""
        self._check_finite(done)
        if self.here.leads:
            with self.engine.averaged_weights():
                native.save(self.folder.kept(self.number, done), self.training.model, stage=self.number, step=done)

    def _save(self, done: int, unlogged: dict[str, Any] | None = None) -> None:
        """Save the weights and the state after a step. ``unlogged`` is its row if validation is still to be done."""
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
