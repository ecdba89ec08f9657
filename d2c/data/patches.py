"""Random patches of pairs, cut from memory-mapped images. They depend only on (seed, stage, step)."""

from __future__ import annotations

import functools
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from d2c.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from d2c.data.cache import Mapped
    from d2c.data.mixture import Mixture
    from d2c.data.travel import RawBatch
    from d2c.settings.config import TrainSettings

__all__ = ["Batch", "CropSource", "PixelPair", "draw_patch", "order_of", "to_tensor", "write_patch"]


_AHEAD, _AHEAD_RAW = 2, 6
"""Number of batches that are cut before they are needed. Raw ones have a quarter of the bytes."""

_THREADS = 3
"""Threads that cut raw batches."""


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
    """Draws the batches of a training run. An epoch uses one patch of every pair; an incomplete batch is dropped.

    With a mixture, pairs are used as that says, and an epoch is only a number of steps.
    """

    pairs: Sequence[PixelPair]
    scale: int
    config: TrainSettings
    mixture: Mixture | None = None

    def __post_init__(self) -> None:
        if len(self.pairs) < self.config.batch:
            raise DataError(
                f"{len(self.pairs)} training pairs do not fill a batch of {self.config.batch}; lower --batch"
            )
        for pair in self.pairs:
            height, width = pair.lr.shape[:2]
            if pair.hr.shape[:2] != (self.scale * height, self.scale * width):  # replaced after its size was read
                raise DataError(
                    f"{pair.name}: its HR image is {pair.hr.shape[1]}x{pair.hr.shape[0]}, expected {self.scale} times "
                    f"the LR image's {width}x{height}; it was replaced meanwhile: run the command again"
                )
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
        """The patches of a step for process ``rank`` of ``world``. The steps of a stage are counted from 0.

        Each patch is written directly to its place in the batch.
        """
        share = self.config.batch // world
        first = rank * share
        chosen = self._chosen(stage, step)[first : first + share]
        size = self.config.patch
        batch = Batch(*(torch.empty(share, 3, side, side) for side in (size, self.scale * size)))
        for k, place in enumerate(chosen):
            lr, hr, turn = self.draw(place, (self.config.seed, stage, 1, step, first + k))
            write_patch(lr, turn, batch.lr[k])
            write_patch(hr, turn, batch.hr[k])
        return batch

    def raw_batch(self, stage: int, step: int, rank: int = 0, world: int = 1) -> RawBatch:
        """The same patches as :meth:`batch`, as the integers of the images."""
        from d2c.data.travel import empty_batch, put

        share = self.config.batch // world
        first = rank * share
        raw = empty_batch(share, self.config.patch, self.scale, wide=self._wide)
        for k, place in enumerate(self._chosen(stage, step)[first : first + share]):
            put(raw, k, *self.draw(place, (self.config.seed, stage, 1, step, first + k)))
        return raw

    @functools.cached_property
    def _wide(self) -> bool:
        """Whether any image has 16 bit."""
        return any(image.dtype == np.uint16 for pair in self.pairs for image in (pair.lr, pair.hr))

    def _chosen(self, stage: int, step: int) -> list[int]:
        """Places of the pairs of a step, for all processes together."""
        count = self.config.batch
        if self.mixture is not None:
            return self.mixture.pairs((self.config.seed, stage), step * count, count)
        epoch, position = divmod(step, self.steps_per_epoch)
        order = order_of(self.config.seed, stage, epoch, len(self.pairs))
        return order[position * count : (position + 1) * count]

    def batches(
        self, stage: int, steps: range, rank: int = 0, world: int = 1, *, raw: bool = False
    ) -> Iterator[Batch | RawBatch]:
        """The batches of several steps, or the ``raw`` ones. The next ones are cut while the current one is used.

        Raw ones are cut by several threads, because they are for devices that need one every few milliseconds. A thread
        then waits mostly for the disk.
        """
        cut: Callable[..., Batch | RawBatch] = self.raw_batch if raw else self.batch
        ahead = _AHEAD_RAW if raw else _AHEAD
        with ThreadPoolExecutor(max_workers=_THREADS if raw else 1, thread_name_prefix="crops") as pool:
            drawn = deque(pool.submit(cut, stage, step, rank, world) for step in steps[:ahead])
            for step in steps:
                batch = drawn.popleft().result()
                if step + ahead in steps:
                    drawn.append(pool.submit(cut, stage, step + ahead, rank, world))
                yield batch

    def draw(self, place: int, key: tuple[int, ...]) -> tuple[Mapped, Mapped, int]:
        """The pixels of a patch of a pair, LR (p, p, 3) and HR (s·p, s·p, 3), and the number of its turn."""
        config = self.config
        return draw_patch(self.pairs[place], key, patch=config.patch, scale=self.scale, augment=config.augment)


def order_of(seed: int, stage: int, epoch: int, count: int) -> list[int]:
    """The places of ``count`` pairs in the order in which an epoch uses them."""
    order: list[int] = np.random.default_rng((seed, stage, 0, epoch)).permutation(count).tolist()
    return order


def draw_patch(
    pair: PixelPair, key: tuple[int, ...], *, patch: int, scale: int, augment: bool
) -> tuple[Mapped, Mapped, int]:
    """The pixels of a patch of a pair, LR (p, p, 3) and HR (s·p, s·p, 3), and the number of its turn."""
    rng = np.random.default_rng(key)
    height, width = pair.lr.shape[:2]
    x = int(rng.integers(width - patch + 1))  # the last offset included
    y = int(rng.integers(height - patch + 1))
    turn = int(rng.integers(8)) if augment else 0
    hr = pair.hr[scale * y : scale * (y + patch), scale * x : scale * (x + patch)]
    return pair.lr[y : y + patch, x : x + patch], hr, turn


def write_patch(pixels: Mapped, turn: int, out: Tensor) -> None:
    """Write one of the eight flips and transposes of a square ``(p, p, 3)`` image as ``(3, p, p)`` floats on [0, 1].

    Integers are copied and turned before the conversion to floats, because they have only a quarter or half the bytes.
    """
    peak = int(np.iinfo(pixels.dtype).max)
    planes = torch.from_numpy(np.array(np.moveaxis(pixels, -1, 0), order="C"))
    if turn:
        planes = _turned(planes.view(_TURNS_AS[planes.dtype]), turn).view(planes.dtype)
    if planes.dtype == torch.uint8:
        torch.div(planes, peak, out=out)
    else:
        out.copy_(planes).div_(peak)  # torch cannot divide 16-bit unsigned numbers


_TURNS_AS = {torch.uint8: torch.uint8, torch.uint16: torch.int16}  # only bits are moved, and flip has no uint16


def _turned(planes: Tensor, turn: int) -> Tensor:
    """One of the eight flips and transposes of ``(3, p, p)`` planes; 0 leaves them."""
    sides = [side for bit, side in ((1, 2), (2, 1)) if turn & bit]
    if sides:
        planes = planes.flip(sides)
    if turn & 4:  # plane by plane, because torch transposes two dimensions faster than three
        planes = torch.stack([plane.t().contiguous() for plane in planes])
    return planes
