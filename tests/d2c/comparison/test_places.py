"""Places are chosen by the spread of errors, inside the image, and do not overlap."""

from __future__ import annotations

import numpy as np

from d2c.comparison.places import largest_spread, spread_at
from d2c.inference.figures import Box


def test_the_place_where_one_method_fails_is_found():
    hr = np.full((80, 96, 3), 128, np.uint8)
    bad = hr.copy()
    bad[24:40, 48:64] = 200  # 8×8 LR px at (24, 12)
    images = {"good": hr, "bad": bad}
    boxes = largest_spread(images, hr, 2, side=8, count=2)
    assert boxes[0] == Box(24, 12, 8, 8)
    first, second = boxes
    assert abs(first.x - second.x) >= 8 or abs(first.y - second.y) >= 8
    assert spread_at(images, hr, 2, first) > spread_at(images, hr, 2, second)


def test_a_place_fits_into_a_small_image():
    hr = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    (box,) = largest_spread({"a": hr, "b": 255 - hr}, hr, 2, side=32)
    assert box.x >= 1
    assert box.y >= 1
    assert box.x + box.width <= 11
    assert box.y + box.height <= 9
