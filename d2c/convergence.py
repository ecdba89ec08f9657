"""The convergence net: one weight map for each prediction, and their weighted sum (paper, section 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from d2c.blocks import conv3x3
from d2c.precision import at_least_fp32

if TYPE_CHECKING:
    from torch import Tensor

    from d2c.config import D2CConfig

__all__ = ["ConvergenceNet"]


class ConvergenceNet(nn.Module):
    """Three convolutions and a softmax over the predictions.

    The predictions differ by little, so to the first convolution they are P nearly equal pictures.
    ``convergence_gain`` k feeds it ``m + k·(x − m)`` instead of x, m their mean: an invertible linear map of the same
    input, which could be folded into the first convolution's weights. k = 1 is the paper's net.
    (benchmarks/results/convergence_gain.md has what it is worth.)
    """

    def __init__(self, config: D2CConfig) -> None:
        super().__init__()
        width, bias = config.convergence_features, config.convergence_bias
        self.gain = config.convergence_gain
        self.relu_last = config.convergence_relu
        self.conv1 = conv3x3(3 * config.predictions, width, bias=bias)
        self.conv2 = conv3x3(width, width, bias=bias)
        self.conv3 = conv3x3(width, config.predictions, bias=bias)

    def weights(self, predictions: Tensor) -> Tensor:
        """Weight maps ``(N, P, H, W)`` of predictions ``(N, P, 3, H, W)``; they sum to 1 over P."""
        if self.gain != 1:
            mean = predictions.mean(dim=1, keepdim=True)
            predictions = torch.lerp(mean, predictions, self.gain)
        x = predictions.flatten(1, 2)  # (N, 3P, H, W)
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.conv3(x)  # (N, P, H, W)
        if self.relu_last:
            x = F.relu(x)
        return at_least_fp32(x).softmax(dim=1)

    def forward(self, predictions: Tensor) -> tuple[Tensor, Tensor]:
        weights = self.weights(predictions)
        fused = (predictions * weights[:, :, None]).sum(dim=1)  # Eq. 8: (N, 3, H, W)
        return fused, weights
