"""Compose linear tails by their responses to impulses, in a few large operations.

The kernel of a linear tail is what the tail makes of an image with a single 1. The responses to one such image for each
feature channel, of all tails side by side, take one convolution and one PixelShuffle a step. This is several times the
arithmetic of :mod:`d2c.tails.compose`, and a small part of its number of operations, which is what a GPU waits for.
Only the kernel for the inside of an image is made; :mod:`d2c.tails.frame` makes what lies along its edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

from d2c.tails.compose import Kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from d2c.tails.compose import Step

__all__ = ["compose_by_impulses"]


def compose_by_impulses(steps: Sequence[Step], weight: Tensor, bias: Tensor) -> Kernel:
    """The kernels of P tails for pixels inside an image, as one grouped convolution with a group for each tail.

    Parameters
    ----------
    steps : sequence of Step
        The steps of the upscale modules, from LR upwards; at least one.
    weight, bias : (P, 3, n, 3, 3) and (P, 3) tensors
        The final convolutions, at HR size.

    Returns
    -------
    Kernel
        ``weight`` (P·3·s², n, 5, 5) and ``bias`` (P·3·s²,), differentiable with respect to all parameters.
    """
    tails = len(weight)
    first, *others = steps
    scale = first.factor
    # 1. The first convolution's response to an impulse is its weights, read from the last to the first: n images
    #    (P·f²·n, 3, 3). Its response to a zero image is its bias, shown here on 3×3 LR pixels.
    response = first.weight.flip(3, 4).permute(2, 0, 1, 3, 4).flatten(1, 2)
    constant = first.bias.flatten()[None, :, None, None].expand(-1, -1, 3, 3)
    # 2. Every further convolution widens the response by a pixel on each side. On the constant image only those pixels
    #    are kept that no edge reaches.
    for factor, weights, biases in [*others, (1, weight, bias)]:
        kernel = weights.flatten(0, 1)
        response = F.conv2d(F.pixel_shuffle(response, scale), kernel, padding=2, groups=tails)
        constant = F.conv2d(F.pixel_shuffle(constant, scale), kernel, biases.flatten(), groups=tails)
        scale = factor
    side = 1
    for step in steps:
        side *= step.factor
    # 3. Blocks of s×s HR pixels become channels: five blocks a side for the weights, the middle one for the bias.
    wide, inner = (5 * side - response.shape[3]) // 2, (constant.shape[3] - side) // 2
    blocks = F.pixel_unshuffle(F.pad(response, (wide, wide, wide, wide)), side)  # (n, P·3·s², 5, 5)
    middle = constant[:, :, inner : inner + side, inner : inner + side]
    return Kernel(blocks.flip(2, 3).transpose(0, 1), middle.flatten())
