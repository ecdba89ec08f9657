"""Isolated dots among a card's texture: the published HR and LR show them at the same place.

The one test that looks at published pixels only, by the convention u = s·(x + .5) − .5 written out here.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from scipy.optimize import least_squares

from d2crealsr.align import Alignment, align_pair
from d2crealsr.simulate import Recipe, Scene, SimulateSettings, session_for, shoot
from d2crealsr.simulate.card import draw_artwork
from d2crealsr.simulate.shoot import card_size

if TYPE_CHECKING:
    from d2crealsr.simulate import Session
    from d2crealsr.types import Array, Image

DOT_SIGMA_MM, CLEAR_MM, FITTED_MM = 0.9, 4.8, 3.2
SCALE = 8
SEEDS = (2, 3)


class DotScene(NamedTuple):
    """A scene and where its dots lie in LR, roughly: as the wide camera saw the places on the card."""

    scene: Scene
    places_lr: Array


def _card(session: Session, seed: int) -> tuple[Image, Array]:
    """Dead leaves with clearings, a soft dark dot in the middle of each, and the dots' places in mm."""
    size, (width_mm, height_mm) = card_size(session), session.card_mm
    rng = np.random.default_rng(seed)
    leaves = draw_artwork("leaves", size, size.width / width_mm, [], rng)
    x, y = np.meshgrid((np.arange(11) + 0.5) / 11 - 0.5, (np.arange(7) + 0.5) / 7 - 0.5)
    places = 0.96 * np.column_stack([x.ravel() * width_mm, y.ravel() * height_mm]) + rng.uniform(-1, 1, (x.size, 2))
    xs = ((np.arange(size.width) + 0.5) / size.width - 0.5) * width_mm
    ys = ((np.arange(size.height) + 0.5) / size.height - 0.5) * height_mm
    squared = np.full((size.height, size.width), np.inf)
    for px, py in places:
        np.minimum(squared, (xs - px) ** 2 + ((ys - py) ** 2)[:, None], out=squared)
    clearing = np.clip(CLEAR_MM + 1 - np.sqrt(squared), 0, 1)[..., None]
    dots = (220 - 190 * np.exp(-squared / (2 * DOT_SIGMA_MM**2)))[..., None]
    card = clearing * dots + (1 - clearing) * leaves
    return np.floor(card + rng.random(card.shape)).clip(0, 255).astype(np.uint8), places


@pytest.fixture(scope="module")
def dot_scenes() -> list[DotScene]:
    """Without noise, so that the dots' own places are sure to a few hundredths of an HR px."""
    made = []
    settings = SimulateSettings(size="mini")
    for seed in SEEDS:
        recipe = Recipe(scene="dots", group="dots", generator="leaves", capture_seed=seed)
        session = session_for(recipe, settings)
        hr, lr = (dataclasses.replace(shot, noise=False) for shot in (session.hr, session.lr))
        session = dataclasses.replace(session, hr=hr, lr=lr)
        artwork, places = _card(session, seed)
        seen = np.column_stack([places, np.ones(len(places))]) @ session.cameras[1].card_to_image.T
        scene = shoot(recipe, settings, session=session, artwork=artwork)
        made.append(DotScene(scene, seen[:, :2] / seen[:, 2:]))
    return made


def _light(image: Image) -> Array:
    """Sum of the channels in linear light (sRGB, written out here)."""
    value = image.astype(float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).sum(axis=2)


def _find(light: Array, guess: Array, radius: float, sigma: float) -> Array | None:
    """Centre (x, y) of a round dark dot on a card lit unevenly, by least squares in a disc; None near the border."""
    left, top = np.floor(guess - radius).astype(int)
    side = int(np.ceil(2 * radius)) + 2
    if min(left, top) < 0 or left + side > light.shape[1] or top + side > light.shape[0]:
        return None
    y, x = np.mgrid[top : top + side, left : left + side].astype(float)
    disc = np.hypot(x - guess[0], y - guess[1]) <= radius
    x, y, value = x[disc], y[disc], light[top : top + side, left : left + side][disc]
    level = np.percentile(value, 90)

    def difference(parameters: Array) -> Array:
        cx, cy, width, depth, base, slope_x, slope_y = parameters
        dx, dy = x - cx, y - cy
        ground = base + (slope_x * dx + slope_y * dy) / radius
        return ground * (1 - depth * np.exp(-(dx**2 + dy**2) / (2 * width**2))) - value / level

    return least_squares(difference, [*guess, sigma, 0.8, 1, 0, 0]).x[:2]


def _offsets(dots: DotScene, pair: Alignment) -> Array:
    """Where published HR has each dot minus where published LR has it, in HR px, (N, 2)."""
    hr, lr = _light(pair.hr), _light(pair.lr)
    session = dots.scene.truth.session
    mm_per_lr_px = session.hr_px_mm * session.zoom
    found = []
    for guess in dots.places_lr - np.array([pair.crop.x, pair.crop.y]):
        in_lr = _find(lr, guess, FITTED_MM / mm_per_lr_px, DOT_SIGMA_MM / mm_per_lr_px)
        if in_lr is None:
            continue
        expected = SCALE * (in_lr + 0.5) - 0.5
        in_hr = _find(hr, expected, SCALE * FITTED_MM / mm_per_lr_px, SCALE * DOT_SIGMA_MM / mm_per_lr_px)
        if in_hr is not None:
            found.append(in_hr - expected)
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize(("refine", "mean_bound", "rms_bound"), [("radial", 0.05, 0.15), ("none", 0.12, 0.25)])
def test_published_hr_and_lr_show_the_dots_at_the_same_place(
    dot_scenes: list[DotScene], refine: str, mean_bound: float, rms_bound: float
) -> None:
    for dots in dot_scenes:
        pair = align_pair(dots.scene.hr, dots.scene.lr, scale=SCALE, refine=refine)
        assert isinstance(pair, Alignment)
        assert pair.accepted, pair.reasons
        offsets = _offsets(dots, pair)
        assert len(offsets) >= 12
        assert np.hypot(*offsets.mean(axis=0)) < mean_bound
        assert np.sqrt((offsets**2).sum(axis=1).mean()) < rms_bound
