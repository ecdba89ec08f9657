"""A card with dots at known places, and how to find them again: the independent witness of the simulator's truth."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from d2crealsr.simulate import Recipe, SimulateSettings, session_for
from d2crealsr.simulate.shoot import card_size

if TYPE_CHECKING:
    from d2crealsr.simulate import Session

SIGMA_MM = 0.9


@dataclass(frozen=True)
class DotCard:
    """A pale card with dark Gaussian dots; ``places_mm`` (N, 2) from the card's centre."""

    artwork: np.ndarray
    places_mm: np.ndarray


def draw_dots(session: Session) -> DotCard:
    """Dots on a jittered grid clear of the card's edge: pixel (i, j) of W×H lies at ((i + .5)/W − .5)·150 mm."""
    size, (width_mm, height_mm) = card_size(session), session.card_mm
    rng = np.random.default_rng(5)
    columns, rows = (12, 8) if width_mm > height_mm else (8, 12)
    x, y = np.meshgrid((np.arange(columns) + 0.5) / columns - 0.5, (np.arange(rows) + 0.5) / rows - 0.5)
    places = 0.9 * np.column_stack([x.ravel() * width_mm, y.ravel() * height_mm]) + rng.uniform(-1, 1, (x.size, 2))
    xs = ((np.arange(size.width) + 0.5) / size.width - 0.5) * width_mm
    ys = ((np.arange(size.height) + 0.5) / size.height - 0.5) * height_mm
    grey = np.full((size.height, size.width), 220.0)
    for px, py in places:
        at_x, at_y = (np.exp(-((a - p) ** 2) / (2 * SIGMA_MM**2)) for a, p in ((xs, px), (ys, py)))
        grey -= 190 * at_y[:, None] * at_x
    dither = rng.random(grey.shape)
    return DotCard(np.repeat(np.floor(grey + dither).astype(np.uint8)[..., None], 3, axis=2), places)


def find_dot(light: np.ndarray, guess: np.ndarray, radius: float) -> np.ndarray | None:
    """Centroid (x, y) of the dark dot near ``guess`` in linear light, iterated under a Gaussian window; None near
    the border."""
    n = int(np.ceil(radius))
    place = np.array(guess, dtype=float)
    for step in range(30):
        if step < 3:
            x0, y0 = np.round(place).astype(int) - n
            if x0 < 0 or y0 < 0 or x0 + 2 * n >= light.shape[1] or y0 + 2 * n >= light.shape[0]:
                return None
            window = light[y0 : y0 + 2 * n + 1, x0 : x0 + 2 * n + 1]
            y, x = np.mgrid[y0 : y0 + 2 * n + 1, x0 : x0 + 2 * n + 1].astype(float)
            rim = np.hypot(x - place[0], y - place[1]) > 0.85 * n
            plane = np.column_stack([np.ones(rim.sum()), x[rim], y[rim]])
            a, b, c = np.linalg.lstsq(plane, window[rim], rcond=None)[0]
            depth = 1 - window / (a + b * x + c * y)
        weight = depth * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * (0.4 * radius) ** 2))
        new = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
        place = place + 1.4 * (new - place)
    return place


def apply(H: np.ndarray, points: np.ndarray) -> np.ndarray:
    """A homography on (N, 2) points, written out here so that nothing of the package judges itself."""
    mapped = np.column_stack([points, np.ones(len(points))]) @ H.T
    return mapped[:, :2] / mapped[:, 2:]


def linear(image: np.ndarray, channel: int = 1) -> np.ndarray:
    """8-bit sRGB to linear light, by the standard's formula."""
    value = image[..., channel].astype(float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def dot_session(seed: int, *nuisances: str, quiet: bool = False) -> Session:
    """Numbers of a mini scene; ``quiet`` without noise."""
    recipe = Recipe(scene="dots", group="dots", generator="plain", capture_seed=seed)
    session = session_for(recipe, SimulateSettings(size="mini", nuisances=nuisances))
    if quiet:
        hr, lr = (dataclasses.replace(shot, noise=False) for shot in (session.hr, session.lr))
        session = dataclasses.replace(session, hr=hr, lr=lr)
    return session


@pytest.fixture(scope="session")
def dots() -> SimpleNamespace:
    """The functions of this file, for tests (importlib mode has no package to import them from)."""
    return SimpleNamespace(
        draw=draw_dots, find=find_dot, apply=apply, linear=linear, session=dot_session, sigma_mm=SIGMA_MM
    )


@pytest.fixture(scope="session")
def any_recipe() -> Recipe:
    return Recipe(scene="any", group="any", generator="leaves", texture_seed=3, capture_seed=4)
