"""The paper's losses, Eqs. 1 to 7 and 9.

Two things differ from the paper throughout. The norms of Eqs. 1 and 9 are mean squared errors, as in the released code.
Everything is computed at least in float32, even under autocast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

from d2c.device import at_least_fp32, no_autocast
from d2c.tails.chains import chain

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "MIN_SIGMA",
    "DivergenceTerms",
    "attenuation",
    "convergence_loss",
    "divergence_loss",
    "luma",
    "shared_branches",
    "standardise",
    "triplet_loss",
]

MIN_SIGMA = 1e-6
"""Standard deviation of Y, on [0, 1], below which a patch counts as flat. Its texture is then zero."""

_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)  # BT.601, as in the metrics; the offset cancels in Eq. 2


class DivergenceTerms(NamedTuple):
    """Eq. 7 and its two terms, each a scalar: ``total = reconstruction + α · triplet``."""

    reconstruction: Tensor
    triplet: Tensor
    total: Tensor


def luma(rgb: Tensor) -> Tensor:
    """BT.601 Y without its offset, ``(..., H, W)`` of RGB ``(..., 3, H, W)``."""
    red, green, blue = rgb.unbind(dim=-3)
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def standardise(rgb: Tensor) -> Tensor:
    """Eq. 2: subtract the mean of Y and divide by its population standard deviation, for each ``(..., 3, H, W)`` image.

    A flat image (σ below :data:`MIN_SIGMA`) becomes zero, and its gradient too.
    """
    y = luma(rgb)
    y = y - y.mean(dim=(-2, -1), keepdim=True)
    variance = y.square().mean(dim=(-2, -1), keepdim=True)
    textured = variance >= MIN_SIGMA**2
    variance = torch.where(textured, variance, torch.ones_like(variance))  # the derivative of a root at 0 is infinite
    return torch.where(textured, y * variance.rsqrt(), torch.zeros_like(y))


def shared_branches(depth: int, width: int, device: torch.device | None = None) -> Tensor:
    """Number of branches that leaves i and j share, (P, P). At level l, leaf i lies in branch i // C^(L−l)."""
    leaf = torch.arange(width**depth, device=device)
    ancestors = torch.stack([leaf // width ** (depth - layer) for layer in range(1, depth + 1)])  # (L, P)
    shared: Tensor = (ancestors[:, :, None] == ancestors[:, None, :]).sum(dim=0)
    return shared


def attenuation(depth: int, width: int, theta: float, device: torch.device | None = None) -> Tensor:
    """Eq. 6: β, (P, P) float64. Here l = 1 + the number of shared branches, so β = θ for siblings if L = 2."""
    shared = shared_branches(depth, width, device).clamp(max=depth - 1)  # the diagonal is not used
    beta: Tensor = theta ** shared.to(torch.float64)
    return beta


@chain
def triplet_loss(
    predictions: Tensor,
    hr: Tensor,
    *,
    tree: tuple[int, int],
    theta: float,
    margin: float,
    margin_siblings: float | None = None,
) -> Tensor:
    """Eq. 5, a scalar: the β-weighted hinges of all ordered pairs of predictions, averaged over the batch.

    Let R contain the P residuals of one sample over N pixels, and M = R·Rᵀ/N. With the mean of squares as the distance
    d, Eq. 4 becomes ``max(Mᵢᵢ − (Mᵢᵢ − 2Mᵢⱼ + Mⱼⱼ) + margin, 0)``. It needs nothing but M.
    """
    depth, width = tree
    leaves = width**depth
    if leaves == 1:
        return predictions.sum() * 0
    residuals = (standardise(predictions) - standardise(hr)[:, None]).abs()  # Eq. 3: (N, P, H, W)
    flat = residuals.flatten(2)
    gram = flat @ flat.mT / flat.shape[2]  # (N, P, P)
    energy = gram.diagonal(dim1=1, dim2=2)  # (N, P): d(res_j, zero)
    shared = shared_branches(depth, width, predictions.device)
    margins = torch.full_like(gram[0], margin)
    if margin_siblings is not None:
        margins = torch.where(shared == depth - 1, torch.full_like(margins, margin_siblings), margins)
    hinge = F.relu(2 * gram - energy[:, None, :] + margins)
    beta = attenuation(depth, width, theta, predictions.device).to(gram.dtype)
    others = (shared < depth).to(gram.dtype)  # i ≠ j
    loss: Tensor = (hinge * beta * others).sum(dim=(1, 2)).mean() / (leaves * (leaves - 1))
    return loss


def divergence_loss(
    predictions: Tensor,
    hr: Tensor,
    *,
    tree: tuple[int, int],
    alpha: float | Tensor,
    theta: float,
    margin: float,
    margin_siblings: float | None = None,
) -> DivergenceTerms:
    """Eqs. 1 and 7: the loss of the divergence net.

    Parameters
    ----------
    predictions : (N, P, 3, H, W) tensor
        Predictions from :meth:`d2c.D2CSR.diverge`, RGB on [0, 1].
    hr : (N, 3, H, W) tensor
        The true image.
    tree : (int, int)
        Depth L and width C of the tree; P = C^L.
    alpha : float or scalar tensor
        Weight of the triplet. If it is the number 0 the triplet is not computed.
    theta : float
        Attenuation of pairs with common ancestors (Eq. 6).
    margin, margin_siblings : float
        Margin of the triplet (Eq. 4), and the margin for leaves with the same parent if it differs.

    Returns
    -------
    DivergenceTerms
        Reconstruction (mean squared error, summed over the predictions), triplet (0 if α = 0), and total.
    """
    depth, width = tree
    if predictions.ndim != 5 or predictions.shape[1] != width**depth:
        raise ValueError(
            f"predictions: got shape {tuple(predictions.shape)}, expected (N, {width**depth}, 3, H, W) "
            f"for a tree of depth {depth} and width {width}"
        )
    if hr.shape != predictions[:, 0].shape:
        raise ValueError(f"hr: got shape {tuple(hr.shape)}, expected {tuple(predictions[:, 0].shape)}")
    with no_autocast(predictions.device):
        predictions, hr = at_least_fp32(predictions), at_least_fp32(hr)
        reconstruction = _reconstruction(predictions, hr)
        if isinstance(alpha, (int, float)) and alpha == 0:
            return DivergenceTerms(reconstruction, torch.zeros_like(reconstruction), reconstruction)
        triplet = triplet_loss(predictions, hr, tree=tree, theta=theta, margin=margin, margin_siblings=margin_siblings)
        return DivergenceTerms(reconstruction, triplet, reconstruction + alpha * triplet)


@chain
def _reconstruction(predictions: Tensor, hr: Tensor) -> Tensor:
    """Eq. 1 as mean squared errors, summed over the predictions."""
    summed: Tensor = (predictions - hr[:, None]).square().mean(dim=(0, 2, 3, 4)).sum()
    return summed


def convergence_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Eq. 9 as the mean squared error of two ``(N, 3, H, W)`` tensors, a scalar."""
    with no_autocast(sr.device):
        return F.mse_loss(at_least_fp32(sr), at_least_fp32(hr))
