"""The triplet of Eqs. 2 to 6 with its parts as choices, to measure what each of them is worth.

:func:`d2c.losses.triplet_loss` is the one that trains D2C-SR; with the defaults here it is the same function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch.nn.functional as F

from d2c.losses import attenuation, shared_branches, standardise

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TripletForm", "norm", "triplet_of"]

_LEAST = 1e-12
"""Added to a square before its root is taken, whose derivative at zero is infinite."""


@dataclass(frozen=True, kw_only=True)
class TripletForm:
    """Which parts of the formulas are used."""

    standardised: bool = True
    """Eq. 2: Y, less its mean, divided by its standard deviation. Otherwise RGB as it is."""
    absolute: bool = True
    """Eq. 3: absolute values of the residuals."""
    squared: bool = True
    """Distance d of Eq. 4: the mean of squares. Otherwise its root, the norm as it is printed, divided by √N."""


def triplet_of(
    predictions: Tensor, hr: Tensor, form: TripletForm, *, tree: tuple[int, int], theta: float, margin: float
) -> Tensor:
    """Eq. 5 of ``(N, P, 3, H, W)`` predictions, a scalar, averaged over the batch."""
    depth, width = tree
    leaves = width**depth
    if leaves == 1:
        return predictions.sum() * 0
    sr, truth = (standardise(predictions), standardise(hr)) if form.standardised else (predictions, hr)
    residuals = sr - truth[:, None]
    flat = (residuals.abs() if form.absolute else residuals).flatten(2)  # (N, P, values)
    gram = flat @ flat.mT / flat.shape[2]
    energy = gram.diagonal(dim1=1, dim2=2)
    to_zero, apart = energy[:, :, None], energy[:, :, None] - 2 * gram + energy[:, None, :]
    if not form.squared:
        to_zero, apart = ((d.clamp(min=0) + _LEAST).sqrt() for d in (to_zero, apart))
    hinge = F.relu(to_zero - apart + margin)
    beta = attenuation(depth, width, theta, predictions.device).to(gram.dtype)
    others = (shared_branches(depth, width, predictions.device) < depth).to(gram.dtype)  # i ≠ j
    loss: Tensor = (hinge * beta * others).sum(dim=(1, 2)).mean() / (leaves * (leaves - 1))
    return loss


def norm(difference: Tensor) -> Tensor:
    """The unsquared norm of each sample ``(N, …)`` divided by √(values), averaged over the batch, a scalar."""
    return (difference.flatten(1).square().mean(dim=1) + _LEAST).sqrt().mean()
