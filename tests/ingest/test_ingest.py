"""A memory card becomes a folder of raw captures."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import ImageChops

from d2crealsr.command import ingested
from d2crealsr.command.cli import main
from d2crealsr.errors import LayoutError
from d2crealsr.ingest.frames import read_frame
from d2crealsr.ingest.placing import FILES, FilesAs, Placing
from d2crealsr.ingest.run import card_files, ingest, watching
from d2crealsr.ingest.session import Session
from d2crealsr.store.captures import find_captures
from tests.ingest.conftest import HEIGHT, WIDTH, MemoryCard, texture, wide


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def hashes(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name[0] != ".")
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def raw(shoot: MemoryCard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the command makes of the shoot."""
    out = tmp_path_factory.mktemp("raw") / "raw"
    before = hashes(shoot.path)
    done = CliRunner().invoke(main, ["ingest", str(shoot.path), "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "3 new scenes of 2 cards made from 9 files" in done.output
    assert "E2.PSD" in done.output
    assert hashes(shoot.path) == before
    return out


def test_shuffled_frames_become_the_right_scenes(raw: Path, shoot: MemoryCard) -> None:
    frames = {row["file"]: shoot.truth[row["frame"]] for row in rows_of(raw / "frames.csv") if row["file"]}
    scenes = {row["scene"]: (frames[row["hr"]], frames[row["lr"]]) for row in rows_of(raw / "manifest.csv")}
    assert sorted(scenes.values()) == [("1 hr", "1 x2"), ("1 hr", "1 x4"), ("2 hr", "2 x2")]
    one = {row["group"] for row in rows_of(raw / "manifest.csv") if frames[row["hr"]] == "1 hr"}
    assert len(one) == 1  # several scales of a card are one group


def test_every_frame_is_listed_with_what_it_is(raw: Path, shoot: MemoryCard) -> None:
    roles = {row["frame"]: row["role"] for row in rows_of(raw / "frames.csv")}
    expected = {"hr": "hr", "x2": "lr", "x4": "lr", "blurred": "spare_hr", "nothing": "nothing"}
    assert roles == {name: expected[what.split()[-1]] for name, what in shoot.truth.items()} | {
        "100/D1.JPG": "copy",
        "100/E1.JPG": "unreadable",
    }
    (blurred,) = (row for row in rows_of(raw / "frames.csv") if row["role"] == "spare_hr")
    assert float(blurred["sharpness"]) > 0
    assert blurred["note"].endswith("% of the sharpness of the shot that is used")


def test_scenes_say_how_they_were_taken_but_not_where_nor_with_which_body(raw: Path) -> None:
    row = next(row for row in rows_of(raw / "manifest.csv") if row["scale"] == "4")
    assert (row["hr_camera"], row["hr_lens"], row["hr_focal_mm"]) == ("Canon EOS R6", "RF 24", "200")
    assert (row["lr_exposure_s"], row["lr_f_number"], row["lr_iso"]) == ("0.01", "8", "100")
    assert row["lr_time"] == "2026-05-01T10:00:00"
    tables = (raw / "manifest.csv").read_text() + (raw / "frames.csv").read_text()
    assert "SECRET" not in tables
    assert "52.5" not in tables
    assert {"source", "source_licence"} <= set(row)


def test_align_takes_the_rows_of_its_scale_and_counts_the_others(raw: Path) -> None:
    said: list[str] = []
    captures = find_captures(raw, scale=2, note=said.append)
    assert [capture.scene[-3:] for capture in captures] == ["_x2", "_x2"]
    assert said == ["manifest.csv: 1 of 3 rows are of another scale than 2: align --scale 4 takes 1"]
    with pytest.raises(LayoutError, match="align --scale 2 takes 2, align --scale 4 takes 1; give that --scale"):
        find_captures(raw, scale=8)


@pytest.mark.parametrize(("cell", "good"), [("", True), ("2.0", True), ("two", False), ("nan", False), ("0", False)])
def test_the_scale_of_a_row_is_a_whole_number_or_none(cell: str, good: bool, tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(f"scene,hr,lr,scale\na,x.png,y.png,{cell}\n")
    if good:
        assert len(find_captures(tmp_path, scale=2)) == 1
    else:
        with pytest.raises(LayoutError, match=r"row 2, column scale: got .*, expected a whole number from 1 to 16"):
            find_captures(tmp_path, scale=2)


@pytest.mark.slow
def test_a_dry_run_prints_the_table_and_writes_nothing_but_the_sheet(memory_card: MemoryCard, tmp_path: Path) -> None:
    card = texture(5, WIDTH, HEIGHT)
    memory_card.add("a.jpg", "hr", card)
    memory_card.add("b.jpg", "lr", wide(card, 2))
    out, sheet = tmp_path / "raw", tmp_path / "sheet.png"
    command = ["ingest", str(memory_card.path), "--out", str(out), "--dry-run", "--contact-sheet", str(sheet)]
    done = CliRunner().invoke(main, command, catch_exceptions=False)
    assert done.exit_code == 0
    assert "a.jpg  hr    card_001" in done.output
    assert not out.exists()
    rows = json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)
    assert {row["frame"]: row["role"] for row in rows} == {"a.jpg": "hr", "b.jpg": "lr"}
    numbers = ("sharpness", "clipped_fraction", "scale_effective", "matches", "likeness", "f_number", "exposure_s")
    assert all(isinstance(rows[1][name], int | float) for name in numbers)
    assert (rows[0]["scale_effective"], rows[0]["exposure_s"], rows[0]["time"][:4]) == (None, 0.01, "2026")
    first = sheet.read_bytes()
    assert CliRunner().invoke(main, command).exit_code == 0  # its own sheet is replaced
    assert sheet.read_bytes() == first
    sheet.write_bytes(b"something else")
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 2
    assert "holds something else than a contact sheet" in refused.output


def test_a_rerun_adds_what_is_new_even_if_the_card_was_emptied(memory_card: MemoryCard, tmp_path: Path) -> None:
    one, two = texture(6, WIDTH, HEIGHT), texture(7, WIDTH, HEIGHT)
    memory_card.add("a.jpg", "hr", one)
    memory_card.add("b.jpg", "lr", wide(one, 2))
    out = tmp_path / "raw"
    ingest(memory_card.path, out)
    before = hashes(out)
    again = ingest(memory_card.path, out)
    assert len(again.plan.scenes) == 0
    assert "next:   d2crealsr align raw --out pairs/ --scale 2" in ingested.summary(again, "raw", dry_run=False)
    assert hashes(out) == before
    for path in memory_card.path.iterdir():
        path.unlink()
    memory_card.add("c.jpg", "lr", wide(one, 4))
    memory_card.add("d.jpg", "hr", two)
    memory_card.add("e.jpg", "lr", wide(two, 2))
    result = ingest(memory_card.path, out, keep_private=True)
    assert [scene.scene for scene in result.plan.scenes] == ["card_001_x4", "card_002_x2"]
    assert [row["scene"] for row in rows_of(out / "manifest.csv")] == ["card_001_x2", "card_001_x4", "card_002_x2"]
    now = hashes(out)
    assert {name: now[name] for name in before if name.endswith(".jpg")} == {
        name: digest for name, digest in before.items() if name.endswith(".jpg")
    }
    added = rows_of(out / "manifest.csv")[2]
    assert (added["hr_camera_serial"], added["lr_latitude"]) == ("SECRET-1", "52.500000")
    assert added["lr_longitude"] == "-13.400000"


def test_a_card_named_by_a_dot_may_be_emptied(
    memory_card: MemoryCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = texture(6, WIDTH, HEIGHT)
    memory_card.add("a.jpg", "hr", card)
    memory_card.add("b.jpg", "lr", wide(card, 2))
    memory_card.add("c.jpg", "nothing", texture(7, WIDTH, HEIGHT))
    monkeypatch.chdir(memory_card.path)
    ingest(Path(), Path("../raw"))
    before = hashes(tmp_path / "raw")
    for name in ("a.jpg", "b.jpg"):
        (memory_card.path / name).unlink()
    again = ingest(Path(), Path("../raw"))
    assert [row["frame"] for row in again.rows] == ["c.jpg"]
    assert hashes(tmp_path / "raw").keys() == before.keys()
    assert {row["frame"] for row in rows_of(tmp_path / "raw" / "frames.csv")} == {"a.jpg", "b.jpg", "c.jpg"}


def test_two_shootings_of_a_card_are_two_scenes_of_one_group(memory_card: MemoryCard, tmp_path: Path) -> None:
    card = texture(5, WIDTH, HEIGHT)
    for camera in ("EOS R6", "ILCE-7"):
        memory_card.add(f"{camera} hr.jpg", "hr", card, 100.0, camera=camera)
        memory_card.add(f"{camera} lr.jpg", "lr", wide(card, 2), camera=camera)
    result = ingest(memory_card.path, tmp_path / "raw")
    assert [(scene.scene, scene.group) for scene in result.plan.scenes] == [
        ("card_001_x2", "card_001"),
        ("card_001_s2_x2", "card_001"),
    ]
    used = {row["file"]: row["frame"][:3] for row in rows_of(tmp_path / "raw" / "frames.csv") if row["file"]}
    assert used["hr/card_001.jpg"] == used["lr/card_001_x2.jpg"] == "EOS"
    assert used["hr/card_001_s2.jpg"] == used["lr/card_001_s2_x2.jpg"] == "ILC"
    (tmp_path / "raw" / "hr" / "card_001_s2.jpg").unlink()  # whoever removes a file wants it made again
    ingest(memory_card.path, tmp_path / "raw")
    assert {row["file"]: row["frame"][:3] for row in rows_of(tmp_path / "raw" / "frames.csv") if row["file"]} == used
    assert (tmp_path / "raw" / "hr" / "card_001_s2.jpg").is_file()


@pytest.mark.parametrize("way", FILES)
def test_frames_are_copied_or_linked_on_request(way: FilesAs, memory_card: MemoryCard, tmp_path: Path) -> None:
    memory_card.add("a.jpg", "hr", texture(1, 40, 30))
    source, target = memory_card.path / "a.jpg", tmp_path / "raw" / "hr" / "card_001.jpg"
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    placing = Placing(way)
    assert placing.place(source, target, digest)
    assert (target.is_symlink(), target.samefile(source)) == (way == "symlink", way != "copy")
    assert (b"SECRET" in target.read_bytes()) == (way != "copy")
    assert len(placing.notes) == (way != "copy")  # a link keeps what the camera wrote
    assert not placing.place(source, target, digest)  # it is there
    assert not Placing(way, keep_private=True).notes
    target.unlink()
    target.write_bytes(b"other")
    with pytest.raises(LayoutError, match=r"card_001\.jpg: another file is in the place of a\.jpg; move it away"):
        placing.place(source, target, digest)


@pytest.mark.slow
def test_copies_keep_personal_data_only_on_request(memory_card: MemoryCard, tmp_path: Path) -> None:
    card = texture(5, WIDTH, HEIGHT)
    memory_card.add("a.jpg", "hr", card)
    memory_card.add("b.jpg", "lr", wide(card, 2))
    assert not ingest(memory_card.path, tmp_path / "without").notes
    copies = [path.read_bytes() for path in (tmp_path / "without").glob("?r/*.jpg")]
    assert len(copies) == 2
    assert not any(b"SECRET" in copy for copy in copies)
    assert not ingest(memory_card.path, tmp_path / "with", keep_private=True).notes
    assert (tmp_path / "with/hr/card_001.jpg").read_bytes() == (memory_card.path / "a.jpg").read_bytes()
    (note,) = ingest(memory_card.path, tmp_path / "with").notes
    assert "stay in 2 copies of an earlier run, made with --keep-private or by an earlier version (as a.jpg)" in note
    for copy_with in (tmp_path / "with").glob("?r/*.jpg"):
        copy_with.unlink()  # as the note says
    assert not ingest(memory_card.path, tmp_path / "with").notes
    assert hashes(tmp_path / "with") == hashes(tmp_path / "without")
    linked = ["ingest", str(memory_card.path), "--out", str(tmp_path / "linked"), "--files", "hardlink"]
    done = CliRunner().invoke(main, linked, catch_exceptions=False)
    assert done.exit_code == 0
    assert "stay in 2 linked files (as a.jpg), since a link leads to the file of the camera" in done.output


def test_a_folder_of_something_else_is_refused(memory_card: MemoryCard, tmp_path: Path) -> None:
    memory_card.add("a.jpg", "hr", texture(9, 90, 60))
    with pytest.raises(LayoutError, match=r"lies within .* or around it; give another folder with --out"):
        ingest(memory_card.path, memory_card.path / "raw")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "manifest.csv").write_text("scene,hr,lr\n")
    with pytest.raises(LayoutError, match=r"holds captures \(manifest.csv\) that ingest did not write"):
        ingest(memory_card.path, tmp_path / "raw")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LayoutError, match="no frames found"):
        ingest(tmp_path / "empty", tmp_path / "other")
    with pytest.raises(LayoutError, match="is no folder; give the folder with the frames"):
        ingest(tmp_path / "absent", tmp_path / "other")


@pytest.mark.slow
def test_a_card_keeps_its_name_when_an_earlier_one_comes_later(memory_card: MemoryCard, tmp_path: Path) -> None:
    for number, side in enumerate(("lr", "hr", "lr", "hr")):
        card = texture(5 + number // 2, WIDTH, HEIGHT)
        memory_card.add(f"{number}.jpg", side, wide(card, 2) if side == "lr" else card)
    session = Session(memory_card.path, tmp_path / "raw")
    names = []
    for numbers in ((2, 3), (0, 1)):
        paths = [memory_card.path / f"{number}.jpg" for number in numbers]
        session.add(read_frame(path, session.measured) for path in paths)
        names.append({session.frames[scene.hr].path.name: scene.group for scene in session.plan().scenes})
    assert names == [{"3.jpg": "card_001"}, {"3.jpg": "card_001", "1.jpg": "card_002"}]


def test_frames_that_no_table_can_name_are_left_out_and_the_rest_goes_on(
    memory_card: MemoryCard, tmp_path: Path
) -> None:
    card = texture(5, WIDTH, HEIGHT)
    memory_card.add("a.jpg", "hr", card)
    memory_card.add("b.jpg", "lr", wide(card, 2))
    for name in (b"c\xff.jpg", b"=d.jpg"):
        (memory_card.path / os.fsdecode(name)).write_bytes((memory_card.path / "b.jpg").read_bytes())
    done = CliRunner().invoke(main, ["ingest", str(memory_card.path), "--out", str(tmp_path / "raw")])
    assert done.exit_code == 0
    assert "1 new scene of 1 card made from 2 files" in done.output
    said = " ".join(done.output.split())
    assert "1 file (c\\udcff.jpg) is left out: its name contains control characters or is not UTF-8; rename it" in said
    assert "1 file (=d.jpg) is left out: its name begins with '='" in said
    with watching(memory_card.path, tmp_path / "raw") as watch:
        watch.stopped = lambda: True
        assert not list(watch._left_out())
        assert len(watch._listed()) == 2
        assert len(list(watch._left_out())) == 2
        assert not list(watch._left_out())  # each is said once
    for name in ("a.jpg", "b.jpg"):
        (memory_card.path / name).unlink()
    with pytest.raises(LayoutError, match=r"no frames found; 1 file .* left out: its name .*; 1 file .* left out"):
        ingest(memory_card.path, tmp_path / "other")


@pytest.mark.slow
def test_an_lr_that_fits_as_well_as_another_is_named_and_not_guessed(memory_card: MemoryCard, tmp_path: Path) -> None:
    card = texture(5, WIDTH, HEIGHT)
    shots = {"hr.jpg": card, "one.jpg": wide(card, 2), "two.jpg": ImageChops.offset(wide(card, 2), 7, 4)}
    for name, camera in zip(shots, "ABC", strict=True):
        memory_card.add(name, name, shots[name], camera=camera)
    result = ingest(memory_card.path, tmp_path / "raw")
    assert not result.plan.scenes
    assert {row["role"] for row in result.rows} == {"doubtful"}
    assert "shows the same picture as one.jpg, two.jpg, and neither places nor times tell" in str(result.rows)
    (memory_card.path / "two.jpg").unlink()
    assert len(ingest(memory_card.path, tmp_path / "raw").plan.scenes) == 1
    memory_card.add("two.jpg", "two", shots["two.jpg"], camera="C")
    again = ingest(memory_card.path, tmp_path / "raw")  # what stands is not in doubt
    assert (len(again.plan.scenes), again.total) == (0, 1)
    assert {row["frame"]: row["role"] for row in again.rows} == {
        "hr.jpg": "hr",
        "one.jpg": "lr",
        "two.jpg": "spare_lr",
    }


def test_of_a_jpeg_beside_camera_raw_one_is_taken(tmp_path: Path) -> None:
    (tmp_path / "DCIM").mkdir()
    for name in ("a.jpg", "a.arw", "b.arw"):
        (tmp_path / "DCIM" / name).write_bytes(b"picture")
    files, notes = card_files(tmp_path / "DCIM", tmp_path / "raw")
    assert [path.name for path in files] == ["a.jpg", "b.arw"]
    assert notes == ["1 file (a.arw) is left out beside a JPEG of the same name; --prefer raw takes it"]
    assert [path.name for path in card_files(tmp_path / "DCIM", tmp_path / "raw", "raw")[0]] == ["a.arw", "b.arw"]


def test_a_damaged_file_that_was_copied_again_is_listed_once(memory_card: MemoryCard, tmp_path: Path) -> None:
    memory_card.add("a.jpg", "lonely", texture(5, WIDTH, HEIGHT))
    whole = (memory_card.path / "a.jpg").read_bytes()
    for content in (whole[: len(whole) // 2], whole):
        (memory_card.path / "a.jpg").write_bytes(content)
        ingest(memory_card.path, tmp_path / "raw")
    (row,) = rows_of(tmp_path / "raw" / "frames.csv")
    assert (row["frame"], row["role"]) == ("a.jpg", "nothing")
