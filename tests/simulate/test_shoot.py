"""Shots of fine print, and of another card than HR."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.errors import SettingsError
from d2crealsr.simulate import Scene, SimulateSettings, default_recipes, session_for, shoot
from d2crealsr.simulate.photographs import Library, folder_library, wheel_library
from d2crealsr.simulate.recipe import Recipe
from d2crealsr.simulate.session import Shot
from d2crealsr.simulate.shoot import card_size
from d2crealsr.store.images import write_image
from d2crealsr.types import Size


def straight(shot: Shot) -> Shot:
    return replace(shot, tilt_x=0.0, tilt_y=0.0, roll=0.0, shift_x=0.0, shift_y=0.0, vignetting=0.0, noise=False)


def test_at_scale_1_fine_print_shows_no_coarse_patterns() -> None:
    """Lines every third card px, two px of the captures, are the finest that a capture can show."""
    recipe = default_recipes(1, 0, wheel_library())[0]
    settings = SimulateSettings(size="mini", scale=1)
    drawn = session_for(recipe, settings)
    session = replace(drawn, size=Size(240, 160), zoom=1.0, hr=straight(drawn.hr), lr=straight(drawn.lr))
    size = card_size(session)
    lines = np.full((size.height, size.width, 3), 60, np.uint8)
    lines[:, ::3] = 200
    made = shoot(recipe, settings, session=session, artwork=lines)
    for capture in (made.hr, made.lr):
        coarse = opencv.blur(capture.astype(np.float32).mean(axis=2), 3.0)
        assert coarse[10:-10, 10:-10].std() < 0.2


def wrong_scene(library: Library, generator: str, source: tuple[str, ...]) -> Scene:
    recipe = Recipe(scene="007", group=source[0], generator=generator, source=source)
    settings = SimulateSettings(size="mini", scale=2, nuisances=("wrong-scene",))
    session = replace(session_for(recipe, settings), size=Size(240, 160), zoom=2.0)
    return shoot(recipe, settings, library=library, session=session)


@pytest.mark.parametrize("generator", ["filled", "plain"])
def test_a_wrong_scene_needs_a_photograph_that_its_card_does_not_show(tmp_path: Path, generator: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (2, 40, 60, 3), np.uint8)
    write_image(tmp_path / "a.png", noise[0])
    only = folder_library(tmp_path)
    if generator == "filled":
        with pytest.raises(SettingsError, match=r"scene 007 does not show, and there is none; add one to --photos"):
            wrong_scene(only, generator, ("a",))
        write_image(tmp_path / "b.png", noise[1])
    assert not wrong_scene(folder_library(tmp_path), generator, ("a",)).truth.session.same_scene


def test_other_photographs_are_none_that_a_card_shows() -> None:
    photographs = wheel_library()
    assert set(photographs.others("flight", ("astronaut",))) == {"coffee", "clock"}
    assert set(photographs.others("flight", ("coffee",))) == {"camera", "chelsea"}  # of a manifest
    assert not photographs.others("own", tuple(photographs.paths))
    assert photographs.others("own", tuple(photographs.paths)[1:]) == ("astronaut",)
