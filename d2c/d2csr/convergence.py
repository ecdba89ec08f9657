"""The convergence net: one weight map for each prediction, and their weighted sum (paper, section 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from d2c.device import at_least_fp32
from d2c.tails.layers import conv3x3

if TYPE_CHECKING:
    from torch import Tensor

    from d2c.d2csr.config import D2CConfig

__all__ = ["HALO", "ConvergenceNet"]

HALO = 3
"""Distance in HR pixels up to which the weights of a pixel depend on its neighbours: one for each convolution."""


class ConvergenceNet(nn.Module):
    """Three convolutions and a softmax over the predictions.

    The predictions differ little, so the input of the first convolution is P nearly equal pictures. With the setting
    ``convergence_gain`` = k, the input is ``m + k·(x − m)`` instead of x, where m is the mean of the predictions. This
    is an invertible linear map, which could be included in the weights of the first convolution. k = 1 is the paper's
    net. docs/training-evidence.md shows the effect of the gain.
    """

    def __init__(self, config: D2CConfig) -> None:
        super().__init__()
        width, bias = config.convergence_features, config.convergence_bias
        self.gain = config.convergence_gain
        self.relu_last = config.convergence_relu
        self.conv1 = conv3x3(3 * config.predictions, width, bias=bias)
        self.conv2 = conv3x3(width, width, bias=bias)
        self.conv3 = conv3x3(width, config.predictions, bias=bias)

    def weights(self, predictions: Tensor, *, begins: bool = True, ends: bool = True) -> Tensor:
        """Weight maps ``(N, P, H, W)`` of predictions ``(N, P, 3, H, W)``; they sum to 1 over P.

        ``begins`` and ``ends`` say whether the given rows begin and end with the image. On a side where they do not,
        the input has :data:`HALO` additional rows, so that the maps equal those of the whole image.
        """
        if self.gain != 1:
            mean = predictions.mean(dim=1, keepdim=True)
            predictions = torch.lerp(mean, predictions, self.gain)
        x = predictions.flatten(1, 2)  # (N, 3P, H, W)
        if self.conv2.weight.is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous(memory_format=torch.channels_last)
        x = _inner_rows(F.relu_(_convolve(self.conv1, x, begins, ends)), begins, ends)
        x = _inner_rows(F.relu_(_convolve(self.conv2, x, begins, ends)), begins, ends)
        x = _inner_rows(_convolve(self.conv3, x, begins, ends), begins, ends)  # (N, P, H, W)
        if self.relu_last:
            x = F.relu(x)
        return at_least_fp32(x).softmax(dim=1)

    def forward(self, predictions: Tensor, *, begins: bool = True, ends: bool = True) -> tuple[Tensor, Tensor]:
        weights = self.weights(predictions, begins=begins, ends=ends)
        first, last = 0 if begins else HALO, predictions.shape[3] - (0 if ends else HALO)
        fused = (predictions[:, :, :, first:last] * weights[:, :, None]).sum(dim=1)  # Eq. 8: (N, 3, H, W)
        return fused, weights


def _convolve(conv: nn.Conv2d, x: Tensor, begins: bool, ends: bool) -> Tensor:
    """A convolution with zero padding of the columns, and of the rows where they begin or end with the image."""
    return F.conv2d(x, conv.weight, conv.bias, padding=(int(begins or ends), 1))


def _inner_rows(x: Tensor, begins: bool, ends: bool) -> Tensor:
    """Remove the row whose zero padding was wrong, on sides where the image continues."""
    return x if begins == ends else x[:, :, :-1] if begins else x[:, :, 1:]
