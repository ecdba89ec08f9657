"""Eq. 9 and its gradients, band by band.

The convergence net works at HR size, and its hidden layers are most of the memory of a training step: at ×8, 600 MB
each for four patches of 96² LR pixels. Its input takes no gradients (the divergence net is frozen, or trained by Eq. 7
alone) and its loss is a sum over pixels, so a band of rows with a halo can go through the net, forward and backward,
before the next one is begun. Same loss, same gradients, nothing computed twice but the halo; what is worked on stays in
the cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from d2c.d2csr.convergence import HALO
from d2c.device import at_least_fp32, no_autocast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from d2c.d2csr.convergence import ConvergenceNet

__all__ = ["banded_convergence_loss", "hidden_bytes"]

_CACHE_BYTES = 9 << 20
"""A hidden layer of a band on a CPU: a few of them within its last-level cache."""

_DEVICE_BYTES = 1 << 29
"""The same on an accelerator, whose memory is what counts there, and which wants much work at a time."""


def banded_convergence_loss(net: ConvergenceNet, predictions: Tensor, hr: Tensor) -> Tensor:
    """The loss of Eq. 9, a scalar, differentiable in the net's parameters and in nothing else.

    Parameters
    ----------
    net : ConvergenceNet
        What is trained.
    predictions : (N, P, 3, H, W) tensor
        What it fuses; takes no gradient.
    hr : (N, 3, H, W) tensor
        The truth.
    """
    loss: Tensor = _Banded.apply(net, predictions.detach(), hr, *net.parameters())  # type: ignore[no-untyped-call]
    return loss


def hidden_bytes(features: int, height: int, width: int, batch: int, device: torch.device) -> int:
    """Size of one hidden layer of the largest band, in bytes of float32."""
    samples, rows = _band(features, height, width, device)
    return min(samples, batch) * min(height, rows + 2 * HALO) * width * 4 * features


class _Banded(torch.autograd.Function):
    """All gradients are known when the loss is, so they are what is kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, net: ConvergenceNet, predictions: Tensor, hr: Tensor, *parameters: Tensor) -> Tensor:
        trained = [p for p in parameters if p.requires_grad]
        total = torch.zeros((), dtype=at_least_fp32(predictions[:0]).dtype, device=predictions.device)
        sums = [torch.zeros_like(p) for p in trained]
        for samples, first, last in _bands(net, predictions):
            height = predictions.shape[3]
            begins, ends = first == 0, last == height
            halo = slice(max(0, first - HALO), min(height, last + HALO))
            with torch.enable_grad():
                sr, _ = net(predictions[samples, :, :, halo], begins=begins, ends=ends)
                with no_autocast(sr.device):
                    truth = at_least_fp32(hr[samples, :, first:last])
                    loss = (at_least_fp32(sr) - truth).square().sum() / hr.numel()
                gradients = torch.autograd.grad(loss, trained) if trained else ()
            total += loss.detach()
            for summed, gradient in zip(sums, gradients, strict=True):
                summed += gradient
        found = iter(sums)
        ctx.save_for_backward(*(next(found) if p.requires_grad else None for p in parameters))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scaled = (None if saved is None else gradients[0] * saved for saved in ctx.saved_tensors)
        return None, None, None, *scaled


def _band(features: int, height: int, width: int, device: torch.device) -> tuple[int, int]:
    """How many samples and how many of their rows go through the net at once."""
    row = 4 * width * features
    budget = _CACHE_BYTES if device.type == "cpu" else _DEVICE_BYTES
    samples = max(1, budget // (row * height))
    rows = height if row * height <= budget else max(4 * HALO, budget // row)
    return samples, rows


def _bands(net: ConvergenceNet, predictions: Tensor) -> Iterator[tuple[slice, int, int]]:
    """Which samples, and which of their rows from where to where."""
    batch, _, _, height, width = predictions.shape
    samples, rows = _band(net.conv2.out_channels, height, width, predictions.device)
    count = -(-height // rows)
    for sample in range(0, batch, samples):
        for k in range(count):
            yield slice(sample, sample + samples), height * k // count, height * (k + 1) // count
