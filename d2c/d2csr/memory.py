"""Predict the memory of a training step of D2C-SR.

The prediction counts the numbers that exist when a step needs most memory: weights, gradients and Adam's two averages;
the feature maps that convolutions keep for the backward pass, whose number follows from the tree; planes at HR size for
the predictions and their losses; the composed kernels of the tails; and a band of the convergence net. The additional
memory of the allocator and of buffers in convolutions was measured on a CPU (benchmarks/results/memory_train.txt).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import torch

from d2c.d2csr.banded import hidden_bytes
from d2c.d2csr.network import D2CSR
from d2c.networks.base.shapes import shapes_only
from d2c.realignment import MARGIN_LR_PX
from d2c.tails.tail import upscale_factors

if TYPE_CHECKING:
    from d2c.d2csr.config import D2CConfig, TrainConfig

__all__ = ["D2CStepMemory", "Kind", "step_memory"]

Kind: TypeAlias = Literal["stage 1", "stage 2", "joint", "together"]

_FLOAT = 4
_LOSS_PLANES = 20
"""Planes at HR size per prediction: itself, its error, its texture and their gradients, with three channels or one."""

_HIDDEN_LAYERS = 6
"""Memory of a band of the convergence net in hidden layers, including gradients and reordered copies."""

_FUSING_PLANES = 6
"""Planes at HR size per prediction if the divergence net receives no gradients."""

_TOGETHER_PLANES = 12
"""The same if it receives gradients through the convergence net alone: itself, its gradient, and copies of both."""

_ALLOCATOR = 1.3
"""Memory of a step with all gradients, divided by the counted memory: gaps between tensors, copies in convolutions."""

_LIBRARY = 30e6


class D2CStepMemory(NamedTuple):
    """Predicted peak memory of a step in bytes, by purpose. ``total`` is the growth of the process."""

    total: float
    weights: float
    features: float
    predictions: float
    kernels: float
    convergence: float


def step_memory(
    model: D2CConfig, train: TrainConfig, kind: Kind, device: torch.device, processes: int = 1
) -> D2CStepMemory:
    """Peak memory of one process's step, in bytes.

    Parameters
    ----------
    model, train : D2CConfig, TrainConfig
        The settings. ``batch`` is shared by all processes and processed in ``accumulate`` parts.
    kind : str
        ``stage 1``, ``stage 2``, ``joint`` or ``together``.
    device : torch.device
        The device of the process.
    processes : int
        Number of processes that share a batch.
    """
    samples = max(1, train.batch // (processes * train.accumulate))
    lr, side = samples * train.patch**2, train.patch * model.scale
    hr = samples * side**2
    width = _FLOAT if train.precision in ("fp32", "tf32") else _FLOAT / 2
    divergence, convergence = _parameters(model)
    trained = (0 if kind == "stage 2" else divergence) + (0 if kind == "stage 1" else convergence)
    copies = 3 + (train.ema > 0)  # gradients, Adam's two averages, and the moving average of weights
    numbers = divergence + convergence + copies * trained
    fuses = kind == "stage 2"
    each = {"stage 2": _FUSING_PLANES, "together": _TOGETHER_PLANES}.get(kind, _LOSS_PLANES)
    planes = hr * (3 + each * model.predictions)
    if train.realign:  # HR with its margin, beside what is cut from it
        planes += 3 * samples * (side + 2 * MARGIN_LR_PX * model.scale) ** 2
    hidden = (
        0
        if kind == "stage 1"
        else _HIDDEN_LAYERS * hidden_bytes(model.convergence_features, side, side, samples, device)
    )
    if kind == "joint":  # the bands are done before the losses' gradients exist
        hidden = max(0, hidden - _FLOAT * hr * model.predictions * _LOSS_PLANES // 2)
    if kind == "together":  # the bands are done before the kernels' gradients exist
        hidden = max(0, hidden - _FLOAT * _kernel_numbers(model))
    parts = (
        _FLOAT * numbers,
        width * (_passing_maps(model) if fuses else _kept_maps(model)) * model.features * lr,
        _FLOAT * planes,
        _FLOAT * _kernel_numbers(model) * (1 if fuses else 2),
        hidden,
    )
    return D2CStepMemory((1 if fuses else _ALLOCATOR) * sum(parts) + _LIBRARY, *parts)


@functools.lru_cache
def _parameters(model: D2CConfig) -> tuple[int, int]:
    """Number of parameters in the divergence net and in the convergence net."""
    with shapes_only():
        net = D2CSR(model)
    parts = net.divergence_parameters(), net.convergence_parameters()
    return sum(p.numel() for p in parts[0]), sum(p.numel() for p in parts[1])


def _kept_maps(model: D2CConfig) -> int:
    """Number of feature maps that the divergence net keeps for the backward pass.

    These are, for an attention block, its hidden layer, the output of its second convolution and its own output; for a
    group and for a branch, its output; for a leaf, its sums with its ancestors and the input of its tail.
    """
    branch = model.groups * (3 * model.blocks + 1) + 1
    branches = sum(model.width**layer for layer in range(1, model.depth + 1))
    return 1 + int(branches) * branch + model.predictions * (model.depth + 1)


def _passing_maps(model: D2CConfig) -> int:
    """Number of feature maps that exist at the same time without gradients: those of the tree and of one block."""
    return int(sum(model.width**layer for layer in range(model.depth + 1))) + model.predictions + 4


def _kernel_numbers(model: D2CConfig) -> int:
    """Number of values of the composed kernels and their intermediate results, for all tails together."""
    taps = 49 if model.borders == "exact" else 9  # (3 + 2 + 2)² coarse pixels over the nine places
    numbers, block = 0, 1
    for factor in reversed(upscale_factors(model.scale)):
        block *= factor
        numbers += 3 * block**2 * taps * model.features * (factor**2 + 3)
    return numbers * model.predictions
