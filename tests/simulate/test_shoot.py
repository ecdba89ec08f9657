"""Shots of fine print."""

from dataclasses import replace

import numpy as np

from d2crealsr import opencv
from d2crealsr.simulate import SimulateSettings, default_recipes, session_for, shoot
from d2crealsr.simulate.photographs import wheel_library
from d2crealsr.simulate.session import Shot
from d2crealsr.simulate.shoot import card_size
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
