"""Run tails and convergence net, which work at HR size, in strips of rows. The result equals that of the whole image.

The weight maps of a strip need a few more HR rows of the predictions than the strip has, and the tails need a few more
LR rows of the features (the ``HALO`` of each). Each prediction is made once and kept as long as the next strip needs
it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast

import torch

from d2c.d2csr import convergence
from d2c.networks.base.upscaler import Strip
from d2c.tails import tail
from d2c.tails.compose import Kernel

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from torch import Tensor

    from d2c.d2csr.network import D2CSR
    from d2c.inference.spill import FeatureMap
    from d2c.tails.compose import Kernels
    from d2c.tails.tail import Tail

__all__ = ["strips"]


def strips(model: D2CSR, features: Sequence[FeatureMap], height: int, rows: int) -> Generator[Strip, None, None]:
    """The image from top to bottom, ``rows`` LR rows at a time, from the leaves' features for its whole ``height``."""
    scale, whole = model.config.scale, model.config.scale * height
    ahead = -(-convergence.HALO // scale)
    net = model.convergence
    if not net.conv2.weight.is_contiguous(memory_format=torch.channels_last):
        net = copy.deepcopy(net)  # as training must keep its memory order
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    tails = _Tails(model, features, height)
    kept = tails.predictions(0, 0)
    first, made = 0, 0  # ``kept`` begins at HR row ``first``; LR rows before ``made`` are predicted
    for start in range(0, height, rows):
        with torch.inference_mode():
            stop = min(height, start + rows)
            until = min(height, stop + ahead)
            begin, end = max(0, scale * start - convergence.HALO), min(whole, scale * stop + convergence.HALO)
            kept = tails.predictions(made, until, kept[:, :, :, begin - first :])
            first, made = begin, until
            fused, weights = net(kept[:, :, :, : end - begin], begins=begin == 0, ends=end == whole)
            above = scale * start if begin == 0 else 0  # rows of the previous strip that are made again
            own = slice(above, above + scale * (stop - start))
            shown = kept[0, :, :, scale * start - begin : scale * stop - begin]
            more = {"predictions": shown, "weights": weights[0, :, None, own]}
            strip = Strip(scale * start, fused[0, :, own], more)
        yield strip


class _Tails:
    """All tails of a model, with the kernels that are used for the whole image."""

    def __init__(self, model: D2CSR, features: Sequence[FeatureMap], height: int) -> None:
        self.features, self.height, self.colour = features, height, model.colour_out
        self.tails = [cast("Tail", module) for module in model.tails]
        kind = features[0].read(0, 1).dtype
        with torch.inference_mode():
            self.kernels = [_as(kind, tail.kernels(self.colour)) if tail.scale > 1 else None for tail in self.tails]

    @torch.inference_mode()
    def predictions(self, first: int, last: int, kept: Tensor | None = None) -> Tensor:
        """Predictions ``(1, P, 3, ·, W)``: the HR rows ``kept``, and below them those of LR rows ``first`` to ``last``.

        The values of a pixel are adjacent in memory, as the convolutions of the convergence net need them.
        """
        above, below = max(0, first - tail.HALO), min(self.height, last + tail.HALO)
        scale, like = self.tails[0].scale, self.features[0].read(above, below)
        have = 0 if kept is None else kept.shape[3]
        size = have + scale * (last - first), scale * like.shape[3]
        made = like.new_empty(1, *size, len(self.tails), 3).permute(0, 3, 4, 1, 2)
        if kept is not None:
            made[:, :, :, :have] = kept
        for leaf, feature in enumerate(self.features if last > first else ()):
            rows = feature.read(above, below)
            made[:, leaf, :, have:] = self.tails[leaf].rows(
                rows, first, last, self.height, self.colour, self.kernels[leaf]
            )
            feature.release(above, below)
        return made


def _as(kind: torch.dtype, kernels: Kernels) -> Kernels:
    """Kernels in the number format of the features, converted once for all strips."""
    return {place: Kernel(*(tensor.to(kind) for tensor in kernel)) for place, kernel in kernels.items()}
