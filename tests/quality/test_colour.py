"""Colours compared on pictures of which one was changed by a known amount."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.imaging import degrade, photometry
from d2crealsr.imaging.comparison import Look, LrCrop
from d2crealsr.imaging.geometry import CaptureMapping, pixel_centres
from d2crealsr.quality import evidence
from d2crealsr.quality.colour import ColourDifference, compare_colours
from d2crealsr.types import Crop, Size

SIZE = Size(72, 60)
MAPPING = CaptureMapping(H_hr_to_lr=np.eye(3), hr_size=SIZE, lr_size=SIZE)
LIMIT = 0.2


def light(colourful: float) -> np.ndarray:
    """Patches of many colours in linear light; 0: all grey, (60, 72, 3)."""
    rng = np.random.default_rng(3)
    grey = opencv.resize(rng.uniform(0.2, 0.6, (6, 8, 1)).astype(np.float32).repeat(3, axis=2), SIZE, "linear")
    colours = opencv.resize(rng.uniform(-0.18, 0.18, (5, 7, 3)).astype(np.float32), SIZE, "linear")
    return np.asarray(grey + np.float32(colourful) * colours, np.float32)


def noisy(rgb: np.ndarray, sigma: float = 0.01) -> np.ndarray:
    return rgb + np.random.default_rng(5).normal(0, sigma, rgb.shape).astype(np.float32)


def lr_crop(rgb: np.ndarray) -> LrCrop:
    return LrCrop(
        rgb=rgb,
        encoded=photometry.encode_clipped(rgb, "srgb") @ photometry.JPEG_LUMA,
        valid=np.ones(rgb.shape[:2], bool),
        crop=Crop(0, 0, *SIZE),
        tone="srgb",
        positions=pixel_centres(SIZE),
        scale=1,
    )


def compared(hr: np.ndarray, crop: LrCrop, *, curves_are_fitted: bool = False) -> ColourDifference:
    """The difference after gain and offset were fitted, as between captures."""
    source = degrade.LinearReduced(hr, photometry.luma(hr), 1)
    lit = crop.brightness(crop.seen(source, MAPPING, 0.0), MAPPING)
    return compare_colours(crop, Look.of(source, 0.0, lit), MAPPING, curves_are_fitted=curves_are_fitted)


def in_grey(rgb: np.ndarray) -> np.ndarray:
    return photometry.luma(rgb)[..., None].repeat(3, axis=2)


@pytest.mark.parametrize("colourful", [0.0, 0.1, 1.0])
def test_noise_and_white_balance_are_no_difference(colourful: float) -> None:
    """On a grey card as on a colourful one."""
    hr = light(colourful)
    found = compared(hr, lr_crop(noisy(hr * np.array([0.9, 1.0, 1.15], np.float32))))
    assert found.difference < 0.4
    assert found.ratio < LIMIT / 2


MATRIX = np.array([[0.75, 0.20, 0.05], [0.12, 0.78, 0.10], [0.02, 0.22, 0.76]], np.float32)
CHANGES = {
    "black and white": in_grey,
    "saturation .3": lambda rgb: in_grey(rgb) + np.float32(0.3) * (rgb - in_grey(rgb)),
    "saturation .5": lambda rgb: in_grey(rgb) + np.float32(0.5) * (rgb - in_grey(rgb)),
    "red and blue exchanged": lambda rgb: rgb[..., ::-1],
    "red and green exchanged": lambda rgb: rgb[..., [1, 0, 2]],
    "another camera": lambda rgb: rgb @ MATRIX.T,
}


@pytest.mark.parametrize("curves_are_fitted", [False, True])
@pytest.mark.parametrize("name", CHANGES)
def test_changed_colours_are_seen_on_either_side(name: str, curves_are_fitted: bool) -> None:
    rgb = light(1.0)
    changed = np.ascontiguousarray(CHANGES[name](rgb))
    assert compared(changed, lr_crop(noisy(rgb)), curves_are_fitted=curves_are_fitted).ratio > LIMIT
    assert compared(rgb, lr_crop(noisy(changed)), curves_are_fitted=curves_are_fitted).ratio > LIMIT


def test_what_is_wrong_with_a_fitted_curve_is_no_difference_of_colours() -> None:
    """White balance makes the channels of HR differ, so a wrong curve tints what is grey in LR."""
    rgb = light(0.05)
    rgb[:, :18] *= np.float32(0.1)  # mostly in dark parts
    white_balance = np.array([0.55, 1.0, 0.7], np.float32)
    developed = rgb * white_balance
    wrong = developed + np.float32(0.1) * np.exp(-developed / np.float32(0.1)).astype(np.float32)
    crop = lr_crop(noisy(rgb, 0.003))
    assert compared(wrong, crop).ratio > LIMIT
    assert compared(wrong, crop, curves_are_fitted=True).ratio < 0.7 * LIMIT


@pytest.mark.parametrize(
    ("tone", "hr_tone", "fitted"),
    [
        ("srgb", "", False),
        ("gamma=2.2", "linear", False),
        ("curve=0.5:0:-0.5", "", True),
        ("srgb", "curve=0.5:0:-0.5", True),
    ],
)
def test_a_curve_counts_as_fitted_on_either_side(
    tone: str, hr_tone: str, fitted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []

    def compare(*_: object, curves_are_fitted: bool) -> ColourDifference:
        told.append(curves_are_fitted)
        return ColourDifference(1.0, 0.1)

    monkeypatch.setattr(evidence, "compare_colours", compare)
    light = photometry.Photometry(tone=tone, hr_tone=hr_tone)
    pair = SimpleNamespace(lr_crop=None, look=None, placement=SimpleNamespace(mapping=None), light=light)
    evidence.colours(pair)  # type: ignore[arg-type]
    assert told == [fitted]


def test_without_colour_on_one_side_all_of_the_colours_differ() -> None:
    rgb = light(1.0)
    found = compared(in_grey(rgb), lr_crop(rgb))
    ab = opencv.lab(opencv.blur(rgb, 4.0))[..., 1:].reshape(-1, 2)
    assert found.difference == pytest.approx(float(np.sqrt(ab.var(axis=0).sum())), rel=0.15)
    assert found.ratio == pytest.approx(1.0, abs=0.15)


def test_clipped_pixels_are_not_compared() -> None:
    rgb = light(1.0)
    shown = rgb.copy()
    shown[:, :30] = (1.0, 1.0, 0.2)
    clipped = np.arange(SIZE.width) < 30
    valid = np.broadcast_to(~clipped, rgb.shape[:2])
    assert compared(rgb, lr_crop(shown)).ratio > LIMIT
    assert compared(rgb, dataclasses.replace(lr_crop(shown), valid=valid)).ratio < 0.02
    assert compared(rgb, dataclasses.replace(lr_crop(shown), hr_shows=valid)).ratio < 0.02
    nothing = compared(rgb, dataclasses.replace(lr_crop(shown), valid=np.zeros_like(valid)))
    assert np.isnan(nothing).all()
