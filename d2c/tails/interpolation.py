"""Bicubic interpolation by a whole factor, for networks that begin with an interpolated image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["bicubic_up"]

_A = -0.5
"""Keys' parameter, with which the interpolation is exact for parabolas (doi:10.1109/TASSP.1981.1163711)."""


def bicubic_up(image: Tensor, scale: int) -> Tensor:
    """Enlarge ``(N, C, h, w)`` to ``(N, C, s·h, s·w)`` as Pillow does: Keys' kernel, renormalised along the edges.

    Examples
    --------
    >>> bicubic_up(torch.tensor([[[[0.0, 1.0]]]]), 2)[0, 0, 0]
    tensor([-0.0882,  0.2071,  0.7929,  1.0882])
    """
    kernel = _phases(scale, image)
    n, channels, h, w = image.shape
    taps = (kernel[:, None, :, None] * kernel[None, :, None, :]).flatten(0, 1)[:, None]  # (s², 1, 5, 5)
    planes = F.conv2d(image.reshape(n * channels, 1, h, w), taps, padding=2)
    present = F.conv2d(image.new_ones(1, 1, h, w), taps, padding=2)
    made: Tensor = F.pixel_shuffle(planes / present, scale).squeeze(1).unflatten(0, (n, channels))  # type: ignore[no-untyped-call]
    return made


def _phases(scale: int, like: Tensor) -> Tensor:
    """Weights ``(s, 5)`` of the LR pixels −2 … 2 for each of the s HR pixels in an LR pixel.

    They are computed on the device of ``like``, so that a training step with them can be a CUDA graph.
    """
    centres = (torch.arange(scale, dtype=torch.float64, device=like.device) + 0.5) / scale - 0.5  # in LR pixels
    x = (torch.arange(-2, 3, dtype=torch.float64, device=like.device) - centres[:, None]).abs()
    near = (_A + 2) * x**3 - (_A + 3) * x**2 + 1
    far = _A * x**3 - 5 * _A * x**2 + 8 * _A * x - 4 * _A
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(far))).to(like)
