"""How a page takes its place in a folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from d2crealsr.errors import LayoutError, MachineError
from d2crealsr.store import page_folder
from d2crealsr.store.files import write_text

if TYPE_CHECKING:
    from pathlib import Path


def test_publish_removes_what_the_page_does_not_need(tmp_path: Path) -> None:
    for name in ("old/picture.jpg", "kept/picture.jpg", "old.js"):
        write_text(tmp_path / page_folder.FILES / name, "x")
    write_text(tmp_path / "notes.txt", "a person's own")
    page_folder.publish(tmp_path, "<p>new</p>", {"kept"}, earlier=re.compile(r"old.*|kept"))
    assert (tmp_path / page_folder.PAGE).read_text(encoding="utf-8") == "<p>new</p>"
    assert [entry.name for entry in (tmp_path / page_folder.FILES).iterdir()] == ["kept"]
    assert (tmp_path / "notes.txt").exists()


def test_a_page_is_not_written_among_pictures(tmp_path: Path) -> None:
    claimed = {"generator": "toy", "earlier": re.compile("x")}
    (tmp_path / "holiday.JPG").touch()
    told = r"holds pictures \(holiday\.JPG\), among which a page would be written; give a folder of its own with --out"
    with pytest.raises(LayoutError, match=told):
        page_folder.claim(tmp_path, **claimed)
    page_folder.claim(tmp_path / "report", **claimed)
    write_text(tmp_path / page_folder.PAGE, '<meta name="generator" content="toy">')
    page_folder.claim(tmp_path, **claimed)  # its own page, and a picture that somebody put beside it


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "report").touch()
    with pytest.raises(MachineError, match=r"report.*: cannot be written .*; make room"):
        page_folder.publish(tmp_path / "report", "x", earlier=re.compile("x"))
