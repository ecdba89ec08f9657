"""Random patches of pairs, cut from memory-mapped images. They depend only on (seed, stage, step)."""

from __future__ import annotations

import functools
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from d2c.data.mixture import spread_evenly
from d2c.errors import ConfigError, DataError
from d2c.realignment import MARGIN_LR_PX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from d2c.data.cache import Mapped
    from d2c.data.crop_weights import CropWeights
    from d2c.data.mixture import Mixture
    from d2c.data.travel import RawBatch
    from d2c.settings.config import TrainSettings

__all__ = ["Batch", "CropSource", "PixelPair", "draw_patch", "order_of", "to_tensor", "write_patch"]


_AHEAD, _AHEAD_RAW = 2, 6
"""Number of batches that are cut before they are needed. Raw ones have a quarter of the bytes."""

_THREADS = 3
"""Threads that cut raw batches."""

_DUE, _AGAIN = 5, 6
"""Parts of the keys of what weights draw: how often each pair is used, and crops in place of others."""
_TRIES = 200
"""Crops that are drawn at most until one is not left out."""


class Batch(NamedTuple):
    """Patches of a step: ``lr`` (N, 3, p, p) and ``hr`` (N, 3, s·p, s·p), float32 RGB on [0, 1].

    For ``--realign``, HR has a margin of :data:`d2c.realignment.MARGIN_LR_PX` LR pixels on each side.
    """

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

    With a mixture, pairs are used as that says, and an epoch is only a number of steps. With ``weights``, one for each
    pair, pairs are used as often as they weigh, and crops of a pair too.
    """

    pairs: Sequence[PixelPair]
    scale: int
    config: TrainSettings
    mixture: Mixture | None = None
    weights: Sequence[CropWeights] | None = None

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
            largest = min(height, width) - 2 * self._margin
            if largest < self.config.patch:
                around = f" and the {self._margin} LR px on each side that --realign needs" if self._margin else ""
                remedy = f"use --patch {largest} or less" if largest > 0 else "leave it out"
                raise ConfigError(
                    f"{pair.name}: its LR image is {width}x{height}, smaller than a patch of {self.config.patch}"
                    f"{around}; {remedy}"
                )

    @property
    def _margin(self) -> int:
        """LR px around a patch within which HR may be moved."""
        return MARGIN_LR_PX if self.config.realign else 0

    @property
    def _hr_side(self) -> int:
        return self.scale * (self.config.patch + 2 * self._margin)

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
        batch = Batch(*(torch.empty(share, 3, side, side) for side in (self.config.patch, self._hr_side)))
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
        raw = empty_batch(share, self.config.patch, self._hr_side, wide=self._wide)
        for k, place in enumerate(self._chosen(stage, step)[first : first + share]):
            put(raw, k, *self.draw(place, (self.config.seed, stage, 1, step, first + k)))
        return raw

    @functools.cached_property
    def _wide(self) -> bool:
        """Whether any image has 16 bit."""
        return any(image.dtype == np.uint16 for pair in self.pairs for image in (pair.lr, pair.hr))

    def _chosen(self, stage: int, step: int) -> list[int]:
        """Places of the pairs of a step, for all processes together."""
        count, seed = self.config.batch, self.config.seed
        if self.mixture is not None:
            return self.mixture.pairs((seed, stage), step * count, count, self._shares)
        epoch, position = divmod(step, self.steps_per_epoch)
        order = order_of(seed, stage, epoch, len(self.pairs))
        if self._shares is not None:
            order = spread_evenly(order, self._shares, np.random.default_rng((seed, stage, _DUE, epoch)).random())
        return order[position * count : (position + 1) * count]

    @functools.cached_property
    def _shares(self) -> list[float] | None:
        return None if self.weights is None else [each.mean for each in self.weights]

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
        return draw_patch(
            self.pairs[place],
            key,
            patch=config.patch,
            scale=self.scale,
            augment=config.augment,
            margin=self._margin,
            weights=None if self.weights is None else self.weights[place],
        )


def order_of(seed: int, stage: int, epoch: int, count: int) -> list[int]:
    """The places of ``count`` pairs in the order in which an epoch uses them."""
    order: list[int] = np.random.default_rng((seed, stage, 0, epoch)).permutation(count).tolist()
    return order


def draw_patch(
    pair: PixelPair,
    key: tuple[int, ...],
    *,
    patch: int,
    scale: int,
    augment: bool,
    margin: int = 0,
    weights: CropWeights | None = None,
) -> tuple[Mapped, Mapped, int]:
    """The pixels of a patch of a pair, LR (p, p, 3) and HR (s·p, s·p, 3), and the number of its turn.

    HR has a ``margin`` on each side, in LR px. With ``weights``, a patch is left out with the probability that its
    weight lacks to the largest one of its pair, and another one is drawn.
    """
    rng = np.random.default_rng(key)
    x, y = _corner(pair, patch, margin, rng)
    turn = int(rng.integers(8)) if augment else 0
    if weights is not None:
        again = np.random.default_rng((*key, _AGAIN))
        for _ in range(_TRIES):
            if again.random() < weights.at(x, y):
                break
            x, y = _corner(pair, patch, margin, again)
    rows, columns = (slice(scale * (first - margin), scale * (first + patch + margin)) for first in (y, x))
    return pair.lr[y : y + patch, x : x + patch], pair.hr[rows, columns], turn


def _corner(pair: PixelPair, patch: int, margin: int, rng: np.random.Generator) -> tuple[int, int]:
    """The first pixel of a patch, which lies at least ``margin`` px inside of LR."""
    height, width = pair.lr.shape[:2]
    x = margin + int(rng.integers(width - patch - 2 * margin + 1))  # the last offset included
    y = margin + int(rng.integers(height - patch - 2 * margin + 1))
    return x, y


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
