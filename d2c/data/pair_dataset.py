"""Pairs as a dataset of torch, for training loops of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch.utils.data import Dataset

from d2c.data.cache import CachedPairs, ImageCache
from d2c.data.layouts import find_pairs, with_split
from d2c.data.patches import Batch, PixelPair, draw_patch, order_of, to_tensor, write_patch
from d2c.data.reduction import as_pixels
from d2c.errors import ConfigError, DataError
from d2c.settings.config import TrainSettings
from d2crealsr.store import ImageError, read_image

if TYPE_CHECKING:
    import os

    from d2c.data.layouts import Pair

__all__ = ["PairDataset"]

_DEFAULT = TrainSettings()

_LAST_OF_EPOCH = 4
"""Part of the keys of the patches that do not fill a batch. Training leaves them out, and uses the parts 0 to 3."""


class PairDataset(Dataset[Batch]):
    """The pairs of a folder as tensors ``(lr, hr)``, float32 RGB on [0, 1]: random patches, or whole images.

    With ``patch``, an epoch has one patch of every pair, in the order and with the crops of `d2c train` (with
    ``--validation 0``) for the same pairs, seed, batch and stage: a ``DataLoader`` with the same ``batch_size`` and
    without shuffling gives its batches. :meth:`set_epoch` chooses the epoch. Patches of a last, incomplete batch, which
    `d2c train` leaves out, are drawn too.

    Without ``patch``, item ``i`` is the whole pair ``pairs[i]``.

    A dataset can be pickled, so that the workers of a ``DataLoader`` may be started in any way.

    Parameters
    ----------
    folder : path
        A pairs folder, another known layout, or a D2C-SR list.
    split : {"train", "test", "all"}
    patch : int, optional
        Side of a patch, in LR px.
    augment : bool
        Flip and transpose patches at random.
    scale : int, optional
        As ``--scale``: needed if the folder has pairs of several scales.
    seed, batch, stage : int
        Those of the run whose crops are wanted; its first stage is 1.
    cache : path, optional
        Folder in which decoded images are kept as memory-mapped files, as `d2c train` keeps them in ``RUN/cache``.
        Without one, an image is decoded whenever a patch of it is cut, and only then refused.
    convert_profile : bool
        As ``--convert-profile``: convert images whose colour profile is not sRGB, instead of refusing them.

    Attributes
    ----------
    pairs : list of Pair
        Sorted by name.
    scale : int

    Raises
    ------
    DataError
        When the folder has no pairs of this split or scale, or when images are missing, damaged or not sRGB.
    ConfigError
        When a pair is smaller than a patch, or whole images are to be augmented.

    Examples
    --------
    >>> import d2c
    >>> d2c.PairDataset("pairs/", split="train", patch=48, augment=True)  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        split: Literal["train", "test", "all"] = "train",
        patch: int | None = None,
        augment: bool = False,
        scale: int | None = None,
        seed: int = _DEFAULT.seed,
        batch: int = _DEFAULT.batch,
        stage: int = 1,
        cache: str | os.PathLike[str] | None = None,
        convert_profile: bool = False,
    ) -> None:
        if split not in ("train", "test", "all"):
            raise ConfigError(f"split: got {split!r:.40}, expected train, test or all")
        found = find_pairs(Path(folder), scale=scale)
        self.pairs: list[Pair] = found if split == "all" else with_split(found, split, Path(folder))
        self.scale, self.patch, self.augment = self.pairs[0].scale, patch, augment
        self.seed, self.batch, self.stage, self.epoch = seed, batch, stage, 0
        self._check()
        self._pixels: Sequence[PixelPair]
        if cache is None:
            self._pixels = _ReadPairs(self.pairs, convert_profile=convert_profile)
        else:
            images = [path for pair in self.pairs for path in (pair.lr, pair.hr)]
            kept = ImageCache(Path(cache), convert_profile=convert_profile)
            self._pixels = CachedPairs(self.pairs, kept.images(images))

    def _check(self) -> None:
        """Raise ConfigError for numbers that are out of range, and if a pair is smaller than a patch."""
        numbers = {"seed": 0, "batch": 1, "stage": 1, **({} if self.patch is None else {"patch": 1})}
        for name, least in numbers.items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise ConfigError(f"{name}: got {value!r:.40}, expected a whole number of at least {least}")
        if self.patch is None:
            if self.augment:
                raise ConfigError("augment: whole images are not augmented; give patch as well")
            return
        for pair in self.pairs:
            width, height = pair.lr_size
            if min(width, height) < self.patch:
                raise ConfigError(
                    f"{pair.name}: its LR image is {width}x{height}, smaller than a patch of {self.patch}; "
                    f"use patch={min(width, height)} or less"
                )

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, whose patches are drawn. Workers see it when they are started the next time."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Batch:
        """LR ``(3, h, w)`` and HR ``(3, s·h, s·w)``."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"item {index} of {len(self)}")
        index %= len(self)
        if self.patch is None:
            pair = self._pixels[index]
            images: list[Any] = [np.asarray(side) for side in (pair.lr, pair.hr)]  # LR may be reduced only now
            return Batch(*map(to_tensor, images))
        place = order_of(self.seed, self.stage, self.epoch, len(self))[index]
        out = Batch(*(torch.empty(3, side, side) for side in (self.patch, self.scale * self.patch)))
        lr, hr, turn = draw_patch(
            self._pixels[place], self._key(index), patch=self.patch, scale=self.scale, augment=self.augment
        )
        write_patch(lr, turn, out.lr)
        write_patch(hr, turn, out.hr)
        return out

    def _key(self, index: int) -> tuple[int, ...]:
        step, place = divmod(index, self.batch)
        steps = len(self) // self.batch
        if step >= steps:
            return (self.seed, self.stage, _LAST_OF_EPOCH, self.epoch, index)
        return (self.seed, self.stage, 1, self.epoch * steps + step, place)


class _ReadPairs(Sequence[PixelPair]):
    """Pairs of images that are decoded on access, as sRGB: images of other colours are converted, or refused."""

    def __init__(self, pairs: Sequence[Pair], *, convert_profile: bool) -> None:
        self.pairs, self.convert_profile = pairs, convert_profile

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: Any) -> Any:
        pair = self.pairs[index]
        try:
            lr, hr = (read_image(path, convert=self.convert_profile) for path in (pair.lr, pair.hr))
            return as_pixels(pair, lr, hr)
        except ImageError as error:
            raise DataError(f"{pair.name}: {error}") from error
