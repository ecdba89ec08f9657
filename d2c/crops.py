"""Random patches of pairs, cut from memory-mapped images; (seed, stage, step) alone decide what is drawn."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from d2c.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from d2c.cache import Mapped
    from d2c.config import TrainConfig

__all__ = ["Batch", "CropSource", "PixelPair", "to_tensor"]


class Batch(NamedTuple):
    """Patches of a step: ``lr`` (N, 3, p, p) and ``hr`` (N, 3, s·p, s·p), float32 RGB on [0, 1]."""

    lr: Tensor
    hr: Tensor


class PixelPair(NamedTuple):
    """The pixels of one pair, (h, w, 3) and (s·h, s·w, 3), each 8 or 16 bit."""

    name: str
    lr: Mapped
    hr: Mapped


def to_tensor(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Tensor:
    """``(…, H, W, 3)`` integers as ``(…, 3, H, W)`` float32 on [0, 1]."""
    scaled = np.moveaxis(pixels, -1, -3).astype(np.float32, order="C")
    scaled /= np.iinfo(pixels.dtype).max
    return torch.from_numpy(scaled)


@dataclass(frozen=True, kw_only=True)
class CropSource:
    """Draws the batches of a training run. An epoch takes one patch of every pair; a partial batch is dropped."""

    pairs: Sequence[PixelPair]
    scale: int
    config: TrainConfig

    def __post_init__(self) -> None:
        if len(self.pairs) < self.config.batch:
            raise DataError(
                f"{len(self.pairs)} training pairs do not fill a batch of {self.config.batch}; lower --batch"
            )
        for pair in self.pairs:
            height, width = pair.lr.shape[:2]
            if min(height, width) < self.config.patch:
                raise ConfigError(
                    f"{pair.name}: its LR image is {width}x{height}, smaller than a patch of {self.config.patch}; "
                    f"use --patch {min(height, width)} or less"
                )

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch."""
        return len(self.pairs) // self.config.batch

    def batch(self, stage: int, step: int, rank: int = 0, world: int = 1) -> Batch:
        """The patches of a step (steps of a stage count from 0) that process ``rank`` of ``world`` works on."""
        epoch, position = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng((self.config.seed, stage, 0, epoch)).permutation(len(self.pairs))
        share = self.config.batch // world
        first = rank * share
        patches = [
            self._patch(int(order[position * self.config.batch + k]), (self.config.seed, stage, 1, step, k))
            for k in range(first, first + share)
        ]
        lr, hr = zip(*patches, strict=True)
        return Batch(torch.stack(lr), torch.stack(hr))

    def batches(self, stage: int, steps: range, rank: int = 0, world: int = 1) -> Iterator[Batch]:
        """The batches of several steps; the next one is cut while the last is worked on."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="crops") as pool:
            ahead = [pool.submit(self.batch, stage, step, rank, world) for step in steps[:2]]
            for step in steps:
                batch = ahead.pop(0).result()
                if step + 2 in steps:
                    ahead.append(pool.submit(self.batch, stage, step + 2, rank, world))
                yield batch

    def _patch(self, index: int, key: tuple[int, ...]) -> Batch:
        pair, size, scale = self.pairs[index], self.config.patch, self.scale
        rng = np.random.default_rng(key)
        height, width = pair.lr.shape[:2]
        x = int(rng.integers(width - size + 1))  # the last offset included
        y = int(rng.integers(height - size + 1))
        turn = int(rng.integers(8)) if self.config.augment else 0
        lr = pair.lr[y : y + size, x : x + size]
        hr = pair.hr[scale * y : scale * (y + size), scale * x : scale * (x + size)]
        return Batch(to_tensor(_turned(lr, turn)), to_tensor(_turned(hr, turn)))


def _turned(pixels: Mapped, turn: int) -> Mapped:
    """One of the eight flips and transposes of a square image; 0 leaves it."""
    if turn & 1:
        pixels = pixels[:, ::-1]
    if turn & 2:
        pixels = pixels[::-1]
    if turn & 4:
        pixels = pixels.transpose(1, 0, 2)
    return pixels
