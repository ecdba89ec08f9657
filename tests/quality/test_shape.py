"""The shape of residual fields that are known: each model's own field under realistic noise, and simulated captures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from d2crealsr.align import Alignment, align_pair
from d2crealsr.quality.shape import Shape, name_shape
from d2crealsr.simulate import Recipe, SimulateSettings, shoot
from d2crealsr.store.shapes import RESIDUAL_SHAPES
from d2crealsr.types import Crop, ResidualField

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

HALF, MINI = Crop(80, 60, 216, 144), Crop(40, 30, 86, 56)
"""Default crops at x8 of half-size and mini captures: 54 and 24 blocks."""
CENTRE = np.array([188.0, 131.0])

Points = Any


def blocks(crop: Crop) -> NDArray[np.float64]:
    columns, rows = (9, 6) if crop is HALF else (6, 4)
    x = crop.x + crop.width / columns * (np.arange(columns) + 0.5) - 0.5
    y = crop.y + crop.height / rows * (np.arange(rows) + 0.5) - 0.5
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def named(shifts: Callable[[Points], Points], *, crop: Crop = HALF, seed: int = 0, outliers: int = 3) -> Shape:
    """The shape of a field with the noise of real ones: by texture, with long tails, and blocks that are wrong."""
    rng = np.random.default_rng(seed)
    points = blocks(crop)
    spread = rng.lognormal(np.log(0.08), 0.6, len(points))
    noise = spread[:, None] * rng.standard_t(5, points.shape)
    wrong = rng.permutation(len(points))[:outliers]
    noise[wrong] += rng.normal(0, 3, (outliers, 2))
    weights = 1 / (1 + (spread / 0.2) ** 2)
    weights[rng.permutation(len(points))[: len(points) // 10]] = 0
    field = ResidualField(
        points_lr=points, shifts_hr_px=shifts(points) + noise, weights=weights, zncc=np.ones(len(points))
    )
    return name_shape(field, crop, CENTRE if crop is HALF else None)


def nothing(p: Points) -> Points:
    return np.zeros_like(p)


def uniform(p: Points) -> Points:
    return np.broadcast_to([0.25, -0.12], p.shape)


def turned(p: Points) -> Points:
    return (p - p.mean(axis=0)) @ np.array([[0.0, 0.004], [-0.004, 0.0]]) + [0.05, 0.02]


def seen_from_elsewhere(p: Points) -> Points:
    """What a small error of a homography's bottom row does."""
    from_middle = p - p.mean(axis=0)
    return from_middle * (from_middle @ np.array([5e-5, 0.0]))[:, None]


def lens(p: Points) -> Points:
    """Distortion about the HR frame's centre less most of the magnification that a homography would have taken."""
    from_centre = p - CENTRE
    r2 = np.sum(from_centre**2, axis=1, keepdims=True) / 130**2
    return from_centre * (r2 - 0.6) * 0.008


def bowed(p: Points) -> Points:
    """Parallax of a bowed card, seen after the camera moved across the bend."""
    t = (p[:, 0] - p[:, 0].mean()) / 108
    return np.stack([0.25 * (t**3 - 0.6 * t), 0.35 * (t**2 - 1 / 3)], axis=1)


def bowed_aslant(p: Points) -> Points:
    t = (p - p.mean(axis=0)) @ np.array([np.cos(2), np.sin(2)]) / 108
    return np.stack([0.9 * (t**2 - 1 / 3), 0.9 * (t**3 - 0.6 * t)], axis=1)


@pytest.mark.parametrize(
    ("shifts", "name"),
    [
        (uniform, "uniform"),
        (turned, "affine"),
        (seen_from_elsewhere, "affine"),
        (lens, "radial"),
        (bowed, "bent"),
        (bowed_aslant, "bent"),
    ],
)
def test_each_shape_is_named_under_noise_and_outliers(shifts: Callable[[Points], Points], name: str) -> None:
    found = [named(shifts, seed=seed) for seed in range(12)]
    assert [shape.name for shape in found] == [name] * 12
    points = np.stack(np.meshgrid(np.linspace(80, 295, 40), np.linspace(60, 203, 40)), axis=-1).reshape(-1, 2)
    true = float(np.sqrt(np.mean(np.sum(shifts(points) ** 2, axis=1))))
    assert np.median([shape.hr_px for shape in found]) == pytest.approx(true, rel=0.25)
    worst = float(np.max(np.hypot(*shifts(points).T)))
    assert np.median([shape.worst_hr_px for shape in found]) == pytest.approx(worst, rel=0.3, abs=0.15)


@pytest.mark.parametrize("crop", [HALF, MINI])
def test_noise_alone_has_no_shape(crop: Crop) -> None:
    """Outliers must not make names of it; one or two in 150 may come by chance."""
    found = [named(nothing, crop=crop, seed=seed, outliers=4) for seed in range(150)]
    assert sum(shape.name != "random" for shape in found) <= 2
    assert np.median([shape.hr_px for shape in found]) == pytest.approx(0.15, abs=0.05)
    assert {shape.worst_hr_px for shape in found if shape.name == "random"} == {0.0}


def test_few_cells_show_a_bias_all_the_same() -> None:
    assert {named(uniform, crop=MINI, seed=seed).name for seed in range(10)} == {"uniform"}


def test_what_is_too_small_to_matter_is_not_named() -> None:
    """A bias of a hundredth of a pixel that is certain, and a trace of a lens beside a large bias."""
    points = blocks(HALF)

    def shape_of(shifts: Points) -> str | None:
        weights = np.ones(len(points))
        return name_shape(
            ResidualField(points_lr=points, shifts_hr_px=shifts, weights=weights, zncc=weights), HALF, CENTRE
        ).name

    trace = np.random.default_rng(0).normal(0, 0.005, points.shape)
    assert shape_of(trace + 0.02) == "random"
    assert shape_of(trace + lens(points)) == "radial"
    assert shape_of(trace + lens(points) + 3.0) == "uniform"


def test_a_field_that_says_nothing_has_no_shape() -> None:
    empty = np.empty((0, 2))
    for points, weights in ((empty, np.empty(0)), (blocks(HALF), np.zeros(54))):
        field = ResidualField(points_lr=points, shifts_hr_px=0 * points, weights=weights, zncc=weights)
        found = name_shape(field, HALF)
        assert found.name is None
        assert np.isnan(found.hr_px)
        assert np.isnan(found.worst_hr_px)


def test_one_block_is_no_pattern() -> None:
    weights = np.zeros(54)
    weights[7] = 1
    field = ResidualField(points_lr=blocks(HALF), shifts_hr_px=np.ones((54, 2)), weights=weights, zncc=np.ones(54))
    assert name_shape(field, HALF).name == "random"


@pytest.fixture(scope="module")
def distorted() -> Any:
    recipe = Recipe(scene="scene", group="scene", generator="leaves", texture_seed=2, capture_seed=2)
    return shoot(recipe, SimulateSettings(size="mini", nuisances=("distortion-2",)))


@pytest.mark.parametrize(("refine", "names"), [("homography", {"radial"}), ("radial", {"random"})])
def test_a_lens_that_was_left_out_shows_as_radial(distorted: Any, refine: str, names: set[str]) -> None:
    pair = align_pair(distorted.hr, distorted.lr, refine=refine)
    assert isinstance(pair, Alignment)
    assert pair.residual_shape in names
    assert (pair.statistics["residual_shape_hr_px"] > 0.5) == (refine == "homography")


def test_every_name_has_words() -> None:
    for words in RESIDUAL_SHAPES.values():
        assert all(len(part) > 5 for part in words)
