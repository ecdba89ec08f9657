"""Ways to upscale an image on a card, and their memory, counted on shapes without numbers.

The tree and the strips have their peaks one after the other, and a card is fastest with large operations. Each is
therefore as high as memory allows by itself.
"""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING

import torch

from d2c.d2csr.grouped_tree import leaf_features_side_by_side
from d2c.d2csr.strips import strips
from d2c.d2csr.sweeps import maps_alive
from d2c.inference.spill import FeatureMap
from d2c.networks.base.shapes import AliveBytes, shapes_only
from d2c.networks.base.upscaler import Way

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d2c.d2csr.config import D2CConfig
    from d2c.d2csr.network import D2CSR
    from d2c.settings.config import Precision

__all__ = ["strip_bytes_on_card", "tree_bytes_on_card", "ways_on_card"]

_FLOAT = 4
_LEAST_BAND = 8
_REORDERED, _WORKSPACE = 2, 1.1
"""Layers that cuDNN keeps beside those of a convolution in fp32, in its own order, and growth of all by its workspace.

A prototype took 9.7 GB in fp32, 5.6 GB in TF32 and 3.3 GB in bf16 for the whole of a 432x288 image on an H200. The
model says 9.7, 5.2 and 2.8 GB. Nobody has run this program there.
"""


def ways_on_card(config: D2CConfig, size: tuple[int, int], precision: Precision) -> Iterator[Way]:
    """The whole image at once, then lower strips, then bands in place of the whole tree, then maps in files."""
    width, height = size
    number = _FLOAT if precision in ("fp32", "tf32") else _FLOAT // 2
    one_map, maps = number * config.features * width * height, maps_alive(config)
    kept, heights = config.predictions * one_map, list(_heights(height))
    bands = [
        (band, number * config.features * width * (4 + (precision == "fp32") * _REORDERED) * (band + 4))
        for band in heights
        if band >= min(_LEAST_BAND, height)
    ]
    bodies = [(0, tree_bytes_on_card(config, width, height, precision), kept, 0)]
    bodies += [(band, taken + maps * one_map, kept, 0) for band, taken in bands]
    bodies += [(band, taken, 0, maps * one_map) for band, taken in bands]
    for (band, body, leaves, spilled), strip in itertools.product(bodies, heights):
        taken = strip_bytes_on_card(config, width, strip, precision, several=strip < height)
        yield Way(strip, taken + leaves, body, band, spilled)


def tree_bytes_on_card(config: D2CConfig, width: int, height: int, precision: Precision) -> int:
    """Bytes of the whole tree, whose branches run side by side."""
    features = config.predictions * config.features * width * height
    each, others = _tree(config)
    return _in_precision(each * width * height + others, precision, features)


def strip_bytes_on_card(config: D2CConfig, width: int, strip: int, precision: Precision, *, several: bool) -> int:
    """Bytes of a strip of LR rows, without the leaves' features. ``several`` says whether it is one of several."""
    pixels = width * config.scale * (strip * config.scale + 6)
    in_fp32 = 0 if precision in ("fp32", "tf32") else _FLOAT // 2 * pixels * (2 * config.predictions + 3)
    each, others = _strip(config, several)
    counted = width * (each * strip + others)
    return _in_precision(counted, precision, pixels * config.convergence_features) + in_fp32


def _in_precision(counted: float, precision: Precision, layer: int) -> int:
    """The bytes that were counted in fp32 in another precision. ``layer`` is the number of values of a hidden layer."""
    if precision in ("bf16", "fp16"):
        counted /= 2
    return int(_WORKSPACE * (counted + (_REORDERED * _FLOAT * layer if precision == "fp32" else 0)))


def _heights(height: int) -> Iterator[int]:
    """The height, and lower ones, each at least by a fifth, down to 1."""
    parts, rows = 1, height
    while True:
        yield rows
        if rows == 1:
            return
        parts = max(parts + 1, parts * 5 // 4)
        rows = min(rows - 1, -(-height // parts))


@functools.lru_cache
def _model(config: D2CConfig) -> D2CSR:
    from d2c.d2csr.network import D2CSR

    with shapes_only():
        return D2CSR(config).eval()


@functools.lru_cache
def _tree(config: D2CConfig) -> tuple[float, float]:
    """Bytes of the whole tree in fp32: those for each LR pixel, and others."""
    sides, found = (256, 512), []
    for side in sides:
        with torch.inference_mode(), AliveBytes() as alive:
            leaf_features_side_by_side(_model(config), torch.empty(1, 3, side, side, device="meta"))
        found.append(alive.peak)
    each = (found[1] - found[0]) / (sides[1] ** 2 - sides[0] ** 2)
    return each, found[0] - each * sides[0] ** 2


@functools.lru_cache
def _strip(config: D2CConfig, several: bool) -> tuple[float, float]:
    """Bytes of a strip in fp32, for each pixel of a row: those for each row, and others."""
    width, heights = 4096, (32, 96)
    found = [_strip_of(config, width, rows, several) for rows in heights]
    each = (found[1] - found[0]) / (heights[1] - heights[0])
    return each / width, (found[0] - each * heights[0]) / width


def _strip_of(config: D2CConfig, width: int, strip: int, several: bool) -> int:
    size = (3 * strip if several else strip, width, config.features)
    leaves = [FeatureMap(torch.empty(size, device="meta")) for _ in range(config.predictions)]
    with AliveBytes() as alive:
        for number, _ in enumerate(strips(_model(config), leaves, size[0], strip)):
            if number:  # the second strip keeps rows of the first one
                break
    return int(alive.peak)
