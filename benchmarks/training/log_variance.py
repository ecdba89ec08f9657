"""A tail that predicts the squared error of a frozen net's picture for each LR px, trained by the likelihood.

It reads the features at LR size from which the net's own tails make the picture, and gives the logarithm s of the
variance. With the mean squared error m of an LR px, its loss is (m exp(−s) + s) / 2, the negative logarithm of a normal
density. The net, and so its picture, stay as they are.

References
----------
Kendall and Gal, "What Uncertainties Do We Need in Bayesian Deep Learning for Computer Vision?", NeurIPS 2017, section
3.1, arXiv:1703.04977.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from d2c.data.patches import to_tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from d2c.d2csr.network import D2CSR

__all__ = ["Sample", "fitted_tail", "log_variance", "sample"]

STEPS, EVERY, BATCH, RATE, HIDDEN = 400, 50, 4, 3e-3, 16
"""Steps of the training, after how many it is validated, images of a step, learning rate, and hidden channels."""


class Sample(NamedTuple):
    """Features ``(1, C, h, w)`` of an image, and the mean squared error ``(h, w)`` of its picture, in 8-bit levels²."""

    features: Tensor
    squares: Tensor


def sample(model: D2CSR, lr: NDArray[Any], error: NDArray[np.floating]) -> Sample:
    """The sample of one image. ``error`` is a root mean square for each LR px."""
    return Sample(_features(model, lr), torch.from_numpy(np.asarray(error, np.float32) ** 2))


def fitted_tail(training: Sequence[Sample], validation: Sequence[Sample]) -> nn.Module:
    """The tail with the least loss on validation, of those after every :data:`EVERY` steps."""
    torch.manual_seed(0)
    channels = training[0].features.shape[1]
    last = nn.Conv2d(HIDDEN, 1, 3, padding=1)
    tail = nn.Sequential(nn.Conv2d(channels, HIDDEN, 3, padding=1), nn.ReLU(), last)
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, float(torch.cat([one.squares.flatten() for one in training]).mean().log()))
    adam, order = torch.optim.Adam(tail.parameters(), lr=RATE), np.random.default_rng(0)
    best, least = {name: tensor.clone() for name, tensor in tail.state_dict().items()}, float("inf")
    for step in range(1, STEPS + 1):
        adam.zero_grad()
        for index in order.choice(len(training), BATCH):
            (_loss(tail, training[index]) / BATCH).backward()
        adam.step()
        if step % EVERY == 0:
            with torch.no_grad():
                found = float(np.mean([float(_loss(tail, one)) for one in validation]))
            if found < least:
                best, least = {name: tensor.clone() for name, tensor in tail.state_dict().items()}, found
    tail.load_state_dict(best)
    return tail


@torch.no_grad()
def log_variance(tail: nn.Module, model: D2CSR, lr: NDArray[Any]) -> NDArray[np.float32]:
    """What a tail predicts for an image, ``(h, w)``."""
    return np.asarray(tail(_features(model, lr))[0, 0].numpy())


@torch.no_grad()
def _features(model: D2CSR, lr: NDArray[Any]) -> Tensor:
    return torch.cat(model.leaf_features(to_tensor(lr)[None]), dim=1)


def _loss(tail: nn.Module, one: Sample) -> Tensor:
    """The loss over an image without the LR px at its border."""
    logarithm, squares = tail(one.features)[0, 0, 1:-1, 1:-1], one.squares[1:-1, 1:-1]
    loss: Tensor = (squares * torch.exp(-logarithm) + logarithm).mean() / 2
    return loss
