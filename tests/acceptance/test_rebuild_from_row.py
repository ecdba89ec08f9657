"""A published file rebuilt from its manifest row alone, and what the row's columns are enough for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from d2crealsr.dataset.build import build
from d2crealsr.dataset.rejudge import published_from_row
from d2crealsr.settings import AlignSettings
from d2crealsr.simulate import SimulateSettings, simulate
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.pairs import read_manifest

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
    "plain": AlignSettings(refine="homography", brightness=False, qa_profile="off"),
    "colours": AlignSettings(correct_ca=True),
}


@pytest.fixture(scope="module", params=list(_SETTINGS))
def pairs(request: pytest.FixtureRequest, raw: Path) -> Path:
    """By default; with neither lens nor light (a homography cannot take distortion: QA lets it by); with colours."""
    out = raw.parent / request.param
    build(raw, out, settings=_SETTINGS[request.param])
    return out


def test_published_files_are_rebuilt_bit_by_bit(raw: Path, pairs: Path, tmp_path: Path) -> None:
    rows = read_manifest(pairs).to_dict("records")
    assert [row["status"] for row in rows] == ["accepted", "accepted"]
    for row in rows:
        hr, lr = (read_image(raw / row[f"{side}_source"]) for side in ("hr", "lr"))
        for side, image in zip(("hr", "lr"), published_from_row(row, hr, lr, AlignSettings()), strict=True):
            write_image(tmp_path / f"{side}.png", np.ascontiguousarray(image), names_colours=True)
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
        changed = published_from_row(row | {column: row[column] + step}, hr, lr, AlignSettings())[0]
        assert (changed != published).mean() > 0.01, column
