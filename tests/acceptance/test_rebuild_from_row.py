"""A published file rebuilt from its manifest row alone, and what the row's columns are enough for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from d2crealsr.build import build
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.imaging.warp import warp_hr
from d2crealsr.settings import AlignSettings
from d2crealsr.simulate import SimulateSettings, simulate
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.pairs import read_manifest
from d2crealsr.types import Crop, Photometry, Size

if TYPE_CHECKING:
    from d2crealsr.types import Image


_NUISANCES = ("distortion-0.5", "orientation-flags", "chromatic-aberration")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes with a distorting tele lens that has colour fringes, and orientation flags that differ."""
    folder = tmp_path_factory.mktemp("rebuild") / "raw"
    simulate(
        folder,
        settings=SimulateSettings(size="mini", scenes=2, nuisances=_NUISANCES, seed=3),
    )
    return folder


_SETTINGS = {
    "default": AlignSettings(),
    "plain": AlignSettings(refine="homography", brightness=False, max_residual_p50=9, max_residual_p95=9),
    "colours": AlignSettings(correct_ca=True),
}


@pytest.fixture(scope="module", params=list(_SETTINGS))
def pairs(request: pytest.FixtureRequest, raw: Path) -> Path:
    """By default; with neither lens nor light (a homography cannot take distortion: QA lets it by); with colours."""
    out = raw.parent / request.param
    build(raw, out, settings=_SETTINGS[request.param])
    return out


def _rebuilt(row: dict[str, Any], hr: Image, lr: Image) -> Image:
    """The published HR from a row of manifest.csv and the captures, nothing else."""
    mapping = CaptureMapping(
        H_hr_to_lr=np.array([[row[f"h{i}{j}"] for j in range(3)] for i in range(3)], dtype=np.float64),
        hr_size=Size(hr.shape[1], hr.shape[0]),
        lr_size=Size(lr.shape[1], lr.shape[0]),
        k1_hr=row["k1_hr"],
        k1_lr=row["k1_lr"],
    )
    light = Photometry(
        tone=row["tone"],
        gain=(row["gain_r"], row["gain_g"], row["gain_b"]),
        offset=(row["offset_r"], row["offset_g"], row["offset_b"]),
        field_x=row["field_x"],
        field_y=row["field_y"],
        field_r2=row["field_r2"],
    )
    ca_k = (row["ca_k_r"], row["ca_k_b"])
    return warp_hr(hr, mapping, _crop(row), int(row["scale"]), light, ca_k=ca_k)


def _crop(row: dict[str, Any]) -> Crop:
    return Crop(*(int(row[name]) for name in ("lr_x", "lr_y", "lr_width", "lr_height")))


def test_published_files_are_rebuilt_bit_by_bit(raw: Path, pairs: Path, tmp_path: Path) -> None:
    rows = read_manifest(pairs).to_dict("records")
    assert [row["status"] for row in rows] == ["accepted", "accepted"]
    for row in rows:
        hr, lr = (read_image(raw / row[f"{side}_source"]) for side in ("hr", "lr"))
        x, y, width, height = _crop(row)
        for side, image in (("hr", _rebuilt(row, hr, lr)), ("lr", lr[y : y + height, x : x + width])):
            write_image(tmp_path / f"{side}.png", np.ascontiguousarray(image))
            assert (tmp_path / f"{side}.png").read_bytes() == (pairs / row[f"{side}_path"]).read_bytes()


def test_the_row_is_needed(raw: Path, pairs: Path) -> None:
    """Every column that decides pixels: changed a little, the picture is another."""
    row = read_manifest(pairs).to_dict("records")[0]
    hr, lr = (read_image(raw / row[f"{side}_source"]) for side in ("hr", "lr"))
    published = read_image(pairs / row["hr_path"])
    changes = {
        "h02": 0.01,
        "k1_hr": 1e-4,
        "lr_x": 1,
        "gain_g": 0.01,
        "offset_b": 0.003,
        "field_x": 0.02,
        "ca_k_r": 5e-4,
        "ca_k_b": 5e-4,
    }
    for column, step in changes.items():
        changed = _rebuilt(row | {column: row[column] + step}, hr, lr)
        assert (changed != published).mean() > 0.01, column
