"""A course: stage 1 at one rate from one seed, and the last stages of the arms that share it.

With a constant rate, the averaged weights after a step are those of a training that ends there. So stage 1 runs once
and keeps its weights where a milestone of an arm needs them; from each of these a last stage begins. Every training is
a :class:`d2c.comparison.cells.Cell`, which goes on after an interruption.
"""

from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING, Any

from d2c.checkpoints.native import checkpoint_path, load
from d2c.comparison.budget import Budget
from d2c.comparison.cells import Cell, training_pairs
from d2c.comparison.rates import at_rate
from d2c.comparison.worth.measures import best_constants, measured
from d2c.data.hold_out import hold_out
from d2c.device import pick_device
from d2c.errors import ConfigError
from d2c.evaluation.evaluate import FilePairs, is_measurable
from d2c.inference.run import laid_out
from d2c.precision import available_precision
from d2c.training.runfolder import RunFolder
from d2crealsr.store import files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d2c.comparison.cells import Work
    from d2c.comparison.methods import Method
    from d2c.comparison.test_sets import TestSet
    from d2c.comparison.worth.arms import Arm

__all__ = ["Course"]


class Course:
    """One training of stage 1 with what follows it.

    Parameters
    ----------
    family : sequence of Arm
        All arms that share stage 1, so that it keeps what any of them needs.
    milestones : sequence of int
        Steps of all stages together.
    """

    def __init__(self, work: Work, family: Sequence[Arm], milestones: Sequence[int], rate: float, seed: int) -> None:
        self.work, self.rate, self.seed = work, rate, seed
        steps = {arm.split(milestone)[0] for arm in family for milestone in milestones}
        trunk = at_rate(family[0].trunk, rate)
        self.trunk = Cell(self._for(max(steps)), trunk, seed, keep_at=frozenset(steps), validations=1)

    def validated(self, arm: Arm, milestone: int) -> float:
        """PSNR of the arm's result on the validation pairs, with the weights at a milestone that ends stage 1."""
        if not (curve := self._at(arm, milestone).curve(arm.output)):
            raise ConfigError("lr: rates need validation pairs to choose by; give more pairs to train on")
        return curve[-1][1]

    def row(self, arm: Arm, milestone: int, tested: TestSet) -> dict[str, Any]:
        """What an arm has cost until a milestone, and what is measured of it there."""
        cell, (first, own) = self._at(arm, milestone), arm.split(milestone)
        seconds = self.trunk.trained().seconds * first / self.trunk.trained().steps
        if own:
            seconds += cell.trained().seconds
        device = pick_device(self.work.device)
        precision = available_precision(self.work.precision or "fp32", device)
        model = laid_out(load(self._weights(arm, milestone), device=device, network=arm.method.network))
        constants = None
        if arm.method.model.predictions > 1:
            constants = best_constants(model, FilePairs(self._validation(arm.method)), precision)
        costs = {**arm.costs(), "seconds": round(seconds, 1)}
        return {**costs, **measured(model, tested.pixels, arm.output, constants, precision)}

    def keep(self, arm: Arm, milestone: int, path: Path) -> None:
        """Copy the weights of an arm at a milestone to a file."""
        files.write_bytes(path, files.read_bytes(checkpoint_path(self._weights(arm, milestone))))

    def remove(self, arms: Sequence[Arm], milestones: Sequence[int]) -> None:
        """Remove the trainings, which nothing needs once their rows are written."""
        last = [self._last_stage(arm, milestone) for arm in arms if arm.last for milestone in milestones]
        for cell in (*last, self.trunk):
            shutil.rmtree(cell.folder, ignore_errors=True)

    def _at(self, arm: Arm, milestone: int) -> Cell:
        """The trained cell that an arm ends with at a milestone."""
        self.work.interrupts.check()
        self.trunk.trained()
        if arm.last is None:
            return self.trunk
        self.work.interrupts.check()
        cell = self._last_stage(arm, milestone)
        cell.trained()
        return cell

    def _last_stage(self, arm: Arm, milestone: int) -> Cell:
        first, own = arm.split(milestone)
        method = dataclasses.replace(at_rate(arm.method, self.rate), name=f"{arm.name}-{milestone}")
        return Cell(self._for(own), method, self.seed, weights=self._kept(first), validations=1)

    def _weights(self, arm: Arm, milestone: int) -> Path:
        if arm.last is None:
            return self._kept(milestone)
        return self._last_stage(arm, milestone).run

    def _kept(self, step: int) -> Path:
        return RunFolder(self.trunk.run).kept(1, step)

    def _for(self, steps: int) -> Work:
        return dataclasses.replace(self.work, budget=Budget("steps", steps))

    def _validation(self, method: Method) -> Any:
        """The pairs that trainings keep for validation."""
        return hold_out(training_pairs(self.work), method.train.validation, is_measurable)[1]
