"""Run D2C-SR on whole images: the tree in bands of rows, then tails and convergence net in strips.

The result does not depend on the heights of bands and strips, except for rounding (about 1e-7 of the range in float32).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch

from d2c.d2csr.grouped_tree import leaf_features_side_by_side
from d2c.d2csr.on_card import ways_on_card
from d2c.d2csr.strips import strips
from d2c.d2csr.sweeps import leaf_feature_maps, maps_alive, sweeps_in
from d2c.device import autocast_type
from d2c.inference.spill import FeatureMap, FeatureMaps
from d2c.networks.base.upscaler import Upscaler, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path
    from typing import Any

    from torch import Tensor

    from d2c.d2csr.config import D2CConfig
    from d2c.networks.base.entry import Network
    from d2c.networks.base.upscaler import Plan, Strip

__all__ = ["BandUpscaler", "body_bytes", "maps_alive", "strip_bytes"]

_FLOAT = 4
_LAYER_BYTES = 24 << 20
"""Size of a hidden layer of the convergence net in a strip on a CPU. It is small because of the caches."""
_BAND_BYTES = 8 << 20


class BandUpscaler(Upscaler):
    """Makes the result of the whole image in the available memory, with feature maps in files if it is short."""

    def __init__(self, network: Network, config: D2CConfig) -> None:
        super().__init__(network, config)
        self.channels = 3 + 4 * config.predictions  # colours of the result; colours and weight of each prediction

    @property
    def refusal(self) -> str:
        """Always empty, as this class is made for strips."""
        return ""

    def ways(self, size: tuple[int, int], device: torch.device) -> Iterator[Way]:
        """Large strips and bands, then smaller ones; then the same with feature maps in files.

        On a card they begin with the whole image (:mod:`d2c.d2csr.on_card`).
        """
        if device.type == "cuda":
            yield from ways_on_card(self.config, size, self.precision)
            return
        (width, height), config = size, self.config
        layer = _FLOAT * config.convergence_features * width * config.scale**2
        strip = min(height, max(1, _LAYER_BYTES // layer))
        band = min(height, max(8, _BAND_BYTES // (_FLOAT * config.features * width)))
        for spill in (False, True):
            rows = (strip, band)
            while True:
                yield _way(config, size, rows, spill)
                if rows == (1, min(height, 8)):
                    break
                rows = (max(1, rows[0] // 2), max(min(height, 8), rows[1] // 2))

    def parts(self, plan: Plan) -> int:
        """Number of sweeps of the tree and of strips."""
        return sweeps_in(self.config) + super().parts(plan)

    def strips(
        self, model: Any, lr: Tensor, plan: Plan, folder: Path | None, progress: Callable[[], None]
    ) -> Generator[Strip, None, None]:
        """The fused image, with ``predictions`` (P, 3, ·, W) and ``weights`` (P, 1, ·, W)."""
        if plan.band:
            like = torch.empty((), dtype=autocast_type(lr.device) or lr.dtype, device=lr.device)
            maps = FeatureMaps(plan.height, plan.width, self.config.features, like, folder)
            leaves = leaf_feature_maps(model, lr, maps, plan.band, progress)
        else:
            leaves = _whole_tree(model, lr)
            for _ in range(sweeps_in(self.config)):
                progress()
        del lr
        with contextlib.closing(strips(model, leaves, plan.height, plan.strip)) as made:
            yield from made


@torch.inference_mode()
def _whole_tree(model: Any, lr: Tensor) -> list[FeatureMap]:
    """The leaves' feature maps from the tree with its branches side by side, for a card."""
    pixels = leaf_features_side_by_side(model, lr)[0].permute(1, 2, 0)  # (h, w, P·n)
    return [FeatureMap(leaf.contiguous()) for leaf in pixels.chunk(model.config.predictions, dim=2)]


def _way(config: D2CConfig, size: tuple[int, int], rows: tuple[int, int], spill: bool) -> Way:
    width, height = size
    strip, band = rows
    one_map, maps = _FLOAT * config.features * width * height, maps_alive(config)
    body, strips = body_bytes(config, width, band), strip_bytes(config, width, min(height, strip))
    if spill:
        return Way(strip, strips, body, band, maps * one_map)
    return Way(strip, strips + config.predictions * one_map, body + maps * one_map, band)


def body_bytes(config: D2CConfig, width: int, band: int) -> int:
    """Bytes of a band in an attention block: its input, hidden and residual layers, and a copy of one."""
    return _FLOAT * config.features * width * 4 * (band + 4)


def strip_bytes(config: D2CConfig, width: int, strip: int) -> int:
    """Bytes of a strip: predictions (new, kept, scaled), two hidden layers, logits, weights; or a tail's pieces."""
    scale, leaves = config.scale, config.predictions
    hr = width * scale * (strip * scale + 6)
    convergence = hr * (3 * 3 * leaves + 2 * config.convergence_features + 3 * leaves)
    made = width * scale**2 * (strip + 4)
    tail = 2 * config.features * width * (strip + 8) + 3 * made * (3 + 2 * leaves)
    return _FLOAT * max(convergence, tail)
