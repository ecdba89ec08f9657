"""Points that a person gave: read, used for their scenes, remembered by the folder, and said in the row."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from d2crealsr.dataset.build import build
from d2crealsr.dataset.points import Starts, read_points
from d2crealsr.errors import LayoutError, TableError, UsageError
from d2crealsr.store.captures import find_captures
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.pairs import read_manifest
from d2crealsr.types import AlignmentFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    Aligner = Callable[..., Any]

HEAD = "scene,hr_x,hr_y,lr_x,lr_y\n"
FOUR = ("1,2,3,4", "60,2,40,4.5", "60,40,41,30", "2,40,3,30")


@pytest.fixture
def raw(make_raw: Callable[[Path, list[str]], Path], tmp_path: Path) -> Path:
    return make_raw(tmp_path / "raw", ["01", "02", "03"])


@pytest.fixture
def run(raw: Path, aligner: Aligner, tmp_path: Path) -> Callable[..., Path]:
    """Align with these points, by the quick aligner, which finds scene 01 by itself and the others from points."""
    easy = read_image(raw / "lr" / "01.png")

    def align(hr: Any, lr: Any, *, settings: Any, points: Any = ()) -> Any:
        if not points and not np.array_equal(lr, easy):
            return AlignmentFailure(reason="too_few_matches", message="0 of 0 matches agree")
        return dataclasses.replace(aligner(hr, lr, settings=settings), started_from="points" if points else "sift")

    def aligned(points: str | None = None, *, out: str = "pairs", **options: Any) -> Path:
        file = tmp_path / "clicked.csv"
        file.write_text(points or "", encoding="utf-8")
        build(raw, tmp_path / out, points=None if points is None else file, align=align, **options)
        return tmp_path / out

    aligned.out = tmp_path / "pairs"  # type: ignore[attr-defined]
    return aligned


def table(*scenes: str) -> str:
    return HEAD + "".join(f"{scene},{row}\n" for scene in scenes for row in FOUR)


def states(out: Path) -> dict[str, str]:
    manifest = read_manifest(out)
    return dict(zip(manifest["scene"], manifest["status"] + " " + manifest["started_from"], strict=True))


def content(out: Path) -> dict[str, bytes]:
    files = (path for path in out.rglob("*") if path.is_file() and not path.name.startswith((".", "timings")))
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def test_points_are_for_their_scenes_and_the_folder_remembers_them(run: Callable[..., Path]) -> None:
    out = run()
    assert "points" not in json.loads((out / "dataset.json").read_text())
    assert states(out) == {"01": "accepted sift", "02": "failed ", "03": "failed "}
    run(table("02"))
    assert states(out) == {"01": "accepted sift", "02": "accepted points", "03": "failed "}
    run(table("03"))
    assert set(states(out).values()) == {"accepted sift", "accepted points"}
    before = content(out)
    run()
    assert content(out) == before
    assert content(run(table("02", "03"), out="other")) == before


def test_other_points_make_other_rows_and_none_take_them_back(run: Callable[..., Path]) -> None:
    out = run(table("02"))
    recipe = read_manifest(out)["recipe"].tolist()
    run(table("02").replace("4.5", "4.25"))
    again = read_manifest(out)["recipe"].tolist()
    assert [a == b for a, b in zip(recipe, again, strict=True)] == [True, False, True]
    with pytest.raises(UsageError, match=r"1 of 2 published pairs would no longer be accepted \(points of 02\)"):
        run(HEAD + "02,,,,\n")
    assert states(out)["02"] == "accepted points"
    run()
    assert states(out)["02"] == "accepted points"
    run(HEAD + "02,,,,\n", allow_loss=True)
    assert states(out)["02"] == "failed "
    assert "points" not in json.loads((out / "dataset.json").read_text())


def test_an_interrupted_run_goes_on_without_the_file(run: Callable[..., Path]) -> None:
    out = run()

    class Stopped(Exception):
        pass

    def stop(event: Any) -> None:
        if getattr(event, "scene", "") == "02":
            raise Stopped

    with pytest.raises(Stopped):
        run(table("02", "03"), on_event=stop)
    run()
    assert content(out) == content(run(table("02", "03"), out="other"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scene,hr_x,hr_y,lr_x\n", r"row 1: got columns 'scene,hr_x,hr_y,lr_x', expected .*; add lr_y$"),
        (table("02").replace(",", ";"), "separated by semicolons, expected commas"),
        (table("2"), r"row 2: scene '2' is not among the captures; correct it, or remove the row"),
        (table("a/b"), "row 2: scene 'a/b' contains '/'"),
        (HEAD + "".join(f"02,{row}\n" for row in FOUR[:3]), "scene '02': got 3 points, expected at least 4; add more"),
        (table("02", "02"), "scene '02': two points have the same position in HR; remove one of them"),
        (table("02").replace("60,40,41", "62,1,41"), "scene '02': all points in HR, or all but one, lie on a line"),
        (
            table("02").replace("4.5", "48"),
            r"row 3: point \(40, 48\) lies outside of the upright LR",
        ),
        (table("02").replace("4.5", "high"), "row 3, column lr_y: got 'high', expected a number"),
        (table("02").replace("4.5", "nan"), "row 3, column lr_y: got 'nan', expected a number"),
        (table("02").replace("4.5", ""), "row 3, column lr_y: got '', expected a number"),
    ],
)
def test_bad_points_are_one_line(raw: Path, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "points.csv").write_text(text)
    with pytest.raises(TableError, match=message) as error:
        read_points(tmp_path / "points.csv", find_captures(raw))
    assert "\n" not in str(error.value)


def test_bad_points_end_the_run_before_it_begins(run: Callable[..., Path]) -> None:
    with pytest.raises(TableError, match="scene '2' is not among the captures"):
        run(table("02", "2"))
    assert not run.out.exists()  # type: ignore[attr-defined]


def test_a_byte_order_mark_and_other_columns_are_read(run: Callable[..., Path]) -> None:
    rows = "".join(f"{row},02,seen\n" for row in FOUR)
    assert states(run("\ufeffhr_x,hr_y,lr_x,lr_y,scene,note\n" + rows))["02"] == "accepted points"


@pytest.mark.parametrize("rows", [5, [[1, 2, 3]], [["a", 1, 2, 3]], [[1, 2, 3, 4]], None])
def test_remembered_points_that_somebody_damaged(rows: Any) -> None:
    with pytest.raises(LayoutError, match=r"dataset\.json: the points of scene '02' cannot be used; restore the file"):
        Starts.of({"points": {"02": rows}}, Path("dataset.json"), {}, {"02"})


def test_points_outside_of_a_new_capture_fail_their_scene_alone(raw: Path, tmp_path: Path) -> None:
    file = tmp_path / "clicked.csv"
    file.write_text(table("02"))
    build(raw, tmp_path / "pairs", points=file)
    write_image(raw / "lr" / "02.png", np.zeros((40, 36, 3), np.uint8))
    build(raw, tmp_path / "pairs")
    row = read_manifest(tmp_path / "pairs").set_index("scene").loc["02"]
    assert row["reasons"] == "points_do_not_fit"
    assert "lies outside of the upright LR capture, 36x40 pixels" in row["message"]
