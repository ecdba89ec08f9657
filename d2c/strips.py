"""Tails and convergence net in strips of rows: all that has HR size, a little at a time, equal to the whole.

A strip's weight maps need a few more HR rows of the predictions than it has itself, and the tails a few more LR rows of
the features (both nets' ``HALO``). Predictions are made once and kept for the next strip as long as it needs them.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple, cast

import torch

from d2c import convergence, tail

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from torch import Tensor

    from d2c.model import D2CSR
    from d2c.spill import FeatureMap
    from d2c.tail import Tail

__all__ = ["Strip", "strips"]


class Strip(NamedTuple):
    """HR rows from ``first`` on: ``fused`` (3, ·, W), ``predictions`` (P, 3, ·, W), ``weights`` (P, ·, W)."""

    first: int
    fused: Tensor
    predictions: Tensor
    weights: Tensor


def strips(model: D2CSR, features: Sequence[FeatureMap], height: int, rows: int) -> Generator[Strip, None, None]:
    """The image from top to bottom, ``rows`` LR rows at a time, from the leaves' features of all its ``height``."""
    scale, whole = model.config.scale, model.config.scale * height
    ahead = -(-convergence.HALO // scale)
    net = copy.deepcopy(model.convergence)  # a copy: what trains goes on in the order that it began in
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    kept: Tensor | None = None
    first, made = 0, 0  # ``kept`` begins at HR row ``first``; LR rows before ``made`` have their predictions
    for start in range(0, height, rows):
        with torch.inference_mode():
            stop = min(height, start + rows)
            until = min(height, stop + ahead)
            if until > made:
                new = _predictions(model, features, made, until, height)
                kept = new if kept is None else torch.cat([kept, new], dim=3)
                made = until
            begin, end = max(0, scale * start - convergence.HALO), min(whole, scale * stop + convergence.HALO)
            kept = cast("Tensor", kept)[:, :, :, begin - first :]
            first = begin
            fused, weights = net(kept[:, :, :, : end - begin], begins=begin == 0, ends=end == whole)
            above = scale * start if begin == 0 else 0  # rows of the strip before, made again
            own = slice(above, above + scale * (stop - start))
            shown = kept[0, :, :, scale * start - begin : scale * stop - begin]
            strip = Strip(scale * start, fused[0, :, own], shown, weights[0, :, own])
        yield strip


def _predictions(model: D2CSR, features: Sequence[FeatureMap], first: int, last: int, height: int) -> Tensor:
    """Predictions ``(1, P, 3, ·, W)`` of LR rows ``first`` to ``last``."""
    above, below = max(0, first - tail.HALO), min(height, last + tail.HALO)
    made = []
    for module, feature in zip(model.tails, features, strict=True):
        rows = feature.read(above, below)
        made.append(cast("Tail", module).rows(rows, first, last, height, model.colour_out))
        feature.release(above, below)
    return torch.stack(made, dim=1)
