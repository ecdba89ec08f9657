"""Marks of one number join frames, and marks of different numbers part them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from d2crealsr.command import watched
from d2crealsr.errors import TableError
from d2crealsr.imaging import geometry, marks
from d2crealsr.ingest.events import Seen
from d2crealsr.ingest.frames import Frame
from d2crealsr.ingest.links import link_between
from d2crealsr.ingest.marked import Marks, mapping_by_marks, of_other_cards
from d2crealsr.ingest.plan import Entry, Plan, Scene
from d2crealsr.ingest.rows import frame_row, scene_row
from d2crealsr.ingest.session import Session
from d2crealsr.ingest.sketches import sketch_of
from d2crealsr.store.cards_table import write_cards
from d2crealsr.types import Size
from tests.ingest.conftest import texture

SIZE = Size(600, 400)
SQUARE = np.array([[-20.0, -20], [20, -20], [20, 20], [-20, 20]])
AT = np.array([[60.0, 50], [540, 50], [540, 350], [60, 350]])
TRUE = np.array([[0.25, 0.01, 200], [-0.01, 0.25, 150], [1e-5, 2e-5, 1]])


def in_hr(places: slice = slice(None), number: int = 7) -> Marks:
    return Marks(number, np.array([SQUARE + place for place in AT[places]]))


def in_lr(places: slice = slice(None), number: int = 7) -> Marks:
    return Marks(number, np.array([geometry.project(TRUE, corners) for corners in in_hr(places).corners]))


@pytest.mark.parametrize(("places", "within"), [(slice(None), 1e-6), (slice(1, 3), 0.1), (slice(2, 3), 4.0)])
def test_marks_give_the_mapping_though_they_are_all_alike(places: slice, within: float) -> None:
    found = [H for H, _ in mapping_by_marks(in_hr(places), in_lr())]
    true = geometry.project(TRUE, geometry.frame_centre(SIZE)[None])
    errors = [np.abs(geometry.project(H, geometry.frame_centre(SIZE)[None]) - true).max() for H in found]
    assert min(errors) < within


def test_two_marks_of_another_number_exclude_a_card_and_a_single_one_does_not() -> None:
    assert of_other_cards(in_hr(), in_lr(number=8))
    assert not of_other_cards(in_hr(), in_lr(slice(1), number=8))
    assert not of_other_cards(in_hr(), Marks(0, np.empty((0, 4, 2))))
    assert not list(mapping_by_marks(in_hr(), in_lr(number=8)))


def test_the_card_in_the_middle_counts_where_several_are_seen() -> None:
    found = [(3, SQUARE + 40), *((5, SQUARE + place) for place in AT), (9, SQUARE + 390)]
    assert Marks.nearest_to_centre(found, SIZE).number == 5
    assert Marks.nearest_to_centre([found[0], (9, SQUARE + 260)], SIZE).number == 9
    assert Marks.nearest_to_centre([], SIZE).number == 0


def test_cards_that_share_a_picture_are_told_apart_by_their_marks() -> None:
    def marked(scene: str) -> np.ndarray:
        picture = np.array(texture(5, *SIZE))
        mark = np.kron(np.pad(marks.modules_of(scene), 1, constant_values=True), np.ones((6, 6))) * 255
        for x, y in ((10, 10), (530, 10), (10, 330), (530, 330)):
            picture[y : y + 60, x : x + 60] = mark[..., None]
        return picture

    one, same, other = (sketch_of(marked(scene)) for scene in ("0001", "0001", "0002"))
    assert (one.marks.number, other.marks.number) == (1, 2)
    link = link_between(one, same)
    assert link is not None
    assert link.scale == pytest.approx(1, abs=0.01)
    assert link_between(one, other) is None


def test_the_table_of_the_printed_cards_is_read_where_it_lies_among_the_frames(tmp_path: Path) -> None:
    card = tmp_path / "DCIM"
    card.mkdir()
    row = {"scene": "0042", "group": "canal", "source": "canal.jpg", "source_licence": "CC0", "source_sha256": "0" * 64}
    write_cards(card / "cards.csv", [row])
    sketch = sketch_of(np.array(texture(5, 120, 80)))
    frames = [Frame(path=card / name, sha256=name, sketch=sketch._replace(marks=in_hr(number=42))) for name in "ab"]
    session = Session(card, tmp_path / "captures")
    session.frames = frames
    plan = Plan(scenes=[Scene(scene="s", take="s", group="g", scale=4, hr=0, lr=1)], entries=[])
    assert [row["source_licence"] for row in session.scene_rows(plan)] == ["CC0"]
    (card / "cards.csv").write_text("scene,source\n")
    with pytest.raises(TableError, match=r"cards\.csv"):
        Session(card, tmp_path / "captures")


def test_tables_and_lines_have_the_number_that_is_printed_on_the_card() -> None:
    card = Path("DCIM")
    sketch = sketch_of(np.array(texture(5, 120, 80)))
    with_mark = Frame(path=card / "a.jpg", sketch=sketch._replace(marks=in_hr(number=42)))
    without = Frame(path=card / "b.jpg", sketch=sketch)
    broken = Frame(path=card / "c.jpg", problem="the file is empty")
    entry = Entry(frame=0, role="nothing")
    cells = [frame_row(entry, frame, card, "", keep_private=False)["mark"] for frame in (with_mark, without, broken)]
    assert cells == ["0042", "", ""]
    scene = Scene(scene="card_001_x4", take="card_001", group="card_001", scale=4, hr=0, lr=1)
    for frames in ((with_mark, without), (without, with_mark)):
        files = ("hr/a.jpg", "lr/b.jpg")
        printed = {"0042": {"source": "canal.jpg", "source_licence": "CC0"}}
        row = scene_row(scene, frames, files, keep_private=False, printed=printed)
        assert (row["mark"], row["source"], row["source_licence"]) == ("0042", "canal.jpg", "CC0")
        other = scene_row(scene, frames, files, keep_private=False, printed={"0041": printed["0042"]})
        assert (other["mark"], other["source"], other["source_licence"]) == ("0042", "", "")
    (line,) = watched.lines(Seen(with_mark, entry, "hr", 0.0, 0.0), card, Path("raw"))
    assert "HR of a card (mark 0042) that no other frame shows" in line
    (line,) = watched.lines(Seen(without, entry, "hr", 0.0, 0.0), card, Path("raw"))
    assert "HR of a card that no other frame shows" in line
