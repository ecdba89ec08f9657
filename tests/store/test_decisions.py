"""Decisions of a person: what is read, and what is refused with the row it stands in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d2crealsr.errors import LayoutError, TableError
from d2crealsr.store.decisions import read_decisions

if TYPE_CHECKING:
    from pathlib import Path


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "decisions.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_scenes_are_text_and_other_columns_are_left_alone(tmp_path: Path) -> None:
    text = 'who,scene,decision,note\nme,001,accept,"fine, really"\n,NA,reject,\n'
    assert read_decisions(written(tmp_path, text)) == {"001": "accept", "NA": "reject"}
    assert read_decisions(written(tmp_path, "scene,decision,note\n")) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "row 1: got columns '', expected scene,decision,note; add scene, decision, note"),
        ("scene,verdict,note\na,accept,\n", "row 1: got columns 'scene,verdict,note', .*; add decision"),
        (
            "scene,decision,note\na,accept,\nb,maybe,\n",
            "row 3, column decision: got 'maybe', expected accept or reject",
        ),
        ("scene,decision,note\na,Accept,\n", "row 2, column decision: got 'Accept', expected accept or reject"),
        ("scene,decision,note\na,accept,\nb,accept,\na,reject,\n", "row 4: scene 'a' stands in row 2 too"),
        ("scene,decision,note\n,accept,\n", "row 2: scene '' is empty; give the name"),
        ("scene,decision,note\na,accept\n", "row 2: got 2 cells, expected 3"),
    ],
)
def test_what_is_refused_names_its_row(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=rf"decisions\.csv, {message}"):
        read_decisions(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=r"none\.csv is not there"):
        read_decisions(tmp_path / "none.csv")


def test_a_table_in_utf_16_is_named_as_one(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    path.write_text("scene,decision,note\n", encoding="utf-16")
    with pytest.raises(TableError, match=r"not a CSV file in UTF-8 \(it is in UTF-16\); .*save it as CSV in UTF-8"):
        read_decisions(path)
