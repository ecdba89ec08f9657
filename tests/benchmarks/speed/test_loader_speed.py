"""benchmarks/speed/loader_speed.py measures what training does."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

import torch

from benchmarks.speed import loader_speed
from d2c.d2csr.config import TrainConfig
from d2c.data.patches import CropSource


def test_both_ways_give_patches_of_the_pair_and_the_table_has_every_figure(tmp_path):
    files = loader_speed.make_files(tmp_path, 4, (30, 26))
    pairs = loader_speed.cached_pairs(files, tmp_path / "cache")
    patch = loader_speed.decoded_patch(files[0], 24, np.random.default_rng(0))
    assert patch.hr.shape == (3, 192, 192)
    assert torch.equal(patch.hr.sort().values, (patch.hr * 255).round().div(255).sort().values)
    row = loader_speed.measure(CropSource(pairs=pairs, scale=8, config=TrainConfig(patch=24)), files, 2)
    assert min(row.values()) > 0
    rows = loader_speed.waiting_rows(pairs, 24, 2)
    assert [0 <= line["of which waiting, %"] <= 100 for line in rows] == [True] * 7
