"""Counts of a step's operations, made on torch's device ``meta``, which computes nothing."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch

from benchmarks.peers.peer_networks import Factored
from benchmarks.speed.card.reference import FactoredStage
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.network import D2CSR
from d2c.d2csr.stages import ConvergenceStage, DivergenceStage, JointStage
from d2c.networks.base.shapes import MemoryWrites, Multiplications, shapes_only
from d2c.tails.siblings import run_siblings

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2c.networks.base.stage import Stage

__all__ = ["STAGES", "operations", "writes"]

STAGES: dict[str, type[Stage]] = {"stage 1": DivergenceStage, "stage 2": ConvergenceStage, "joint": JointStage}


def _step(kind: str, network: str, patches: int, patch: int) -> Callable[[], None]:
    """Forward and backward pass of a step, with tensors that have shapes alone."""
    config, train = D2CConfig(), TrainConfig()
    with shapes_only():
        model = D2CSR(config) if network == "d2c" else Factored(config)
        stage = STAGES[kind](model, train) if network == "d2c" else FactoredStage(model, train, kind)
        lr, hr = (torch.empty(patches, 3, side, side) for side in (patch, config.scale * patch))
    return lambda: stage(lr, hr, alpha=train.alpha)["total"].backward()


@functools.lru_cache
def operations(kind: str, network: str, patches: int, patch: int = 96) -> float:
    """Multiply-adds of a step, in 10⁹: of the composed form as CUDA runs it (``d2c``), or of the factored form."""
    step = _step(kind, network, patches, patch)
    with run_siblings(side_by_side=True), Multiplications() as counted:
        step()
    return counted.total / 1e9


@functools.lru_cache
def writes(kind: str, network: str) -> int:
    """Operators of forward and backward pass that write memory, at least one launch each."""
    step = _step(kind, network, 4, 96)
    with run_siblings(side_by_side=True), MemoryWrites() as counted:
        step()
    return counted.total
