"""HR captures that owe their size to software are rejected, and say so; those of a lens are not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from d2crealsr import opencv
from d2crealsr.align import Alignment, align_pair
from d2crealsr.quality.verdict import explain
from d2crealsr.settings import AlignSettings
from d2crealsr.simulate import SimulateSettings, default_recipes, shoot, wheel_library
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.simulate import Scene

FIELD = Path(__file__).resolve().parents[2] / "../shared/field/dataset"


def test_lr_enlarged_and_sharpened_is_no_hr(mini_scene: Callable[..., Scene]) -> None:
    """The middle of LR, enlarged to the size of HR, fits LR perfectly. There is nothing in it that LR lacks."""
    lr = mini_scene("leaves", 2).lr
    (height, width), size = (side // 8 for side in lr.shape[:2]), Size.of(lr)
    top, left = (lr.shape[0] - height) // 2, (lr.shape[1] - width) // 2
    large = opencv.resize(lr[top : top + height, left : left + width].astype("float32"), size, "cubic")
    large += 2 * (large - opencv.blur(large, 4))
    pair = align_pair(opencv.as_image(large.round().clip(0, 255).astype("uint8")), lr)
    assert isinstance(pair, Alignment)
    assert "hr_not_sharper" in pair.reasons
    assert pair.statistics["sharpness_ratio"] > 1
    assert pair.statistics["detail_scale"] < 1.5
    assert "detail_scale" in explain(pair.statistics, AlignSettings())


@pytest.mark.skipif(not FIELD.is_dir(), reason=f"{FIELD} is not there")
@pytest.mark.parametrize(("name", "reasons"), [("digital_zoom", ("hr_not_sharper",)), ("good", ())])
def test_what_failed_in_the_field(name: str, reasons: tuple[str, ...]) -> None:
    pair = align_pair(FIELD / name / "hr" / "a.jpg", FIELD / name / "lr" / "a.jpg")
    assert isinstance(pair, Alignment)
    assert pair.reasons == reasons


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 3])
def test_a_collage_of_photographs_is_accepted_at_small_scales(scale: int) -> None:
    """An ordinary lens, whose detail ends near LR's own limit at these scales."""
    scene = shoot(default_recipes(2, 0, wheel_library())[1], SimulateSettings(size="mini", scale=scale, seed=1))
    pair = align_pair(scene.hr, scene.lr, scale=scale)
    assert isinstance(pair, Alignment)
    assert pair.reasons == ()
    assert pair.statistics["detail_scale"] < 1.2
