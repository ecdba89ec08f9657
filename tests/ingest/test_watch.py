"""Frames that come while the watch is on: each is named at once, and what is missing is listed at the end."""

from __future__ import annotations

import csv
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from d2crealsr.command import watched
from d2crealsr.command.cli import main
from d2crealsr.ingest import frames, watch
from d2crealsr.ingest.events import Begun, Event, Judged, Left, Lonely, Noted, Seen, Waiting
from d2crealsr.ingest.run import ingest, watching
from d2crealsr.ingest.verdicts import _wrong, verdict_on
from d2crealsr.settings import AlignSettings
from tests.ingest.conftest import HEIGHT, WIDTH, MemoryCard, blurred, texture, wide

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.ingest.placing import FilesAs

GOOD = {"problems": [], "scale": 2.0, "overlap": 1.0, "error_hr_px": 0.05}
BAD = GOOD | {"problems": [["clipped", "hr_clipped_fraction 0.2 above 0.07", "Expose HR less."]]}


def watched_while(card: Path, out: Path, *steps: Callable[[], None], files: FilesAs = "copy") -> list[Event]:
    """The events of a watch during which something is done whenever nothing is left to do."""
    left = list(steps)
    with watching(card, out, files=files) as watching_it:
        watching_it.look_seconds = 0.01
        idle = watching_it._wait

        def wait() -> None:
            if watching_it._looks.items() <= watching_it._read.items():
                if left:
                    left.pop(0)()
                else:
                    watching_it.stopped = lambda: True
            idle()

        watching_it._wait = wait  # type: ignore[method-assign]
        return list(watching_it.events())


def said(events: list[Event], card: MemoryCard) -> list[str]:
    return [line for event in events for line in watched.lines(event, card.path, card.path.parent / "raw")]


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Verdicts by the name of the LR file; others are good. A whole alignment would take a second each."""
    given: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr(watch, "verdict_on", lambda hr, lr, scale: given.get(lr.name, GOOD))
    return given


def test_every_frame_and_every_scene_is_named_and_a_shot_again_takes_the_place_of_a_bad_one(
    memory_card: MemoryCard, tmp_path: Path, verdicts: dict[str, dict[str, Any]]
) -> None:
    card = texture(5, WIDTH, HEIGHT)
    verdicts["a.jpg"] = BAD
    steps = [
        lambda: memory_card.add("a.jpg", "lr", wide(card, 2)),
        lambda: memory_card.add("b.jpg", "hr", card, 100.0),
        lambda: memory_card.add("c.jpg", "lr", blurred(wide(card, 2), 0.4)),
        lambda: memory_card.add("d.jpg", "lonely", texture(6, WIDTH, HEIGHT), 100.0),
        lambda: memory_card.add("e.jpg", "lonely", texture(7, WIDTH, HEIGHT)),
    ]
    events = watched_while(memory_card.path, tmp_path / "raw", *steps)
    lines = said(events, memory_card)
    assert [type(event) for event in events] == [Begun, Seen, Seen, Judged, Seen, Judged, Seen, Lonely, Seen, Left]
    assert lines[1].startswith(
        "a.jpg: HR or LR of a card that no other frame shows; its other half (LR or HR) is missing so far; sharpness"
    )
    assert lines[2].startswith("b.jpg: card_001 HR; sharpness ")
    assert lines[3].startswith("card_001_x2 (HR b.jpg, LR a.jpg): SHOOT AGAIN; scale 2.00, overlap 100%")
    assert lines[3].endswith("clipped: hr_clipped_fraction 0.2 above 0.07. Expose HR less.")
    assert lines[5].startswith(
        "card_001_x2 (HR b.jpg, LR c.jpg): GOOD"
    )  # though c.jpg is less sharp, a.jpg was rejected
    assert "d.jpg: HR of a card that no other frame shows; its LR is missing so far;" in lines[6]  # by focal length
    assert lines[7].startswith("d.jpg: MISSING, its LR has not come")
    assert "1 scene in" in lines[9]
    assert lines[-1].endswith("raw --out pairs/ --scale 2")
    assert [line.split(":")[0].strip() for line in lines[10:12]] == ["d.jpg", "e.jpg"]
    with (tmp_path / "raw" / "frames.csv").open(newline="") as file:
        used = {row["file"]: row["frame"] for row in csv.DictReader(file) if row["file"]}
    assert used == {"hr/card_001.jpg": "b.jpg", "lr/card_001_x2.jpg": "c.jpg"}


def test_a_card_named_by_a_dot_may_be_emptied_before_the_watch(
    memory_card: MemoryCard, tmp_path: Path, verdicts: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = texture(5, WIDTH, HEIGHT), texture(6, WIDTH, HEIGHT)
    memory_card.add("a.jpg", "lr", wide(one, 2))
    memory_card.add("b.jpg", "hr", one)
    monkeypatch.chdir(memory_card.path)
    watched_while(Path(), Path("../raw"))
    for name in ("a.jpg", "b.jpg"):
        (memory_card.path / name).unlink()
    (tmp_path / "raw" / "lr" / "card_001_x2.jpg").unlink()
    memory_card.add("c.jpg", "hr", two)
    memory_card.add("d.jpg", "lr", wide(two, 2))
    events = watched_while(Path(), Path("../raw"))
    lines = [line for event in events for line in watched.lines(event, Path(), Path("../raw"))]
    assert lines[0].startswith("watching .; ")
    assert {"c.jpg", "d.jpg"} <= {line.partition(":")[0] for line in lines}
    assert any(line.startswith("  ../raw/hr/card_001.jpg: no other frame shows the same") for line in lines)
    assert (tmp_path / "raw" / "lr" / "card_002_x2.jpg").is_file()


def test_a_frame_whose_other_half_does_not_come_is_named_again_after_a_while(
    memory_card: MemoryCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "REMIND_SECONDS", 0.0)
    steps = [lambda: memory_card.add("a.jpg", "lonely", texture(6, WIDTH, HEIGHT)), lambda: None, lambda: None]
    events = watched_while(memory_card.path, tmp_path / "raw", *steps)
    assert [type(event) for event in events] == [Begun, Seen, Waiting, Left]  # and this once
    assert said(events, memory_card)[2].startswith("a.jpg: WAITING for 20 s, its other half (LR or HR) has not come")


def test_a_copy_or_a_damaged_file_does_not_end_the_wait_for_the_other_half(
    memory_card: MemoryCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "REMIND_SECONDS", 0.0)
    monkeypatch.setattr(watch, "_PATIENCE_SECONDS", 0.0)
    memory_card.add("a.jpg", "lonely", texture(6, WIDTH, HEIGHT))
    picture = (memory_card.path / "a.jpg").read_bytes()
    (memory_card.path / "b.jpg").write_bytes(picture)
    (memory_card.path / "c.jpg").write_bytes(picture[: len(picture) // 2])
    events = watched_while(memory_card.path, tmp_path / "raw", lambda: None, lambda: None)
    assert [event.entry.role for event in events if isinstance(event, Seen)] == ["nothing", "copy", "unreadable"]
    assert [event.frame.path.name for event in events if isinstance(event, Waiting | Lonely)] == ["a.jpg"]
    assert any(isinstance(event, Waiting) for event in events)


def test_a_verdict_gives_each_reason_its_own_numbers_and_a_residual_its_shape() -> None:
    found: Any = SimpleNamespace(
        statistics={"hr_clipped_fraction": 0.4, "residual_p95_hr_px": 9.0}, residual_shape="radial"
    )
    clipped, residual = (_wrong(found, AlignSettings(), code) for code in ("clipped", "residual_too_large"))
    assert clipped.startswith("hr_clipped_fraction 0.4")
    assert "residual" not in clipped
    assert residual.startswith("residual_p95_hr_px 9")
    assert residual.endswith("; the residual field is radial")


@pytest.mark.slow
def test_hr_and_lr_are_told_apart_by_focal_lengths_before_any_pair_is_known(
    memory_card: MemoryCard, tmp_path: Path
) -> None:
    steps = [
        lambda: memory_card.add("a.jpg", "lr", texture(5, WIDTH, HEIGHT), 24.0),
        lambda: memory_card.add("b.jpg", "hr", texture(6, WIDTH, HEIGHT), 200.0),
        lambda: memory_card.add("c.jpg", "lr", texture(7, WIDTH, HEIGHT), 26.0),
        lambda: memory_card.add("d.jpg", "lr", texture(8, WIDTH, HEIGHT), 26.0, camera="another"),
    ]
    seen = [event for event in watched_while(memory_card.path, tmp_path / "raw", *steps) if isinstance(event, Seen)]
    assert [event.likely for event in seen] == ["", "hr", "lr", ""]


@pytest.mark.slow
def test_a_bad_scene_that_was_written_is_replaced_by_a_later_watch(
    memory_card: MemoryCard, tmp_path: Path, verdicts: dict[str, dict[str, Any]]
) -> None:
    card = texture(5, WIDTH, HEIGHT)
    verdicts["a.jpg"] = BAD
    memory_card.add("a.jpg", "lr", wide(card, 2))
    memory_card.add("b.jpg", "hr", card)
    left = watched_while(memory_card.path, tmp_path / "raw")[-1]
    assert isinstance(left, Left)
    assert len(left.rejected) == 1
    again = watched_while(memory_card.path, tmp_path / "raw")[-1]
    assert isinstance(again, Left)
    assert [judged.scene for judged in again.rejected] == ["card_001_x2"]
    before = (tmp_path / "raw" / "lr" / "card_001_x2.jpg").read_bytes()
    memory_card.add("c.jpg", "lr", blurred(wide(card, 2), 0.4))
    left = watched_while(memory_card.path, tmp_path / "raw")[-1]
    assert left == Left([], [], [], 1, scales=(2,))
    assert (tmp_path / "raw" / "lr" / "card_001_x2.jpg").read_bytes() != before


def test_a_half_written_file_is_waited_for(memory_card: MemoryCard, tmp_path: Path) -> None:
    memory_card.add("a.jpg", "hr", texture(5, WIDTH, HEIGHT))
    whole = (memory_card.path / "a.jpg").read_bytes()
    (memory_card.path / "a.jpg").unlink()
    looks = []

    def write_the_rest() -> None:
        (memory_card.path / "a.jpg").write_bytes(whole)

    with watching(memory_card.path, tmp_path / "raw") as it:
        it.look_seconds = 0.01
        (memory_card.path / "a.jpg").write_bytes(whole[: len(whole) // 2])
        for event in it.events():
            looks.append(event)
            if isinstance(event, Begun):
                assert not list(it._settled())
                it._wait()
                (path,) = it._settled()
                assert not list(it._new(path))  # it is there, but it cannot be decoded
                write_the_rest()
            it.stopped = lambda: isinstance(looks[-1], Seen)
    (seen,) = (event for event in looks if isinstance(event, Seen))
    assert seen.entry.role == "nothing"


def test_a_later_watch_measures_and_says_nothing_twice(
    memory_card: MemoryCard, tmp_path: Path, verdicts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = texture(5, WIDTH, HEIGHT)
    memory_card.add("a.jpg", "lr", wide(card, 2))
    memory_card.add("b.jpg", "hr", card)
    ingest(memory_card.path, tmp_path / "raw")
    monkeypatch.setattr(frames, "sketch_of", lambda *given: pytest.fail("measured again"))
    assert len(ingest(memory_card.path, tmp_path / "raw").links) == 1
    begun, left = watched_while(memory_card.path, tmp_path / "raw")
    assert begun == Begun(2, 1)
    assert left == Left([], [], [], 1, scales=(2,))
    for path in (tmp_path / "raw" / ".measured").iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(pytest.fail.Exception, match="measured again"):
        ingest(memory_card.path, tmp_path / "raw")


def test_an_interrupt_ends_the_watch_and_a_wrong_use_is_refused(
    memory_card: MemoryCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_card.add("a.jpg", "hr", texture(5, 90, 60))
    lines = watched.lines

    def interrupting(event: Event, card: Path, out: Path) -> Any:
        if isinstance(event, Begun):
            signal.raise_signal(signal.SIGINT)
        return lines(event, card, out)

    monkeypatch.setattr(watched, "lines", interrupting)
    command = ["ingest", str(memory_card.path), "--out", str(tmp_path / "raw"), "--watch"]
    done = CliRunner().invoke(main, command)
    assert (done.exit_code, "0 scenes in" in done.output) == (3, True)
    refused = CliRunner().invoke(main, [*command, "--dry-run"])
    assert refused.exit_code == 2
    assert "leave out --dry-run, --json and --contact-sheet" in refused.output


def test_personal_data_that_stay_are_told_once(memory_card: MemoryCard, tmp_path: Path, verdicts: Any) -> None:
    def shoot(number: int) -> None:
        card = texture(number, WIDTH, HEIGHT)
        memory_card.add(f"{number}_lr.jpg", "lr", wide(card, 2))
        memory_card.add(f"{number}_hr.jpg", "hr", card)

    steps = [lambda: shoot(5), lambda: shoot(6)]  # the first scene is written again with the second one
    events = watched_while(memory_card.path, tmp_path / "raw", *steps, files="hardlink")
    (told,) = (event for event in events if isinstance(event, Noted))
    assert "serial numbers, names or GPS positions stay in 4 linked files (as 5_lr.jpg)" in str(told)
    assert not any(isinstance(event, Noted) for event in watched_while(memory_card.path, tmp_path / "copied"))


@pytest.mark.slow
def test_the_verdict_names_a_blurred_lr(memory_card: MemoryCard) -> None:
    card = texture(5, 4 * WIDTH, 4 * HEIGHT)
    memory_card.add("hr.jpg", "hr", card)
    shot = card.resize((2 * WIDTH, 2 * HEIGHT))
    for name, radius in (("sharp", 0.0), ("blurred", 4.0)):
        memory_card.add(f"{name}.jpg", name, blurred(shot, radius))
    hr, sharp, soft = (memory_card.path / f"{name}.jpg" for name in ("hr", "sharp", "blurred"))
    assert "lr_blurred" not in {reason for reason, *_ in verdict_on(hr, sharp, 2)["problems"]}
    found = verdict_on(hr, soft, 2)
    assert "lr_blurred" in {reason for reason, *_ in found["problems"]}
    assert found["overlap"] > 0.9
