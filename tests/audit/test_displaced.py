"""Pairs whose HR is displaced further than blocks can measure, made without the package's own resampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from d2crealsr.audit.benchmark_loss import loss_db
from d2crealsr.audit.folder import AuditSettings, audit
from d2crealsr.audit.measurement import MIN_WEIGHT, TONE, Measurement, measure_placement
from d2crealsr.audit.pair import MEASURED, classify, is_measured, measure_pair
from d2crealsr.imaging import degrade, geometry
from d2crealsr.types import Size
from tests.audit.test_folder import CLEAN, HEIGHT, MARGIN, WIDTH, pair, scene, write_pair

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def tinted(
    images: tuple[NDArray[np.uint8], NDArray[np.uint8]], scale: int, shift: tuple[int, int]
) -> list[NDArray[np.uint8]]:
    """A pair with colours that lie where its content lies; ``shift`` is that of HR in whole HR px."""
    light = scene(scale, 9)
    x, y = MARGIN - shift[0], MARGIN - shift[1]
    hr = light[y : y + HEIGHT * scale, x : x + WIDTH * scale]
    lr = light[MARGIN:-MARGIN, MARGIN:-MARGIN].reshape(HEIGHT, scale, WIDTH, scale).mean(axis=(1, 3))
    found = []
    for image, own in zip(images, (hr, lr), strict=True):
        tint = own[..., None] ** np.array([1.0, 0.6, 2.0])
        found.append(np.rint(image * np.clip(tint * 2, 0, 1) ** (1 / 2.2)).astype(np.uint8))
    return found


def placed(hr: NDArray[np.uint8], lr: NDArray[np.uint8], scale: int) -> Measurement:
    published = geometry.CaptureMapping(
        H_hr_to_lr=geometry.inverse(geometry.scaling(scale)), hr_size=Size.of(hr), lr_size=Size.of(lr)
    )
    return measure_placement(lr, degrade.reduced(hr, scale, TONE), published, scale)


@pytest.mark.parametrize(("scale", "shift"), [(4, (6, 2)), (4, (-10, 3)), (2, (-7, 4)), (2, (19, -12))])
def test_a_large_shift_is_measured_where_hr_lies(tmp_path: Path, scale: int, shift: tuple[int, int]) -> None:
    hr, lr = tinted(pair(scale, shift=shift), scale, shift)
    write_pair(tmp_path, "1", (hr, lr))
    write_pair(tmp_path, "2", tuple(tinted(pair(scale), scale, (0, 0))))
    result = audit(tmp_path)
    moved, still = (row for _, row in result.table.iterrows())
    assert (moved["verdict"], still["verdict"]) == ("misaligned", "clean")
    assert [moved["constant_x_hr_px"], moved["constant_y_hr_px"]] == pytest.approx(shift, abs=0.05)
    assert [moved["coarse_x_hr_px"], moved["coarse_y_hr_px"]] == pytest.approx(shift, abs=0.75 * scale)
    assert (moved["residual_shape"], moved["unlike_fraction"], moved["differing_hr_px"]) == ("uniform", 0, 0)
    assert moved["weight"] > 0.7 * still["weight"]
    assert moved["colour_ratio"] == pytest.approx(still["colour_ratio"], abs=0.05)
    assert moved["sigma_blur_hr_px"] == pytest.approx(still["sigma_blur_hr_px"], rel=0.1)
    assert moved["floor_smooth_hr_px"] < 0.1
    assert moved["registration_loss_db"] == loss_db(scale, scale)
    field = result.fields[(result.fields["scene"] == "1") & (result.fields["weight"] > 0.5)]
    assert field["dx_hr_px"].median() == pytest.approx(shift[0], abs=0.1)
    assert field[["lr_x", "lr_y"]].min().min() > 0
    assert field["lr_x"].max() < WIDTH


def test_a_foreign_object_is_sought_where_hr_lies() -> None:
    hr, lr = pair(4, shift=(10.0, -6.0))
    y, x = np.indices(lr.shape[:2])
    lr[np.hypot(x - 60, y - 50) < 6] = 20
    found = measure_pair(hr, lr, 4).statistics
    assert found["differing_x"] + found["differing_width"] / 2 == pytest.approx(60, abs=2)
    assert found["differing_y"] + found["differing_height"] / 2 == pytest.approx(50, abs=2)


@pytest.mark.parametrize("kind", ["other scene", "turned", "mirrored"])
def test_a_coarse_shift_that_blocks_do_not_confirm_changes_nothing(kind: str) -> None:
    hr, lr = pair(2, seed=1, lr_seed=2 if kind == "other scene" else None)
    hr = {"other scene": hr, "turned": hr[::-1, ::-1], "mirrored": hr[:, ::-1]}[kind]
    found = placed(hr, lr, 2)
    assert found.coarse_lr_px.any()
    assert found.weight < MIN_WEIGHT
    assert not found.start_lr_px.any()
    assert found.lr.crop == (0, 0, WIDTH, HEIGHT)
    np.testing.assert_array_equal(found.field.shifts_hr_px, found.from_start.shifts_hr_px)
    assert classify(measure_pair(hr, lr, 2).statistics, 2, AuditSettings())[0] == "different_content"


def test_what_blocks_measure_at_the_published_position_stays() -> None:
    found = placed(*pair(4, shift=(4.6, 0.0)), 4)
    assert found.weight > MIN_WEIGHT
    assert found.coarse_lr_px.any()
    assert not found.start_lr_px.any()


@pytest.mark.parametrize(
    ("verdict", "changed", "measured"),
    [
        ("clean", {}, True),
        ("misaligned", {}, True),
        ("misaligned", {"weight": 0.0, "coarse_x_hr_px": -13.0}, True),
        ("different_colours", {}, True),
        ("different_colours", {"weight": 7.0}, False),
        ("different_colours", {"floor_smooth_hr_px": 0.3}, False),
        ("different_content", {}, False),
        ("too_little_texture", {}, False),
    ],
)
def test_measured_pairs_are_those_whose_shift_is_known(verdict: str, changed: dict[str, float], measured: bool) -> None:
    assert set(CLEAN) == set(MEASURED)
    assert is_measured(verdict, CLEAN | changed, 4, AuditSettings()) is measured


def test_the_medians_are_of_measured_pairs(tmp_path: Path) -> None:
    hr, lr = pair(4, seed=1)
    write_pair(tmp_path, "1", (hr, lr))
    small_hr, small_lr = pair(4, seed=3, shift=(3.0, 0.0), noise=0.05)
    write_pair(tmp_path, "2", (small_hr[:128, :128], small_lr[:32, :32]))
    write_pair(tmp_path, "3", pair(4, seed=1, lr_seed=2))
    write_pair(tmp_path, "4", (hr[:60], lr))
    bluish = small_lr[:32, :32] * np.linspace([1, 1, 0.2], [1, 1, 1], 32)
    write_pair(tmp_path, "5", (small_hr[:128, :128], bluish.astype(np.uint8)))
    result = audit(tmp_path)
    good = result.table.iloc[0]
    assert result.table["verdict"].tolist() == [
        *("clean", "too_little_texture", "different_content", "wrong_size", "different_colours")
    ]
    assert result.table["residual_p50_hr_px"].iloc[[1, 4]].notna().all()
    assert (result.alignment_known, result.measured) == ((True, False, False, False, False), 1)
    for name in ("residual_p50_hr_px", "smooth_hr_px", "floor_p50_hr_px", "floor_smooth_hr_px"):
        assert result.summary[name] == good[name]
    assert result.table["registration_loss_db"].notna().tolist() == [True, False, False, False, False]
    assert result.summary["registration_loss_db"] == good["registration_loss_db"]
