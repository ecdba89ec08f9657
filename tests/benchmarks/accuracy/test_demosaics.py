"""The cameras of the benchmark of demosaics put every colour where it belongs, and what it makes of its rows."""

import numpy as np
import pytest

from benchmarks.accuracy import demosaics
from d2crealsr.simulate.sensor import RAW_LEVELS, rggb

SIDE = 516
"""LibRaw's interpolation of X-Trans needs 512 px."""


@pytest.fixture(scope="module")
def waves() -> np.ndarray:
    """Light of three coloured waves on [0, 1], (H, W, 3)."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(float)
    phases = (0.11 * x + 0.05 * y, 0.07 * x - 0.12 * y + 1, 0.09 * x + 0.13 * y)
    return np.stack([0.4 + 0.2 * np.sin(phase) for phase in phases], axis=-1)


@pytest.mark.parametrize("name", demosaics.CAMERAS)
def test_a_camera_moves_no_colour(name: str, waves: np.ndarray) -> None:
    if "edge-aware" not in name:
        pytest.importorskip("rawpy", reason="rawpy is not installed (extra 'raw')")
    camera = demosaics.CAMERAS[name]
    black, white = RAW_LEVELS
    raw = np.round(black + (white - black) * waves).astype(np.uint16)
    rgb = camera.demosaic(demosaics.filtered(raw, camera.pattern))
    inner = np.s_[16:-16, 16:-16]
    for channel in range(3):
        light = waves[..., channel]
        error = ((rgb[..., channel].astype(float) - black) / (white - black) - light)[inner].ravel()
        slopes = np.column_stack([slope[inner].ravel() for slope in np.gradient(light)])
        assert np.abs(np.linalg.lstsq(slopes, error, rcond=None)[0]).max() < 2e-3
        assert error.std() < 0.01
        assert abs(error.mean()) < 1e-3


def test_the_filter_is_that_of_the_simulated_cameras() -> None:
    light = np.arange(6 * 8 * 3, dtype=np.uint16).reshape(6, 8, 3)
    np.testing.assert_array_equal(demosaics.filtered(light, "RGGB"), rggb(light.astype(np.float32)))
    assert {letter: demosaics.X_TRANS.count(letter) for letter in "RGB"} == {"R": 8, "G": 20, "B": 8}


def test_costs_are_paired_and_only_good_scenes_can_be_lost() -> None:
    def row(seed: int, camera: str, mean: float, status: str) -> dict[str, object]:
        return {"seed": seed, "camera": camera, "mean": mean, "sigma_hr_px": 0.01, "status": status}

    rows = [
        row(seed, camera, 0.01 * seed + (0.005 if camera == "X-Trans" else 0), "accepted")
        for camera in demosaics.CAMERAS
        for seed in (1, 2)
    ]
    rows += [row(3, camera, 0.5, "hr_not_sharper") for camera in demosaics.CAMERAS if camera != "X-Trans"]
    rows += [{"seed": 3, "camera": "X-Trans", "status": "low_texture"}]
    table = {line["camera"]: line for line in demosaics.summarise(rows)}
    assert table["X-Trans"]["scenes"] == 2
    assert table["X-Trans"]["cost"] == pytest.approx(0.005)
    assert table["X-Trans"]["low"] == pytest.approx(0.005)
    assert (table["X-Trans"]["rejected"], table["X-Trans"]["of"]) == (0, 2)
