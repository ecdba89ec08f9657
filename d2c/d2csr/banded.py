"""Eq. 9 and its gradients, band by band.

The convergence net works at HR size, and its hidden layers take most of the memory of a training step: at ×8, 600 MB
each for four patches of 96² LR pixels. Its loss is a sum over pixels. A band of rows with a halo can therefore pass
through the net, forward and backward, before the next band is begun. Loss and gradients stay the same. Only the halo is
computed twice, and the data stay in the cache. The predictions receive gradients where the divergence net is trained
through Eq. 9, and else none: it is frozen, or trained by Eq. 7 only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from d2c.d2csr.convergence import HALO
from d2c.device import at_least_fp32, no_autocast
from d2c.tails.siblings import run_side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from d2c.d2csr.convergence import ConvergenceNet

__all__ = ["banded_convergence_loss", "hidden_bytes"]

_CACHE_BYTES = 9 << 20
"""Size of a hidden layer of a band on a CPU. A few of them fit into its last-level cache."""

_DEVICE_BYTES = 1 << 29
"""The same on an accelerator, which needs much work at a time, and where only the memory is a limit."""


def banded_convergence_loss(net: ConvergenceNet, predictions: Tensor, hr: Tensor) -> Tensor:
    """The loss of Eq. 9, a scalar that is differentiable with respect to the predictions and the parameters of the net.

    Parameters
    ----------
    net : ConvergenceNet
        The net to train.
    predictions : (N, P, 3, H, W) tensor
        The predictions to fuse.
    hr : (N, 3, H, W) tensor
        The true images.
    """
    loss: Tensor = _Banded.apply(net, predictions, hr, *net.parameters())  # type: ignore[no-untyped-call]
    return loss


def hidden_bytes(features: int, height: int, width: int, batch: int, device: torch.device) -> int:
    """Size of one hidden layer of the largest band, in bytes of float32."""
    samples, rows = _band(features, height, width, device)
    return min(samples, batch) * min(height, rows + 2 * HALO) * width * 4 * features


class _Banded(torch.autograd.Function):
    """The forward pass computes the loss and all gradients, and keeps the gradients for the backward pass."""

    @staticmethod
    def forward(ctx: Any, net: ConvergenceNet, predictions: Tensor, hr: Tensor, *parameters: Tensor) -> Tensor:
        trained = [p for p in parameters if p.requires_grad]
        back = torch.zeros_like(predictions) if ctx.needs_input_grad[1] else None
        total = torch.zeros((), dtype=at_least_fp32(predictions[:0]).dtype, device=predictions.device)
        sums = [torch.zeros_like(p) for p in trained]
        for samples, first, last in _bands(net, predictions):
            height = predictions.shape[3]
            begins, ends = first == 0, last == height
            halo = slice(max(0, first - HALO), min(height, last + HALO))
            with torch.enable_grad():
                band = predictions[samples, :, :, halo].detach().requires_grad_(back is not None)
                sr, _ = net(band, begins=begins, ends=ends)
                with no_autocast(sr.device):
                    truth = at_least_fp32(hr[samples, :, first:last])
                    loss = (at_least_fp32(sr) - truth).square().sum() / hr.numel()
                sources = [*trained, *([band] if back is not None else [])]
                gradients = list(torch.autograd.grad(loss, sources)) if sources else []
            total += loss.detach()
            if back is not None:
                back[samples, :, :, halo] += gradients.pop()
            for summed, gradient in zip(sums, gradients, strict=True):
                summed += gradient
        found = iter(sums)
        ctx.save_for_backward(back, *(next(found) if p.requires_grad else None for p in parameters))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        back, *scaled = (None if saved is None else gradients[0] * saved for saved in ctx.saved_tensors)
        return None, back, None, *scaled


def _band(features: int, height: int, width: int, device: torch.device) -> tuple[int, int]:
    """Number of samples, and of their rows, that pass through the net at a time."""
    row = 4 * width * features
    as_on_card = device.type != "cpu" or run_side_by_side(device)
    budget = _DEVICE_BYTES if as_on_card else _CACHE_BYTES
    samples = max(1, budget // (row * height))
    rows = height if row * height <= budget else max(4 * HALO, budget // row)
    return samples, rows


def _bands(net: ConvergenceNet, predictions: Tensor) -> Iterator[tuple[slice, int, int]]:
    """The bands: a slice of samples, and the first and the last-plus-one row."""
    batch, _, _, height, width = predictions.shape
    samples, rows = _band(net.conv2.out_channels, height, width, predictions.device)
    count = -(-height // rows)
    for sample in range(0, batch, samples):
        for k in range(count):
            yield slice(sample, sample + samples), height * k // count, height * (k + 1) // count
