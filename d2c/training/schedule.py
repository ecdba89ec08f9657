"""What changes with the epoch, as pure functions of it. Epochs count from 0."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from d2c.settings.config import TrainConfig

__all__ = ["learning_rate", "stage_steps", "triplet_weight"]


def learning_rate(epoch: int, config: TrainConfig) -> float:
    """The learning rate: ``lr``, halved after every ``lr_halve_epochs`` epochs of the stage."""
    return config.lr * _halvings(epoch, config.lr_halve_epochs)


def triplet_weight(epoch: int, config: TrainConfig) -> float:
    """α of Eq. 7 in that epoch; 0 while the triplet rests.

    With the released code's numbers (after 200, period 1000, length 200, halved every 2000) it first acts in epoch
    1000, since epochs 0 to 199 come before it may.
    """
    acts = epoch > config.triplet_after
    if config.triplet_period:
        acts = acts and epoch % config.triplet_period < config.triplet_length
    return config.alpha * _halvings(epoch, config.alpha_halve_epochs) if acts else 0.0


def stage_steps(stage: int, steps_per_epoch: int, config: TrainConfig) -> int:
    """Optimiser steps of a stage: ``steps…`` where given, else ``epochs…`` times the steps of an epoch."""
    steps, epochs = (
        (config.steps, config.epochs) if stage == 1 else (config.steps_convergence, config.epochs_convergence)
    )
    return steps or epochs * steps_per_epoch


def _halvings(epoch: int, every: int) -> float:
    return 0.5 ** (epoch // every) if every else 1.0
