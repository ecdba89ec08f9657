"""LR images at HR's size, as RealSR is published, as pairs of the scale that is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from d2c.data.cache import CachedPairs, ImageCache
from d2c.data.layouts import find_pairs
from d2c.data.reduction import ReducedImage
from d2crealsr.store import write_image
from d2crealsr.store.layouts import box_reduced


def picture(height, width, dtype=np.uint8):
    return np.random.default_rng(height).integers(0, np.iinfo(dtype).max, (height, width, 3), dtype=dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_reduced_image_is_the_mean_of_blocks_whole_and_in_pieces(dtype):
    image = picture(22, 31, dtype)
    reduced = ReducedImage(image, 3)
    whole = np.rint(image[:21, :30].reshape(7, 3, 10, 3, 3).mean(axis=(1, 3))).astype(dtype)
    assert (reduced.shape, reduced.dtype) == (whole.shape, whole.dtype)
    np.testing.assert_array_equal(np.asarray(reduced), whole)
    np.testing.assert_array_equal(reduced[2:5, 4:10], whole[2:5, 4:10])
    np.testing.assert_array_equal(reduced[:, 8:99], whole[:, 8:])


@pytest.fixture
def realsr(tmp_path):
    """RealSR's folders: LR at HR's size, which is no multiple of the scale."""
    for number in (1, 2):
        place = tmp_path / "RealSR" / "Canon" / "Train" / "4"
        write_image(place / f"Canon_00{number}_HR.png", picture(41 + number, 50))
        write_image(place / f"Canon_00{number}_LR4.png", picture(41 + number, 50) // 2)
    return tmp_path / "RealSR"


def test_published_realsr_is_of_scale_1_and_as_it_is(realsr):
    notes = []
    for scale in (None, 1):
        pairs = find_pairs(realsr, scale=scale, note=notes.append)
        assert [(pair.scale, pair.reduce, pair.split) for pair in pairs] == [(1, 1, "train")] * 2
    assert notes == ["LR has HR's size in 2 of 2 pairs, which are read at scale 1"] * 2


def test_with_a_scale_lr_is_reduced_and_hr_cropped(realsr, tmp_path):
    notes = []
    pairs = find_pairs(realsr, scale=4, note=notes.append)
    assert [(pair.scale, pair.reduce, pair.lr_size, pair.hr_size) for pair in pairs] == [
        (4, 4, (12, 10), (48, 40)),
        (4, 4, (12, 10), (48, 40)),
    ]
    assert len(notes) == 1
    assert "it is reduced by 4" in notes[0]
    cached = ImageCache(tmp_path / "cache").images(path for pair in pairs for path in (pair.lr, pair.hr))
    pixels = CachedPairs(pairs, cached)[0]
    np.testing.assert_array_equal(pixels.hr, picture(42, 50)[:40, :48])
    np.testing.assert_array_equal(np.asarray(pixels.lr), box_reduced(picture(42, 50) // 2, 4))


def test_a_list_of_images_of_one_size_is_read_alike(realsr, tmp_path):
    place = realsr / "Canon" / "Train" / "4"
    lines = [f"{place}/Canon_00{number}_LR4.png\t{place}/Canon_00{number}_HR.png\n" for number in (1, 2)]
    (tmp_path / "list.txt").write_text("".join(lines))
    assert [(p.scale, p.reduce) for p in find_pairs(tmp_path / "list.txt")] == [(1, 1)] * 2
    notes = []
    pairs = find_pairs(tmp_path / "list.txt", scale=2, note=notes.append)
    assert [(pair.scale, pair.reduce, pair.lr_size) for pair in pairs] == [(2, 2, (25, 21)), (2, 2, (25, 21))]
    assert len(notes) == 1
