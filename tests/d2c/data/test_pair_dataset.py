"""Pairs as a dataset of torch: the trainer's crops, whole images, and copies for the workers of a loader."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import d2c
from d2c.data.cache import CachedPairs, ImageCache
from d2c.data.layouts import find_pairs
from d2c.data.patches import Batch, CropSource, to_tensor
from d2c.errors import ConfigError, DataError
from d2c.settings.config import TrainSettings
from d2crealsr.store.images import read_image, write_image

if TYPE_CHECKING:
    from d2c.data.pair_dataset import PairDataset


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven training pairs and one to test on."""
    rng = np.random.default_rng(0)
    for scene in "abcdefgh":
        part = tmp_path / "data" / ("test" if scene == "h" else "train")
        write_image(part / "HR" / f"{scene}.png", rng.integers(0, 256, (20, 24, 3), dtype=np.uint8))
        write_image(part / "LR" / f"{scene}.png", rng.integers(0, 256, (10, 12, 3), dtype=np.uint8))
    return tmp_path / "data"


def trainer(folder: Path, cache: Path, *, seed: int, batch: int) -> CropSource:
    pairs = [pair for pair in find_pairs(folder) if pair.split == "train"]
    cached = ImageCache(cache).images(path for pair in pairs for path in (pair.lr, pair.hr))
    config = TrainSettings(seed=seed, batch=batch, patch=6)
    return CropSource(pairs=CachedPairs(pairs, cached), scale=2, config=config)


def same(one: Batch, other: Batch) -> bool:
    return torch.equal(one.lr, other.lr) and torch.equal(one.hr, other.hr)


@pytest.mark.parametrize("cached", [False, True])
def test_its_patches_are_those_of_the_trainer(folder: Path, tmp_path: Path, cached: bool) -> None:
    source = trainer(folder, tmp_path / "cache", seed=5, batch=3)
    data = d2c.PairDataset(folder, patch=6, augment=True, seed=5, batch=3, cache=tmp_path / "cache" if cached else None)
    assert len(data) == 7
    for epoch in (0, 2):
        data.set_epoch(epoch)
        batches = list(DataLoader(data, batch_size=3))
        assert [len(batch.lr) for batch in batches] == [3, 3, 1], "and one that the trainer leaves out"
        for step in (0, 1):
            assert same(batches[step], source.batch(1, 2 * epoch + step))
    assert not same(data[0], d2c.PairDataset(folder, patch=6, augment=True, seed=6, batch=3)[0])
    assert not same(data[6], data[0])


@pytest.mark.parametrize("cached", [False, True])
def test_a_copy_for_a_worker_gives_the_same_items(folder: Path, tmp_path: Path, cached: bool) -> None:
    data = d2c.PairDataset(folder, patch=4, augment=True, cache=tmp_path / "cache" if cached else None)
    data.set_epoch(1)
    assert data[0].lr.shape == (3, 4, 4)  # an image is open when the copy is made
    copy: PairDataset = pickle.loads(pickle.dumps(data))
    assert all(same(copy[place], data[place]) for place in range(-7, 7))


def test_whole_images_come_in_the_order_of_their_names(folder: Path) -> None:
    test = d2c.PairDataset(folder, split="test")
    assert len(test) == 1
    item = test[0]
    assert torch.equal(item.lr, to_tensor(read_image(folder / "test" / "LR" / "h.png")))
    assert torch.equal(item.hr, to_tensor(read_image(folder / "test" / "HR" / "h.png")))
    data = d2c.PairDataset(folder, split="all")
    assert [pair.name for pair in data.pairs] == list("abcdefgh")
    assert torch.equal(data[1].lr, to_tensor(read_image(folder / "train" / "LR" / "b.png")))


def test_what_is_wrong_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match="its LR image is 12x10, smaller than a patch of 11; use patch=10 or less"):
        d2c.PairDataset(folder, patch=11)
    with pytest.raises(ConfigError, match="whole images are not augmented; give patch as well"):
        d2c.PairDataset(folder, augment=True)
    with pytest.raises(ConfigError, match="batch: got 0, expected a whole number of at least 1"):
        d2c.PairDataset(folder, patch=4, batch=0)
    with pytest.raises(ConfigError, match=r"patch: got 4\.5, expected a whole number of at least 1"):
        d2c.PairDataset(folder, patch=4.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="split: got 'val', expected train, test or all"):
        d2c.PairDataset(folder, split="val")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no such file or folder"):
        d2c.PairDataset(folder / "none")
    with pytest.raises(IndexError, match="item 7 of 7"):
        d2c.PairDataset(folder)[7]
    data = d2c.PairDataset(folder)
    data.pairs[0].lr.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"^a: "):
        data[0]
