"""The period that enlargement leaves, told from the blocks of JPEG and from prints with a period of their own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.quality.enlargement import enlarged_by
from d2crealsr.types import Crop, Image, Size

SIZE = Size(768, 512)
PART = Crop(60, 40, 648, 432)


def texture(size: Size, seed: int = 1) -> Image:
    """Noise of a natural spectrum."""
    rng = np.random.default_rng(seed)
    value = sum(
        2**k * opencv.blur(rng.normal(0, 50, (size.height, size.width)).astype(np.float32), 2**k) for k in range(5)
    )
    return opencv.as_image(np.repeat(np.clip(128 + np.asarray(value), 0, 255).astype(np.uint8)[..., None], 3, axis=2))


def enlarged(factor: float, kernel: opencv.Interpolation = "linear") -> Image:
    small = Size(*(math.ceil(side / factor) for side in SIZE))
    from_large = np.diag([1 / factor, 1 / factor, 1.0])
    from_large[:2, 2] = (1 / factor - 1) / 2
    values = opencv.warp(texture(small).astype(np.float32), from_large, SIZE, kernel)
    return opencv.as_image(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def compressed(image: Image, quality: int) -> Image:
    return opencv.as_image(opencv.decode(opencv.encode_jpeg(image, quality)))


@pytest.mark.parametrize("factor", [2.5, 3.3, 4.0, 5.5])
def test_the_factor_is_found(factor: float) -> None:
    assert enlarged_by(enlarged(factor), PART, 4) == pytest.approx(factor, rel=0.01)


def test_jpeg_of_quality_95_does_not_hide_it() -> None:
    assert enlarged_by(compressed(enlarged(3.0), 95), PART, 4) == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize("quality", [100, 95, 75, 50])
def test_the_blocks_of_jpeg_are_no_period(quality: int) -> None:
    assert math.isnan(enlarged_by(compressed(texture(SIZE), quality), PART, 4))


def test_a_print_with_a_period_in_one_direction_is_no_enlargement() -> None:
    stripes = texture(SIZE).astype(np.float32)
    stripes += (20 * np.cos(np.arange(SIZE.width) * 2 * np.pi / 5))[None, :, None]
    assert math.isnan(enlarged_by(opencv.as_image(np.clip(stripes, 0, 255).astype(np.uint8)), PART, 4))


def test_of_two_factors_with_the_same_period_the_expected_one_is_named() -> None:
    image = enlarged(1.5)
    assert enlarged_by(image, PART, 1.4) == pytest.approx(1.5, rel=0.01)
    assert enlarged_by(image, PART, 2.8) == pytest.approx(3.0, rel=0.01)


def test_the_smallest_part_is_looked_at() -> None:
    assert math.isnan(enlarged_by(texture(Size(80, 80)), Crop(4, 4, 64, 64), 2))
