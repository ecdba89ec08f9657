"""The recipe of postcards: photographs alone, none in two groups, and no enlargement where four are shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from d2crealsr.errors import ImageError, SettingsError
from d2crealsr.simulate import SIZES, SimulateSettings, folder_library, simulate, wheel_library
from d2crealsr.simulate.card import draw_artwork
from d2crealsr.simulate.postcards import postcard_recipes
from d2crealsr.simulate.recipe import POSTCARDS
from d2crealsr.simulate.recipe_table import read_recipes
from d2crealsr.simulate.shoot import landscape_card
from d2crealsr.store import write_image
from d2crealsr.types import Size

MANIFEST = Path(__file__).parents[2] / "postcards_manifest.csv"
CARD = Size(480, 312)


def library(folder, count, width=300, height=200):
    for number in range(count):
        write_image(folder / f"{number:02d}.png", np.full((height, width, 3), 20 * number, np.uint8))
    return folder_library(folder)


@pytest.mark.parametrize("count", [1, 3, 4, 5, 7, 8, 9, 12])
def test_no_photograph_is_in_two_groups_and_every_one_is_shown(tmp_path, count):
    photographs = library(tmp_path, count)
    made = postcard_recipes(60, 3, photographs, CARD)
    groups = {}
    for recipe in made.recipes:
        for name in recipe.source:
            assert groups.setdefault(name, recipe.group) == recipe.group
    assert made.photographs == len(groups) == count
    assert made.groups == len(set(groups.values())) == max(1, count // 4)


def test_photographs_that_belong_together_stay_together():
    photographs = wheel_library()
    for recipe in postcard_recipes(40, 1, photographs, CARD).recipes:
        assert {photographs.groups_of[name] for name in recipe.source} == {recipe.group}
        assert recipe.source_licence


def test_each_group_has_every_layout_and_first_scenes_do_not_depend_on_how_many_follow(tmp_path):
    photographs = library(tmp_path, 8)
    recipes = postcard_recipes(12, 0, photographs, CARD).recipes
    for group in {recipe.group for recipe in recipes}:
        assert {recipe.generator for recipe in recipes if recipe.group == group} == set(POSTCARDS)
    assert postcard_recipes(5, 0, photographs, CARD).recipes == recipes[:5]
    assert recipes != postcard_recipes(12, 1, photographs, CARD).recipes


@pytest.mark.parametrize(("width", "shown"), [(240, True), (239, False)])
def test_four_photographs_are_shown_only_if_none_is_enlarged(tmp_path, width, shown):
    made = postcard_recipes(12, 0, library(tmp_path, 4, width=width), CARD)
    assert made.tiles is shown
    assert ("tiles" in {recipe.generator for recipe in made.recipes}) is shown


def test_four_photographs_fill_a_quarter_each_and_their_pixels_are_averaged():
    checkers = (np.indices((624, 960)).sum(axis=0) % 2).astype(np.uint8)
    pictures = [np.repeat(level * checkers[..., None], 3, 2) for level in (200, 100, 50, 24)]
    card = draw_artwork("tiles", CARD, 3.2, pictures, np.random.default_rng(0))
    quarters = [card[top : top + 156, left : left + 240] for top in (0, 156) for left in (0, 240)]
    assert all(np.ptp(quarter) <= 1 for quarter in quarters)
    assert sorted(int(quarter.mean().round()) for quarter in quarters) == [12, 25, 50, 100]


def test_postcards_manifest_is_the_recipe_of_seed_0():
    photographs = wheel_library()
    made = postcard_recipes(42, 0, photographs, landscape_card(SIZES["mini"]))
    assert read_recipes(MANIFEST, photographs) == made.recipes
    assert made.recipes == postcard_recipes(42, 0, photographs, landscape_card(SIZES["half"])).recipes
    assert made.photographs == len(photographs.paths)


def test_the_captures_are_made_and_what_they_show_is_said(tmp_path):
    said = []
    library(tmp_path / "photographs", 5, width=1100, height=700)
    settings = SimulateSettings(size="mini", scenes=1)
    simulate(tmp_path / "raw", settings=settings, photos=tmp_path / "photographs", recipe="postcards", note=said.append)
    manifest = pd.read_csv(tmp_path / "raw" / "manifest.csv", dtype=str)
    assert list(manifest.generator) == ["filled"]
    assert len(set(manifest.group)) == 1
    assert said[0].startswith("cards: 1, distinct photographs on them: 1, in one group")
    assert "covers 1.3 HR px, so that HR has detail for ×6.4 of ×8" in said[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"recipe": "letters"}, "recipe: got 'letters', expected one of postcards"),
        ({"recipe": "postcards", "manifest": MANIFEST}, "got 'postcards', but --manifest names the scenes"),
        ({"recipe": "postcards", "nuisances": ("marked-cards",)}, "takes the pages as they are; leave one of them out"),
    ],
)
def test_choices_that_exclude_each_other_are_refused(tmp_path, given, message):
    library(tmp_path / "photographs", 1)
    settings = SimulateSettings(size="mini", nuisances=given.pop("nuisances", ()))
    with pytest.raises(SettingsError, match=message):
        simulate(tmp_path / "raw", settings=settings, photos=tmp_path / "photographs", **given)
    assert not (tmp_path / "raw").exists()


def test_a_wrong_scene_shows_no_photograph_of_its_card(tmp_path):
    photographs = library(tmp_path, 8)
    for recipe in postcard_recipes(12, 0, photographs, CARD).recipes:
        assert not set(photographs.others(recipe.group, recipe.source)) & set(recipe.source)


def test_a_damaged_photograph_is_named_with_its_folder(tmp_path):
    path = tmp_path / "cut.png"
    path.write_bytes(b"no image")
    photographs = folder_library(tmp_path)
    for use in (photographs.size_of, photographs.read):
        with pytest.raises(ImageError, match=f"^{path}: "):
            use("cut")
