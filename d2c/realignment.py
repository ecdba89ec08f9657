"""Register patches of HR against the network's own predictions, and move them by what is found, during training.

The idea of aligning in training is that of Elezabi et al. (arXiv:2410.05410), who learn a second network for it. Here
one shift for each patch is found by least squares on luma (Lucas and Kanade, 1981), at two pixels for each LR pixel,
where a prediction has all of its detail. A shift is held back where a patch has little texture or the prediction is
poor, and one below :data:`LEAST_LR_PX` is not made at all, so that pairs which are aligned already keep their pixels.

Nothing here depends on values on the host, so a training step with it can be a CUDA graph.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

from d2c.device import at_least_fp32, no_autocast
from d2c.losses import luma

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LEAST_LR_PX", "MARGIN_LR_PX", "MOST_LR_PX", "Realigned", "moved", "realigned", "shift_of"]

MARGIN_LR_PX = 2
"""Margin around a patch of HR within which it can be moved."""

MOST_LR_PX = 1.5
"""Longest shift."""

LEAST_LR_PX = 0.125
"""Shortest shift that is made. Of a longer one, of length L, ``L − LEAST_LR_PX² / L`` is made."""

_ROUNDS = 6
_EXPECTED_LR_PX = 0.5
"""Standard deviation of the shifts that are expected, for each axis."""
_CORRELATED = 9.0
"""Number of pixels over which differences of a smoothed image are about equal."""
_ROUNDING = 1e-6
"""Variance of the rounding to 8 bit, nearly, so that a flat patch does not follow it."""
_SIGMAS = 2.0
"""Standard errors within which a shift is not made; they are added to :data:`LEAST_LR_PX`, as squares."""
_LOBES = 4


class Realigned(NamedTuple):
    """HR ``(N, 3, H, W)`` after its shift, and the mean length of the shifts in HR px, a scalar."""

    hr: Tensor
    length: Tensor


def realigned(sr: Tensor, hr: Tensor) -> Realigned:
    """The part of HR that fits best on a prediction.

    Parameters
    ----------
    sr : (N, 3 or 1, H, W) tensor
        The prediction, on [0, 1]: RGB, or luma alone. It gets no gradient.
    hr : (N, 3, H + 4s, W + 4s) tensor
        HR with a margin of :data:`MARGIN_LR_PX` LR pixels on each side, at s HR pixels each.
    """
    scale = _scale(sr, hr)
    with torch.no_grad(), no_autocast(hr.device):
        sr, hr = at_least_fp32(sr.detach()), at_least_fp32(hr)
        shift, variance = shift_of(sr, hr)
        square = shift.square().sum(dim=1)
        doubtful = (LEAST_LR_PX * scale) ** 2 + _SIGMAS**2 * variance
        length = square.clamp(min=1e-12).sqrt()
        wanted = (length - doubtful / length).clamp(min=0, max=MOST_LR_PX * scale)
        return Realigned(moved(hr, shift * (wanted / length)[:, None], MARGIN_LR_PX * scale), wanted.mean())


def shift_of(sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
    """Where HR has the content minus where the prediction has it, and the variance of this estimate.

    The images are those of :func:`realigned`. They may differ in brightness and contrast. The shift is the most
    probable one if shifts are normally distributed with .5 LR px along each axis, and what remains is noise. It is zero
    if the images differ no less after it, as where a pattern repeats itself.

    Returns
    -------
    (N, 2) tensor and (N,) tensor
        x and y in HR px; the sum of the variances of both in HR px².
    """
    scale = _scale(sr, hr)
    step = max(1, scale // 2)  # HR px of a pixel in which is measured
    template, image = (_smooth(F.avg_pool2d(_plane(x), step)) for x in (sr, hr))
    margin = MARGIN_LR_PX * scale // step
    contrast = _Contrast(template)
    dx, dy = (contrast.taken_out(slopes)[0] for slopes in _slopes(template))
    xx, xy, yy = ((a * b).sum(dim=1) for a, b in ((dx, dx), (dx, dy), (dy, dy)))
    prior = (step / (_EXPECTED_LR_PX * scale)) ** 2
    shift = template.new_zeros(len(template), 2)
    before = torch.full_like(shift[:, 0], math.inf)
    for number in range(_ROUNDS):
        left, factor = contrast.taken_out(_bilinear(image, shift, margin, template.shape[-2:]))
        factor = factor.clamp(min=0)  # images that are not alike give no shift
        noise = _CORRELATED * (left.square().mean(dim=1) + _ROUNDING)
        before = before if number else noise
        held = noise * prior
        a, b, c = factor**2 * xx + held, factor**2 * xy, factor**2 * yy + held
        determinant = a * c - b * b
        by_x, by_y = (
            factor * (slope * left).sum(dim=1) + held * own
            for slope, own in zip((dx, dy), shift.unbind(dim=1), strict=True)
        )
        change = torch.stack([c * by_x - b * by_y, a * by_y - b * by_x], dim=1) / determinant[:, None]
        shift = (shift - change).clamp(-margin, margin)
    better = (noise <= before)[:, None]
    return torch.where(better, shift * step, torch.zeros_like(shift)), noise * (a + c) / determinant * step**2


class _Contrast:
    """Takes out of planes what another brightness and contrast of a template could explain."""

    def __init__(self, template: Tensor) -> None:
        flat = template.flatten(1)
        self.shape = flat - flat.mean(dim=1, keepdim=True)
        self.energy = self.shape.square().sum(dim=1, keepdim=True) + 1e-12

    def taken_out(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """What is left ``(N, pixels)``, and the contrast ``(N,)`` by which the template was multiplied."""
        flat = planes.flatten(1)
        flat = flat - flat.mean(dim=1, keepdim=True)
        factor = (flat * self.shape).sum(dim=1, keepdim=True) / self.energy
        return flat - self.shape * factor, factor[:, 0]


def _scale(sr: Tensor, hr: Tensor) -> int:
    return (hr.shape[-1] - sr.shape[-1]) // (2 * MARGIN_LR_PX)


def moved(hr: Tensor, shift: Tensor, margin: int) -> Tensor:
    """HR without its margin, ``(N, C, H, W)``, read at ``x + shift``: whole pixels, and the rest by Lanczos's kernel.

    The kernel has four lobes on each side and sums to 1. With a whole number of pixels, values are copied.
    """
    for axis in (0, 1):
        hr = _moved_along(hr, shift[:, axis], margin, 3 - axis)
    return hr


def _moved_along(images: Tensor, shift: Tensor, margin: int, dim: int) -> Tensor:
    """Images moved along one axis, and without their margin there."""
    whole = shift.floor()
    taps = torch.arange(1 - _LOBES, _LOBES + 1, device=images.device)
    distance = taps - (shift - whole)[:, None]  # (N, T)
    kernel = torch.sinc(distance) * torch.sinc(distance / _LOBES) * (distance.abs() < _LOBES)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    kernel = torch.where((shift == whole)[:, None], (taps == 0).to(kernel.dtype), kernel)
    last = images.shape[dim] - 1
    places = torch.arange(margin, images.shape[dim] - margin, device=images.device)
    places = places + whole.long()[:, None]  # (N, L)
    shape = [len(images), 1, 1, 1]
    shape[dim] = places.shape[1]
    wanted = list(images.shape)
    wanted[dim] = places.shape[1]
    total = images.new_zeros(wanted)
    for tap, weight in zip(taps.unbind(), kernel.unbind(dim=1), strict=True):
        index = (places + tap).clamp(0, last).view(shape).expand(wanted)
        total = total + weight.view(-1, 1, 1, 1) * images.gather(dim, index)
    return total


def _plane(images: Tensor) -> Tensor:
    """Luma ``(N, 1, H, W)``."""
    return images if images.shape[1] == 1 else luma(images)[:, None]


def _smooth(planes: Tensor) -> Tensor:
    """Planes after a mean over three pixels with the weights 1, 2, 1, along both axes; the border is repeated."""
    for dim in (2, 3):
        size = planes.shape[dim]
        pad = (1, 1, 0, 0) if dim == 3 else (0, 0, 1, 1)
        wide = F.pad(planes, pad, mode="replicate")
        planes = (wide.narrow(dim, 0, size) + 2 * planes + wide.narrow(dim, 2, size)) / 4
    return planes


def _slopes(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences along x and y; the border is repeated."""
    wide = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    return (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) / 2, (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) / 2


def _bilinear(planes: Tensor, shift: Tensor, margin: int, size: torch.Size) -> Tensor:
    """The inner part of planes, of this size, read at ``x + shift``."""
    height, width = planes.shape[-2:]
    y, x = (torch.arange(n, device=planes.device, dtype=planes.dtype) + margin for n in size)
    x, y = x[None, None, :] + shift[:, :1, None], y[None, :, None] + shift[:, 1:, None]
    grid = torch.stack([(2 * x + 1) / width - 1 + 0 * y, (2 * y + 1) / height - 1 + 0 * x], dim=-1)
    return F.grid_sample(planes, grid, mode="bilinear", padding_mode="border", align_corners=False)
