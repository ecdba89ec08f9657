"""A reviewer overrules QA: what is published and recorded, what cannot be, and what a changed decision redoes."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from d2crealsr.dataset.build import SceneDone, build
from d2crealsr.dataset.verify import verify
from d2crealsr.errors import TableError
from d2crealsr.store.files import sha256_of
from d2crealsr.store.images import write_image
from d2crealsr.store.pairs import read_manifest, read_residuals
from d2crealsr.types import AlignmentFailure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    Aligner = Callable[..., Any]

REJECTED = ("05", "06")


@pytest.fixture
def mixed(make_raw: Callable[[Path, list[str]], Path], tmp_path: Path) -> Path:
    """Two scenes that are good, two that are rejected, one too small to publish, and two that fail."""
    raw = make_raw(tmp_path / "raw", ["01", "02", "03", "04", "05", "06", "07"])
    (raw / "lr" / "03.png").unlink()
    write_image(raw / "lr" / "04.png", np.zeros((48, 64, 3), dtype=np.uint8))
    for scene in REJECTED:
        write_image(raw / "lr" / f"{scene}.png", np.full((48, 64, 3), 7, dtype=np.uint8))
    write_image(raw / "lr" / "07.png", np.full((48, 64, 3), 8, dtype=np.uint8))
    return raw


@pytest.fixture
def judging(aligner: Aligner) -> Aligner:
    """The quick aligner, for which an LR of level 8 leaves too small a crop."""

    def align(hr: Any, lr: Any, *, settings: Any) -> Any:
        found = aligner(hr, lr, settings=settings)
        if not (lr == 8).all():
            return found
        nothing = np.empty((0, 0, 3), dtype=np.uint8)
        return dataclasses.replace(found, hr=nothing, lr=nothing, reasons=("scale_mismatch", "crop_too_small"))

    return align


@pytest.fixture
def decide(tmp_path: Path) -> Callable[..., Path]:
    def write(**decisions: str) -> Path:
        rows = (f"{scene.removeprefix('s')},{decision},seen\n" for scene, decision in decisions.items())
        path = tmp_path / "decisions.csv"
        path.write_text("scene,decision,note\n" + "".join(rows))
        return path

    return write


def manifest(out: Path) -> pd.DataFrame:
    return read_manifest(out).set_index("scene")


def content(out: Path) -> dict[str, bytes]:
    files = (path for path in out.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files if path.name != "timings.csv"}


def done_by(*args: Any, **kwargs: Any) -> set[str]:
    events: list[Any] = []
    build(*args, on_event=events.append, **kwargs)
    return {event.scene for event in events if isinstance(event, SceneDone) and not event.unchanged}


def test_an_overruled_scene_is_published_and_keeps_what_was_overruled(
    mixed: Path, judging: Aligner, decide: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "pairs"
    result = build(mixed, out, align=judging, accept=decide(s05="accept", s01="accept"))
    assert result.status == {"accepted": 3, "rejected": 2, "failed": 2}
    assert result.reviewed == 1
    assert result.reasons == {
        **{"not_same_scene": 1, "scale_mismatch": 1, "crop_too_small": 1},
        **{"missing_lr": 1, "low_texture": 1},
    }
    assert result.notes == ()
    table = manifest(out)
    assert table["accepted_by"].to_dict() == {
        **{"01": "qa", "02": "qa", "03": "", "04": "", "05": "reviewer", "06": "", "07": ""}
    }
    row = table.loc["05"]
    assert (row["status"], row["reasons"], row["hr_path"]) == ("accepted", "not_same_scene", "hr/05.png")
    assert row["hr_sha256"] == sha256_of(out / "hr" / "05.png")
    assert sorted(path.stem for path in (out / "lr").iterdir()) == ["01", "02", "05"]
    assert table.loc["06", ["status", "reasons", "hr_path"]].tolist() == ["rejected", "not_same_scene", ""]
    assert {"05", "06"} < set(read_residuals(out)["scene"])


def test_what_cannot_be_done_is_noted(
    mixed: Path, judging: Aligner, decide: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "pairs"
    accept = decide(s03="accept", s04="accept", s07="accept", s01="reject", s05="reject", s99="accept", s98="reject")
    expected = (
        "decisions for scenes that CAPTURES does not have: 98, 99; check the names",
        "decisions to reject, which align does not act on (split --decisions does): 01, 05",
        "03 cannot be accepted: it has no estimate (missing_lr)",
        "04 cannot be accepted: it has no estimate (low_texture)",
        "07 cannot be accepted: it has no images to publish (scale_mismatch;crop_too_small)",
    )
    assert build(mixed, out, align=judging, accept=accept).notes == expected
    table = manifest(out)
    assert table.index[table["status"] == "accepted"].tolist() == ["01", "02"]
    assert set(table["accepted_by"]) == {"", "qa"}
    again = build(mixed, out, align=judging, accept=accept)
    assert (again.done, again.notes) == (0, expected)


def test_only_scenes_whose_decision_changed_are_done_again(
    mixed: Path, judging: Aligner, decide: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "pairs"
    build(mixed, out, align=judging)
    without = content(out)
    everyone = decide(**{f"s0{number}": "accept" for number in range(1, 8)})
    assert done_by(mixed, out, align=judging, accept=everyone) == set(REJECTED)
    assert done_by(mixed, out, align=judging, accept=everyone) == set()
    assert done_by(mixed, out, align=judging, accept=decide(s06="accept")) == set()
    assert done_by(mixed, out, align=judging, accept=decide(s05="reject")) == {"05"}
    assert not (out / "hr" / "05.png").exists()
    assert manifest(out).loc["05", ["status", "accepted_by", "hr_sha256"]].tolist() == ["rejected", "", ""]
    assert done_by(mixed, out, align=judging, accept=decide(s06="reject")) == {"06"}
    assert done_by(mixed, out, align=judging) == set()
    assert content(out) == without


@pytest.mark.parametrize("against", [True, False])
def test_a_withdrawn_pair_without_its_capture_goes_only_if_qa_rejects_it(
    against: bool, mixed: Path, judging: Aligner, decide: Callable[..., Path], tmp_path: Path
) -> None:
    def later(hr: Any, lr: Any, *, settings: Any) -> Any:
        found = judging(hr, lr, settings=settings)
        return found if against or isinstance(found, AlignmentFailure) else dataclasses.replace(found, reasons=())

    out = tmp_path / "pairs"
    build(mixed, out, align=judging, accept=decide(s05="accept"))
    build(mixed, out, align=later, force=True)
    assert manifest(out).loc["05", ["accepted_by", "reasons"]].tolist() == [
        "reviewer",
        "not_same_scene" if against else "",
    ]
    (mixed / "hr" / "05.png").unlink()
    result = build(mixed, out, align=later, accept=decide(s05="reject"))
    row = manifest(out).loc["05"]
    assert (out / "hr" / "05.png").exists() is (out / "lr" / "05.png").exists() is not against
    if against:
        assert row[["status", "accepted_by", "reasons", "hr_path"]].tolist() == ["rejected", "", "not_same_scene", ""]
    else:
        assert row[["status", "accepted_by", "reasons", "hr_path"]].tolist() == ["accepted", "qa", "", "hr/05.png"]
        assert any("05 (hr/05.png is not there)" in note for note in result.notes)
    assert not [found for found in verify(out).findings if found.where == "05"]


def test_same_bytes_for_any_jobs_and_any_way_there(
    mixed: Path, judging: Aligner, decide: Callable[..., Path], tmp_path: Path
) -> None:
    accept = decide(s05="accept", s03="accept")
    build(mixed, tmp_path / "at_once", align=judging, accept=accept)
    build(mixed, tmp_path / "jobs", align=judging, accept=accept, jobs=2)
    build(mixed, tmp_path / "later", align=judging)
    build(mixed, tmp_path / "later", align=judging, accept=accept)
    assert content(tmp_path / "at_once") == content(tmp_path / "jobs") == content(tmp_path / "later")


def test_an_overruled_pair_must_fit_the_format_too(
    mixed: Path, aligner: Aligner, decide: Callable[..., Path], tmp_path: Path
) -> None:
    def broken(hr: Any, lr: Any, *, settings: Any) -> Any:
        found = aligner(hr, lr, settings=settings)
        return dataclasses.replace(found, hr=found.hr[1:]) if (lr == 7).all() else found

    build(mixed, tmp_path / "pairs", align=broken, accept=decide(s05="accept"))
    table = manifest(tmp_path / "pairs")
    assert table.loc[list(REJECTED), "reasons"].tolist() == ["internal_error", "not_same_scene"]


def test_damaged_decisions_stop_before_anything_is_written(
    mixed: Path, judging: Aligner, decide: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(TableError, match="row 2, column decision: got 'maybe'"):
        build(mixed, tmp_path / "pairs", align=judging, accept=decide(s05="maybe"))
    assert not (tmp_path / "pairs").exists()
