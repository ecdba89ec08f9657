"""Frames that are deleted or overwritten on the card: what was copied stays, and the other scenes go on."""

from __future__ import annotations

import csv
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from d2crealsr.errors import LayoutError, MachineError
from d2crealsr.ingest import session as of_session
from d2crealsr.ingest import watch
from d2crealsr.ingest.events import Left, Noted, Seen
from d2crealsr.ingest.frames import read_frame
from d2crealsr.ingest.placing import Placing, SourceError
from d2crealsr.ingest.run import ingest
from d2crealsr.ingest.session import Session
from d2crealsr.store.captures import preference
from tests.ingest.conftest import HEIGHT, WIDTH, MemoryCard, blurred, texture, wide
from tests.ingest.test_watch import BAD, GOOD, watched_while

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = texture(5, WIDTH, HEIGHT), texture(6, WIDTH, HEIGHT)


@pytest.fixture
def verdict(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The verdict on every pair: a good one unless it is changed."""
    given = dict(GOOD)
    monkeypatch.setattr(watch, "verdict_on", lambda hr, lr, scale: dict(given))
    return given


def shoot_one(card: MemoryCard) -> None:
    card.add("a.jpg", "lr", wide(ONE, 2))
    card.add("b.jpg", "hr", ONE)


def shoot_two(card: MemoryCard) -> None:
    card.add("c.jpg", "lr", wide(TWO, 2))
    card.add("d.jpg", "hr", TWO)


def files_of(out: Path) -> dict[str, str]:
    """The frames of the record that have a file, by the file."""
    with (out / "frames.csv").open(newline="") as file:
        return {row["file"]: row["frame"] for row in csv.DictReader(file) if row["file"]}


def test_a_used_frame_may_be_deleted_from_the_card(
    memory_card: MemoryCard, tmp_path: Path, verdict: dict[str, Any]
) -> None:
    shoot_one(memory_card)
    steps = [(memory_card.path / "b.jpg").unlink, lambda: shoot_two(memory_card)]
    events = watched_while(memory_card.path, tmp_path / "raw", *steps)
    assert events[-1] == Left([], [], [], 2, scales=(2,))
    assert files_of(tmp_path / "raw") == {
        "hr/card_001.jpg": "b.jpg",
        "lr/card_001_x2.jpg": "a.jpg",
        "hr/card_002.jpg": "d.jpg",
        "lr/card_002_x2.jpg": "c.jpg",
    }


def test_a_card_may_be_pulled_out_before_the_end(
    memory_card: MemoryCard, tmp_path: Path, verdict: dict[str, Any]
) -> None:
    verdict.update(BAD)  # so that the scene is written at the end
    shoot_one(memory_card)
    memory_card.add("e.jpg", "lonely", texture(7, WIDTH, HEIGHT))
    events = watched_while(memory_card.path, tmp_path / "raw", lambda: shutil.rmtree(memory_card.path))
    noted, left = events[-2:]
    assert isinstance(noted, Noted)
    assert noted.text.startswith(
        "2 frames (b.jpg, a.jpg) are gone or changed, so that scenes could not be written; put"
    )
    assert isinstance(left, Left)
    assert (left.scenes, [lonely.frame.path.name for lonely in left.lonely]) == (0, ["e.jpg"])
    memory_card.path.mkdir()
    shoot_one(memory_card)
    assert len(ingest(memory_card.path, tmp_path / "raw").plan.scenes) == 1


def test_a_card_that_cannot_be_listed_any_more_does_not_end_the_watch(
    memory_card: MemoryCard, tmp_path: Path, verdict: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> None:
        raise MachineError("cannot be listed")

    shoot_one(memory_card)
    events = watched_while(memory_card.path, tmp_path / "raw", lambda: monkeypatch.setattr(watch, "frames_in", fail))
    assert events[-1] == Left([], [], [], 1, scales=(2,))
    with pytest.raises(MachineError):
        watched_while(memory_card.path, tmp_path / "other")


@pytest.mark.parametrize("late", [False, True])
def test_scenes_whose_frames_are_there_are_written_without_the_others(
    memory_card: MemoryCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, late: bool
) -> None:
    shoot_one(memory_card)
    shoot_two(memory_card)
    session = Session(memory_card.path, tmp_path / "raw")
    session.add(read_frame(path, session.measured) for path in sorted(memory_card.path.iterdir()))
    plan = session.plan()
    (memory_card.path / "a.jpg").unlink()
    if late:  # it vanishes when the tables are written already
        monkeypatch.setattr(of_session, "_is_unchanged", lambda frame: True)
    session.write(plan, Placing("copy"))
    assert [scene.scene for scene in plan.scenes] == ["card_001_x2", "card_002_x2"][not late :]
    assert {"hr/card_002.jpg", "lr/card_002_x2.jpg"} <= files_of(tmp_path / "raw").keys()
    assert (tmp_path / "raw" / "hr" / "card_002.jpg").is_file()
    assert (tmp_path / "raw" / "lr" / "card_002_x2.jpg").is_file()
    assert session.notes[0].startswith("1 frame (a.jpg) is gone or changed")
    memory_card.add("a.jpg", "lr", wide(ONE, 2))
    assert [scene.scene for scene in ingest(memory_card.path, tmp_path / "raw").plan.scenes] == ["card_001_x2"]


def test_a_bad_scene_keeps_its_files_if_the_shot_that_replaces_it_is_gone(
    memory_card: MemoryCard, tmp_path: Path
) -> None:
    shoot_one(memory_card)
    ingest(memory_card.path, tmp_path / "raw")
    before, files = (tmp_path / "raw" / "lr" / "card_001_x2.jpg").read_bytes(), files_of(tmp_path / "raw")
    memory_card.add("c.jpg", "lr", blurred(wide(ONE, 2), 0.4))
    session = Session(memory_card.path, tmp_path / "raw")
    frames = [read_frame(path, session.measured) for path in sorted(memory_card.path.iterdir())]
    session.add(frames)
    session.measured.verdicts[frames[1].sha256, frames[0].sha256] = BAD
    plan = session.plan()
    assert [session.frames[scene.lr].path.name for scene in plan.scenes] == ["c.jpg"]
    (memory_card.path / "c.jpg").unlink()
    session.write(plan, Placing("copy"))
    assert (tmp_path / "raw" / "lr" / "card_001_x2.jpg").read_bytes() == before
    assert files_of(tmp_path / "raw") == files


def test_a_used_frame_may_be_overwritten_by_another_one(
    memory_card: MemoryCard, tmp_path: Path, verdict: dict[str, Any]
) -> None:
    shoot_one(memory_card)
    events = watched_while(
        memory_card.path, tmp_path / "raw", lambda: memory_card.add("b.jpg", "lonely", texture(9, WIDTH, HEIGHT))
    )
    left = events[-1]
    assert isinstance(left, Left)
    assert (left.scenes, [lonely.frame.path.name for lonely in left.lonely]) == (1, ["b.jpg"])
    files = {"hr/card_001.jpg": "b.jpg", "lr/card_001_x2.jpg": "a.jpg"}
    assert files_of(tmp_path / "raw") == files
    memory_card.add("e.jpg", "lr", blurred(wide(ONE, 2), 0.4))
    assert not ingest(memory_card.path, tmp_path / "raw").plan.scenes
    assert files_of(tmp_path / "raw") == files


def test_a_frame_of_a_scene_keeps_its_file_when_the_other_frame_is_unknown(
    memory_card: MemoryCard, tmp_path: Path
) -> None:
    shoot_one(memory_card)
    ingest(memory_card.path, tmp_path / "raw", files="symlink")
    files = files_of(tmp_path / "raw")
    (memory_card.path / "b.jpg").unlink()  # its link leads nowhere now
    ingest(memory_card.path, tmp_path / "raw", files="symlink")
    assert files_of(tmp_path / "raw") == files


def test_a_second_copy_takes_the_place_of_a_frame_that_was_overwritten(
    memory_card: MemoryCard, tmp_path: Path, verdict: dict[str, Any]
) -> None:
    verdict.update(BAD)  # so that nothing is in the folder before the end
    shoot_one(memory_card)
    (memory_card.path / "copy").mkdir()

    def copy() -> None:
        shutil.copy(memory_card.path / "b.jpg", memory_card.path / "copy" / "b.jpg")

    def overwrite() -> None:
        memory_card.add("b.jpg", "lonely", texture(9, WIDTH, HEIGHT))

    events = watched_while(memory_card.path, tmp_path / "raw", copy, overwrite)
    assert [event.entry.role for event in events if isinstance(event, Seen)][-2:] == ["copy", "nothing"]
    assert files_of(tmp_path / "raw")["hr/card_001.jpg"] == "copy/b.jpg"


def test_of_two_files_of_a_shot_the_one_that_is_left_out_is_no_candidate_any_more(
    memory_card: MemoryCard, tmp_path: Path, verdict: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preference, "_RAW", {".png"})
    memory_card.add("b.png", "hr", ONE)
    steps = [
        lambda: memory_card.add("b.jpg", "hr", blurred(ONE, 0.5)),  # the other one is sharper
        lambda: memory_card.add("a.jpg", "lr", wide(ONE, 2)),
        lambda: memory_card.add("d.png", "hr", TWO),
        lambda: memory_card.add("c.jpg", "lr", wide(TWO, 2)),
        lambda: memory_card.add("d.jpg", "hr", blurred(TWO, 0.5)),
    ]
    events = watched_while(memory_card.path, tmp_path / "raw", *steps)
    assert events[-1] == Left([], [], [], 2, scales=(2,))
    assert files_of(tmp_path / "raw") == {
        "hr/card_001.jpg": "b.jpg",
        "lr/card_001_x2.jpg": "a.jpg",
        "hr/card_002.png": "d.png",  # it was written before the other file came
        "lr/card_002_x2.jpg": "c.jpg",
    }


def test_the_files_of_the_card_are_no_copies_of_their_own_copies(
    memory_card: MemoryCard, tmp_path: Path, verdict: dict[str, Any]
) -> None:
    shoot_one(memory_card)
    ingest(memory_card.path, tmp_path / "raw")
    shutil.rmtree(tmp_path / "raw" / ".measured")
    events = watched_while(memory_card.path, tmp_path / "raw")
    assert sorted(event.entry.role for event in events if isinstance(event, Seen)) == ["hr", "lr"]
    assert events[-1] == Left([], [], [], 1, scales=(2,))


def test_a_source_that_is_gone_or_has_changed_is_an_error_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"other")
    for name, message in (("a.jpg", "was changed while it was read"), ("b.jpg", "cannot be read")):
        with pytest.raises(SourceError, match=rf"{name}: {message}") as caught:
            Placing("copy").place(tmp_path / name, tmp_path / "raw" / name, "0")
        assert isinstance(caught.value, LayoutError)
    assert not (tmp_path / "raw").exists()
