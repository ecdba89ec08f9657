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
"""How many HR pixels beyond its own the net reads for one pixel's weights: one a convolution."""


class ConvergenceNet(nn.Module):
    """Three convolutions and a softmax over the predictions.

    The predictions differ by little, so to the first convolution they are P nearly equal pictures.
    ``convergence_gain`` k feeds it ``m + k·(x − m)`` instead of x, m their mean: an invertible linear map of the same
    input, which could be folded into the first convolution's weights. k = 1 is the paper's net.
    (docs/training-evidence.md has what it is worth.)
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

        ``begins`` and ``ends`` say whether the rows given begin and end where the image does. On a side where they do
        not, they are :data:`HALO` rows more than those wanted, and the maps are the whole image's.
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
    """A convolution with zeros beside the columns, and beyond the rows where the image ends with them."""
    return F.conv2d(x, conv.weight, conv.bias, padding=(int(begins or ends), 1))


def _inner_rows(x: Tensor, begins: bool, ends: bool) -> Tensor:
    """Without the row for which there were zeros where the image goes on."""
    return x if begins == ends else x[:, :, :-1] if begins else x[:, :, 1:]
