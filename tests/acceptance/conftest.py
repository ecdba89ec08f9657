"""Scenes with known truth, and how far an alignment of them is off."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from d2crealsr.align import Alignment
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.simulate import Recipe, Scene, SimulateSettings, default_recipes, shoot, wheel_library
from d2crealsr.truth.mapping_error import MappingError, mapping_error
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.types import AlignmentFailure, Matrix


def _recipe(kind: str, seed: int) -> Recipe:
    """A card of dead leaves, or the mixed card of photographs, leaves and text that seed draws."""
    if kind == "mixed":
        return default_recipes(3, seed, wheel_library())[2]
    return Recipe(scene="scene", group="scene", generator=kind, texture_seed=seed, capture_seed=seed)


@pytest.fixture(scope="session")
def mini_scene() -> Callable[..., Scene]:
    """``mini_scene(kind, seed, *nuisances)``: a small scene, each made once."""

    @cache
    def make(kind: str, seed: int, *nuisances: str) -> Scene:
        return shoot(_recipe(kind, seed), SimulateSettings(size="mini", nuisances=nuisances))

    return make


def _error(
    outcome: Alignment | AlignmentFailure,
    H_hr_to_lr: Matrix,
    hr_size: tuple[int, int],
    lr_size: tuple[int, int],
    k1_hr: float = 0.0,
    k1_lr: float = 0.0,
) -> MappingError:
    assert isinstance(outcome, Alignment), outcome
    sizes = {"hr_size": Size(*hr_size), "lr_size": Size(*lr_size)}
    true = CaptureMapping(H_hr_to_lr=H_hr_to_lr, k1_hr=k1_hr, k1_lr=k1_lr, **sizes)
    return mapping_error(outcome.estimate.placement, true)


@pytest.fixture(scope="session")
def error_against() -> Callable[..., MappingError]:
    """``error_against(outcome, H_hr_to_lr, hr_size, lr_size, k1_hr=0)``: error over the crop, in HR px."""
    return _error


@pytest.fixture(scope="session")
def error_of() -> Callable[[Alignment | AlignmentFailure, Scene], MappingError]:
    """Error of an alignment of a simulated scene's captures as they are."""

    def measure(outcome: Alignment | AlignmentFailure, scene: Scene) -> MappingError:
        session = scene.truth.session
        return _error(outcome, scene.truth.H_hr_to_lr, session.size, session.size, session.hr.k1, session.lr.k1)

    return measure


@pytest.fixture(scope="session")
def resized() -> Callable[[Size | tuple[int, int], Size | tuple[int, int]], Matrix]:
    """``resized(old, new)``: homography of pixel centres that resizing an image does, written out here on its own."""

    def matrix(old: tuple[int, int], new: tuple[int, int]) -> Matrix:
        fx, fy = new[0] / old[0], new[1] / old[1]
        return np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2], [0, 0, 1.0]])

    return matrix
