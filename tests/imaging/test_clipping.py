"""Where HR is clipped, and which LR pixels see it."""

from __future__ import annotations

import numpy as np
import pytest

from d2crealsr.imaging import degrade, geometry, photometry
from d2crealsr.imaging.comparison import LrCrop
from d2crealsr.types import Crop, Size

SCALE = 4
SIZE = Size(320, 240)
GRID = geometry.CaptureMapping(H_hr_to_lr=geometry.inverse(geometry.scaling(SCALE)), hr_size=SIZE, lr_size=Size(80, 60))


def capture(dtype: type = np.uint8) -> np.ndarray:
    """A grey ramp with detail, below white."""
    rng = np.random.default_rng(0)
    return (np.iinfo(dtype).max * rng.uniform(0.3, 0.8, (SIZE.height, SIZE.width, 3))).astype(dtype)


def lr_of(hr: np.ndarray) -> np.ndarray:
    return hr.reshape(60, SCALE, 80, SCALE, 3).mean(axis=(1, 3)).astype(hr.dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channel", [0, 1, 2])
def test_the_share_of_clipped_pixels_of_any_channel(dtype: type, channel: int) -> None:
    hr = capture(dtype)
    assert photometry.reduced_clipping(hr, 2) is None
    hr[100:140, 40:121, channel] = np.iinfo(dtype).max
    share = photometry.reduced_clipping(hr, 2)
    assert share is not None
    assert share.sum() * 4 == 40 * 81
    assert set(np.unique(share)) == {0.0, 0.5, 1.0}
    hr[100:140, 40:121, channel] = 0.97 * np.iinfo(dtype).max
    assert photometry.reduced_clipping(hr, 2) is None


def test_lr_pixels_that_see_the_clipped_part_are_not_trusted() -> None:
    hr = capture()
    whole = LrCrop.of(lr_of(hr), Crop(10, 10, 60, 40), "srgb", scale=SCALE)
    assert whole.against(degrade.reduced(hr, SCALE, "srgb"), GRID) is whole
    lr = lr_of(hr)
    hr[:, :160] = 255
    source = degrade.reduced(hr, SCALE, "srgb")
    crop = LrCrop.of(lr, Crop(10, 10, 60, 40), "srgb", scale=SCALE).compared_with(source, GRID, 1.0 * SCALE)
    assert crop.valid.all()
    assert not crop.trusted[:, :31].any()
    assert crop.trusted[:, 33:].all()
    blurred = crop.compared_with(source, GRID, 3.0 * SCALE)
    assert not blurred.trusted[:, :33].any()
    assert crop.thinned(3).trusted.shape == crop.thinned(3).encoded.shape
    assert source.clipped_fraction(GRID.lr_to_hr(crop.positions)) == pytest.approx(0.5, abs=0.01)


def test_a_single_bright_pixel_spoils_nothing() -> None:
    hr = capture()
    hr[120, 160] = 255
    source = degrade.reduced(hr, SCALE, "srgb")
    shown = source.shows(GRID.lr_to_hr(geometry.pixel_centres(Size(80, 60))), float(SCALE))
    assert shown is not None
    assert shown.all()
