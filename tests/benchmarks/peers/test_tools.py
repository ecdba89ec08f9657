"""Other people's tools get two images that lie where they are said to, and find what OpenCV's recipes find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.peers import opencv_recipes, tools
from benchmarks.scenes import captures_of
from d2crealsr import opencv
from d2crealsr.imaging import geometry
from d2crealsr.imaging.degrade import zncc
from d2crealsr.types import Size

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.scenes import BenchScene


def test_recipes_find_nothing_where_nothing_is() -> None:
    blank = np.full((800, 1200, 3), 128, np.uint8)
    assert {name: recipe(blank, blank, 8) for name, recipe in opencv_recipes.RECIPES.items()} == dict.fromkeys(
        opencv_recipes.RECIPES
    )


@pytest.mark.slow
def test_skimage_peers_align(mini: BenchScene, cache: Path) -> None:
    hr, lr = captures_of(mini, cache)
    for peer in tools.PEERS[:2]:
        H = peer.align(hr, lr, 8)
        assert H is not None, peer.name
        assert mini.error_of(mini.mapping(H), mini.true_crop).mean < 8


def test_what_peers_get_lies_where_it_is_said_to(mini: BenchScene, cache: Path) -> None:
    bridge = tools.Bridge.of(*captures_of(mini, cache), 8)
    H = geometry.compose(bridge.H_lr_to_lr2, mini.truth.H_hr_to_lr, geometry.inverse(bridge.H_hr_to_hr4))
    inner = np.s_[150:250, 100:200] if bridge.lr.shape[0] > bridge.lr.shape[1] else np.s_[150:250, 225:375]

    def likeness(x: float, y: float) -> float:
        moved = geometry.inverse(geometry.compose(geometry.translation(x, y), H))
        size = Size(bridge.lr.shape[1], bridge.lr.shape[0])
        return zncc(opencv.warp(bridge.hr, moved, size, "cubic")[inner], bridge.lr[inner])

    for axis in ((1.0, 0.0), (0.0, 1.0)):
        below, at, above = (likeness(step * axis[0], step * axis[1]) for step in (-1, 0, 1))
        peak = (below - above) / (2 * (below - 2 * at + above))
        assert abs(peak) < 0.12  # a forgotten half pixel is .375 of these pixels


def test_control_points_of_the_first_two_images() -> None:
    project = "p f0\nc n0 N1 x10 y20 X11.5 Y21 t0\nc n1 N1 x1 y2 X3 Y4 t1\n"
    source, target = tools.control_points(project)
    assert source.tolist() == [[10, 20]]
    assert target.tolist() == [[11.5, 21]]
    assert tools.control_points("")[0].shape == (0, 2)
