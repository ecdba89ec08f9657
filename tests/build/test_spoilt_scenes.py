"""Simulated scenes of which some are spoilt: what a stranger's first folder may look like."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from d2crealsr.cli import main
from d2crealsr.simulate import SimulateSettings, simulate
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.pairs import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

GOOD = ["001", "002", "003", "004", "005", "006"]


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six good captures; the spoilt ones are made of them."""
    raw = tmp_path_factory.mktemp("ten") / "raw"
    simulate(raw, settings=SimulateSettings(size="mini", scenes=len(GOOD)))
    return raw


def spoil(captures: Path, raw: Path) -> None:
    """More scenes: HR truncated in three formats, LR missing, HR and LR of different cards, both blank."""
    for side in ("hr", "lr"):
        shutil.copytree(captures / side, raw / side)
        write_image(raw / side / "blank.jpg", np.full((800, 1200, 3), 190, dtype=np.uint8))
    for suffix in (".jpg", ".png", ".tif"):
        whole = raw / "hr" / f"truncated_{suffix[1:]}{suffix}"
        write_image(whole, read_image(captures / "hr" / "001.jpg"))
        data = whole.read_bytes()
        whole.write_bytes(data[: len(data) * 2 // 3])
        shutil.copy(captures / "lr" / "001.jpg", raw / "lr" / f"{whole.stem}.jpg")
    shutil.copy(captures / "hr" / "001.jpg", raw / "hr" / "missing.jpg")
    shutil.copy(captures / "hr" / "002.jpg", raw / "hr" / "different.jpg")
    shutil.copy(captures / "lr" / "003.jpg", raw / "lr" / "different.jpg")


def test_six_are_accepted_and_the_others_say_why_not(captures: Path, tmp_path: Path) -> None:
    spoil(captures, tmp_path / "raw")
    result = CliRunner().invoke(main, ["align", str(tmp_path / "raw"), "--out", str(tmp_path / "pairs")])
    assert result.exit_code == 0, result.output
    table = read_manifest(tmp_path / "pairs").set_index("scene")
    assert table.index[table["status"] == "accepted"].tolist() == GOOD
    verdicts = {scene: (row["status"], row["reasons"]) for scene, row in table.drop(GOOD).iterrows()}
    assert verdicts.pop("different") in {("failed", "too_few_matches"), ("rejected", "not_same_scene")}
    assert verdicts == {
        "blank": ("failed", "low_texture"),
        "missing": ("failed", "missing_lr"),
        **{f"truncated_{kind}": ("failed", "unreadable") for kind in ("jpg", "png", "tif")},
    }
    assert sorted(path.stem for path in (tmp_path / "pairs" / "hr").iterdir()) == GOOD


def test_all_blank_is_exit_3(tmp_path: Path) -> None:
    for side in ("hr", "lr"):
        write_image(tmp_path / "raw" / side / "blank.png", np.full((800, 1200, 3), 190, dtype=np.uint8))
    result = CliRunner().invoke(main, ["align", str(tmp_path / "raw"), "--out", str(tmp_path / "pairs")])
    assert result.exit_code == 3
