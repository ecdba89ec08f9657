"""Schedules as numbers."""

from __future__ import annotations

from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.network import D2CSR
from d2c.d2csr.presets import PRESETS
from d2c.d2csr.stages import ConvergenceStage, DivergenceStage, triplet_weight
from d2c.training.stages import stage_steps


def learning_rate(epoch, config):
    return DivergenceStage(D2CSR(D2CConfig(features=2, groups=1, blocks=1)), config).learning_rate(epoch)


def test_learning_rate_halves():
    paper = PRESETS["paper"].train
    assert [learning_rate(e, paper) for e in (0, 1999, 2000, 3999, 4000)] == [1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5]
    assert learning_rate(10**6, TrainConfig(lr_halve_epochs=0)) == 1e-4


def test_triplet_acts_all_the_time_by_default():
    assert {triplet_weight(epoch, TrainConfig(alpha=0.02)) for epoch in (0, 1, 999, 10**5)} == {0.02}


def test_triplet_of_the_released_code():
    released = PRESETS["released"].train
    acting = [epoch for epoch in range(4000) if triplet_weight(epoch, released)]
    assert acting == [e for e in range(4000) if e > 200 and e % 1000 < 200]
    assert acting[0] == 1000
    assert triplet_weight(1000, released) == 2e-5
    assert triplet_weight(2000, released) == 1e-5


def test_steps_of_a_stage():
    by_epochs = TrainConfig(epochs=3, epochs_convergence=2)
    assert (stage_steps(DivergenceStage, 25, by_epochs), stage_steps(ConvergenceStage, 25, by_epochs)) == (75, 50)
    by_steps = TrainConfig(steps=7, steps_convergence=4)
    assert (stage_steps(DivergenceStage, 25, by_steps), stage_steps(ConvergenceStage, 25, by_steps)) == (7, 4)
