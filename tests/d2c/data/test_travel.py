"""Patches that travel as integers are those that a CPU cuts, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from d2c.d2csr.config import TrainConfig
from d2c.data.patches import CropSource, PixelPair
from d2c.data.travel import as_floats


def source(kinds, augment=True, batch=4):
    rng = np.random.default_rng(0)

    def image(height, width, kind):
        return rng.integers(0, np.iinfo(kind).max, (height, width, 3), kind, endpoint=True)

    pairs = [PixelPair(str(k), image(9, 11, lr), image(18, 22, hr)) for k, (lr, hr) in enumerate(kinds)]
    return CropSource(pairs=pairs, scale=2, config=TrainConfig(batch=batch, patch=6, augment=augment))


@pytest.mark.parametrize("augment", [True, False])
@pytest.mark.parametrize("kinds", [["uint8"] * 2, ["uint16"] * 2, ["uint8", "uint16"]])
def test_they_become_the_floats_that_a_cpu_cuts(kinds, augment):
    made = source([kinds, ["uint8"] * 2, kinds, ["uint8"] * 2, kinds], augment)
    turns = set()
    for step in range(8):
        raw, expected = made.raw_batch(1, step), made.batch(1, step)
        turns |= set(raw.turns.tolist())
        for found, wanted in zip(as_floats(raw), expected, strict=True):
            assert found.dtype == torch.float32
            assert torch.equal(found, wanted)
    assert turns == (set(range(8)) if augment else {0})


def test_images_of_8_bit_travel_as_bytes_and_others_as_two():
    assert source([["uint8"] * 2] * 4).raw_batch(1, 0).hr.dtype == torch.uint8
    assert source([["uint8", "uint16"]] * 4).raw_batch(1, 0).lr.dtype == torch.int16


def test_processes_share_a_batch():
    made = source([["uint8"] * 2] * 4)
    whole, shares = made.raw_batch(1, 0), [made.raw_batch(1, 0, rank, 2) for rank in (0, 1)]
    assert torch.equal(whole.hr, torch.cat([share.hr for share in shares]))
    drawn = list(made.batches(1, range(3), raw=True))
    assert len(drawn) == 3
    assert torch.equal(drawn[0].lr, whole.lr)
