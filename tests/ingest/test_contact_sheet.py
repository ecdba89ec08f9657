"""The file of the contact sheet: its format, and what it may replace."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import PIL.Image
import pytest

from d2crealsr.errors import UsageError
from d2crealsr.ingest.contact_sheet import check_sheet, draw_sheet

if TYPE_CHECKING:
    from pathlib import Path

NOTHING = SimpleNamespace(plan=SimpleNamespace(entries=[]), frames=[])


@pytest.mark.parametrize(("name", "kind"), [("sheet.png", "PNG"), ("sheet.jpg", "JPEG"), ("sheet.JPEG", "JPEG")])
def test_the_ending_decides_the_format_and_a_second_run_replaces_the_sheet(
    tmp_path: Path, name: str, kind: str
) -> None:
    sheet = tmp_path / name
    draw_sheet(sheet, NOTHING)
    with PIL.Image.open(sheet) as picture:
        assert picture.format == kind
    check_sheet(sheet, tmp_path / "DCIM", tmp_path / "raw")


@pytest.mark.parametrize("name", ["sheet.gif", "sheet", "sheet.tif"])
def test_another_ending_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(
        UsageError, match=r"sheet.*: expected a name that ends in \.png or \.jpg; change --contact-sheet"
    ):
        check_sheet(tmp_path / name, tmp_path / "DCIM", tmp_path / "raw")


def test_a_photograph_is_not_replaced(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "sheet.jpg", comment="d2crealsr")
    with pytest.raises(UsageError, match="holds something else than a contact sheet"):
        check_sheet(tmp_path / "sheet.jpg", tmp_path / "DCIM", tmp_path / "raw")


@pytest.mark.parametrize("place", ["DCIM", "DCIM/100", "link", "raw/hr", "raw/lr"])
def test_a_sheet_does_not_lie_among_frames_or_captures(tmp_path: Path, place: str) -> None:
    for folder in ("DCIM/100", "raw/hr", "raw/lr"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "link").symlink_to("DCIM")
    with pytest.raises(UsageError, match=r"sheet\.png: lies within .*; give another place with --contact-sheet"):
        check_sheet(tmp_path / place / "sheet.png", tmp_path / "DCIM", tmp_path / "raw")
    check_sheet(tmp_path / "raw" / "sheet.png", tmp_path / "DCIM", tmp_path / "raw")
