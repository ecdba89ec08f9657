"""A stranger's first folder: ten scenes of which one is truncated, one incomplete, one wrong, one blank."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner, Result

from d2crealsr.command.cli import main
from d2crealsr.simulate import SimulateSettings, simulate
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.pairs import read_alignment, read_manifest

if TYPE_CHECKING:
    from pathlib import Path

GOOD = ["001", "002", "003", "004", "005", "006"]
SPOILT = {
    "007-truncated": [("failed", "unreadable")],
    "008-no-lr": [("failed", "missing_lr")],
    "009-other-card": [("failed", "too_few_matches"), ("rejected", "not_same_scene")],
    "010-blank": [("failed", "low_texture")],
}
BLANK = np.full((800, 1200, 3), 190, dtype=np.uint8)


def align(raw: Path, out: Path) -> Result:
    return CliRunner().invoke(main, ["align", str(raw), "--out", str(out)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RAW with ten scenes; the truncated one is written by the test. PAIRS beside it is filled by the first run, and
    the later runs do only the scene that changed."""
    base = tmp_path_factory.mktemp("ten")
    raw = base / "raw"
    simulate(raw, settings=SimulateSettings(size="mini", scenes=len(GOOD)))
    (raw / "manifest.csv").unlink()  # it lists six scenes; the folder now holds ten
    simulate(base / "other", settings=SimulateSettings(size="mini", scenes=1, seed=1, nuisances=("wrong-scene",)))
    for side in ("hr", "lr"):
        shutil.copy(base / "other" / side / "001.jpg", raw / side / "009-other-card.jpg")
        write_image(raw / side / "010-blank.png", BLANK)
    shutil.copy(raw / "lr" / "001.jpg", raw / "lr" / "007-truncated.jpg")
    shutil.copy(raw / "hr" / "002.jpg", raw / "hr" / "008-no-lr.jpg")
    return base


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("kept", [0.1, 0.7])
def test_six_are_accepted_and_the_others_say_why_not(folder: Path, suffix: str, kept: float) -> None:
    raw, pairs = folder / "raw", folder / "pairs"
    for old in (raw / "hr").glob("007-*"):
        old.unlink()
    truncated = raw / "hr" / f"007-truncated{suffix}"
    write_image(truncated, read_image(raw / "hr" / "001.jpg"))
    whole = truncated.read_bytes()
    truncated.write_bytes(whole[: int(len(whole) * kept)])

    result = align(raw, pairs)
    assert result.exit_code == 0, result.output
    assert "Traceback" not in result.output
    table = read_manifest(pairs).set_index("scene")
    assert table.index.tolist() == GOOD + list(SPOILT)
    assert table.index[table["status"] == "accepted"].tolist() == GOOD
    for scene, allowed in SPOILT.items():
        assert (table.loc[scene, "status"], table.loc[scene, "reasons"]) in allowed
        assert table.loc[scene, "message"]
    assert table.loc["007-truncated", "hr_source"] == f"hr/007-truncated{suffix}"
    for side in ("hr", "lr"):
        assert sorted(path.stem for path in (pairs / side).iterdir()) == GOOD
    stages = read_alignment(pairs).groupby("scene")["stage"].agg(list)
    assert all(stages[scene][0] == "rough" and stages[scene][-1] == "direct" for scene in GOOD)
    assert not (pairs / "errors.log").exists()


def test_all_blank_is_exit_3(tmp_path: Path) -> None:
    for side in ("hr", "lr"):
        for name in ("a", "b"):
            write_image(tmp_path / "raw" / side / f"{name}.png", BLANK)
    result = align(tmp_path / "raw", tmp_path / "pairs")
    assert result.exit_code == 3
    assert "Traceback" not in result.output
    assert read_manifest(tmp_path / "pairs")["reasons"].tolist() == ["low_texture", "low_texture"]
