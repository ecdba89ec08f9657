"""Cards with marks: each scene is a page, and other scenes are made as without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from d2crealsr.errors import SettingsError
from d2crealsr.simulate import SimulateSettings, folder_library, simulate
from d2crealsr.simulate.recipe import page_recipes
from d2crealsr.simulate.resolution import at_resolution
from d2crealsr.store.images import write_image

if TYPE_CHECKING:
    from pathlib import Path

MARKED = SimulateSettings(size="mini", scenes=5, nuisances=("marked-cards",))


def test_every_page_is_a_scene_of_its_own(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        write_image(tmp_path / f"{name}.png", np.zeros((20, 30, 3), np.uint8))
    recipes = page_recipes(5, 0, folder_library(tmp_path))
    assert [(recipe.scene, recipe.source, recipe.generator) for recipe in recipes] == [
        ("001", ("a",), "smooth"),
        ("002", ("b",), "smooth"),
        ("003", ("c",), "smooth"),
    ]
    assert len({recipe.capture_seed for recipe in recipes}) == 3


def test_pages_have_to_be_given(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"marked-cards needs the rendered pages .* in --photos; add it"):
        simulate(tmp_path / "raw", settings=MARKED)


def test_a_coarse_print_loses_detail_and_darkens() -> None:
    fine = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    coarse, as_fine = at_resolution(fine, 25.4, 30), at_resolution(fine, 25.4, 120, dot_gain=0.0)
    assert coarse.shape == fine.shape
    assert coarse.std() < 0.4 * as_fine.std() < fine.std()
    flat = np.full((80, 120, 3), 188, np.uint8)  # half of the light
    assert np.abs(at_resolution(flat, 25.4, 60, dot_gain=0.0).astype(int) - 188).max() <= 1
    assert abs(at_resolution(flat, 25.4, 60, dot_gain=0.15).mean() - 160) <= 1  # .35 of the light
