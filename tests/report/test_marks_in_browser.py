"""Marks and points that are set in the report in headless Chromium, and what the other commands make of them."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from d2crealsr.dataset.build import build
from d2crealsr.dataset.points import read_points
from d2crealsr.dataset.split import split
from d2crealsr.report import make_report
from d2crealsr.settings import AlignSettings
from d2crealsr.store.captures import find_captures
from d2crealsr.store.decisions import read_decisions
from d2crealsr.store.pairs import read_manifest
from tests.report.conftest import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def exported(page: Page, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click("#export")
    download.value.save_as(folder / "decisions.csv")
    return folder / "decisions.csv"


def test_marks_survive_a_reload_and_come_back_from_the_file(visit: Callable[..., Any], tmp_path: Path) -> None:
    visited = visit(accept_downloads=True)
    page = visited.page
    for scene, key, note in ((HOSTILE, "r", 'a "quoted", note'), ('dark, "2"', "a", ""), ("001", "a", "=1+1")):
        visited.open(scene)
        page.keyboard.press(key)
        page.fill("#note", note)
        page.click("#back")
    page.reload()
    assert page.locator("#marked").inner_text() == "Marked: 2 accept, 1 reject."
    file = exported(page, tmp_path)
    assert read_decisions(file) == {HOSTILE: "reject", 'dark, "2"': "accept", "001": "accept"}
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    assert {row["scene"]: row["note"] for row in rows}[HOSTILE] == 'a "quoted", note'

    again = visit()
    other = again.page
    assert other.locator("#marked").inner_text() == "Marked: 0 accept, 0 reject."
    other.set_input_files("#import-file", file)
    again.until("document.getElementById('marked').textContent.startsWith('3 marks read')")
    assert other.locator(".marked-accept").count() == 2


def test_exported_marks_reach_split_and_align(
    visit: Callable[..., Any], pairs: Path, aligner: Callable[..., Any], tmp_path: Path
) -> None:
    visited = visit(make_report(pairs).page, accept_downloads=True)
    page = visited.page
    for scene, key in (("002", "r"), ('dark, "2"', "a")):
        page.locator(".pair-card", has=page.get_by_text(scene, exact=True)).focus()
        page.keyboard.press(key)
    file = exported(page, tmp_path)
    split(pairs, test=1, decisions=file)
    manifest = read_manifest(pairs).set_index("scene")
    assert manifest.loc["002", "split"] == ""
    assert set(manifest.loc[[HOSTILE, "001", "003"], "split"]) == {"train", "test"}
    build(pairs.parent / "raw", pairs, settings=AlignSettings(scale=4), accept=file, align=aligner)
    manifest = read_manifest(pairs).set_index("scene")
    assert tuple(manifest.loc['dark, "2"', ["status", "accepted_by"]]) == ("accepted", "reviewer")
    assert manifest.loc["dark 1", "status"] == "rejected"


def click(page: Page, plate: int, x: float, y: float) -> None:
    """A click at a share of one of the captures in which points are set."""
    capture = page.locator(".plate").nth(plate)
    box = capture.bounding_box()
    assert box is not None
    capture.click(position={"x": x * box["width"], "y": y * box["height"]})


def test_points_are_clicked_undone_kept_and_exported(visit: Callable[..., Any], tmp_path: Path, master: Path) -> None:
    visited = visit(accept_downloads=True, viewport={"width": 1000, "height": 900})
    page = visited.page
    visited.open("001")
    assert page.locator("#points").is_hidden()
    page.click("#back")
    visited.open("flat")
    visited.until("[...document.querySelectorAll('.plate img')].every((i) => i.complete && i.naturalWidth)")
    status, export = page.locator("#points-status"), page.locator("#points [data-points-save]")
    for x, y in ((0.1, 0.2), (0.9, 0.1), (0.8, 0.9)):
        click(page, 0, x, y)
        click(page, 1, 0.4 + 0.2 * x, 0.4 + 0.2 * y)
    assert status.inner_text() == "3 pairs. At least 4 are needed. Set point 4 in either capture."
    assert export.is_disabled()
    page.locator(".plate").nth(1).focus()
    for key in ("ArrowLeft", "Shift+ArrowUp", "+", "Enter"):
        page.keyboard.press(key)
    assert status.inner_text() == "3 pairs. At least 4 are needed. Set point 4 in HR."
    click(page, 0, 0.2, 0.8)
    click(page, 0, 0.5, 0.5)
    assert page.locator(".dot").all_inner_texts() == ["1", "2", "3", "4", "5", "1", "2", "3", "4"]
    page.click("#points-undo")
    assert status.inner_text() == "4 pairs. The scene is ready. Set point 5 in either capture."

    page.click("#back")
    page.reload()
    assert page.locator("#points-ready").inner_text() == "Points: 1 scene ready."
    with page.expect_download() as download:
        page.click("#points-bar [data-points-save]")
    download.value.save_as(tmp_path / "points.csv")
    points = read_points(tmp_path / "points.csv", find_captures(master / "raw"))
    assert points["flat"][0] == pytest.approx(
        (0.1 * 240 - 0.5, 0.2 * 160 - 0.5, 0.42 * 90 - 0.5, 0.44 * 60 - 0.5), abs=0.6
    )
    assert len(points["flat"]) == 4
    visited.open("flat")
    assert page.locator("#points-text").text_content() == (tmp_path / "points.csv").read_text()


def test_points_that_the_folder_remembers_are_shown(
    visit: Callable[..., Any], pairs: Path, aligner: Callable[..., Any], tmp_path: Path
) -> None:
    rows = ("1,2,3,4", "230,2,80,4", "230,150,80,50", "2,150,3,50")
    (tmp_path / "points.csv").write_text("scene,hr_x,hr_y,lr_x,lr_y\n" + "".join(f"flat,{row}\n" for row in rows))

    def align(hr: Any, lr: Any, *, settings: Any, points: Any = ()) -> Any:
        return aligner(hr, lr, settings=settings)

    build(pairs.parent / "raw", pairs, points=tmp_path / "points.csv", align=align)
    visited = visit(make_report(pairs).page)
    visited.open("flat")
    assert visited.page.locator("#points-status").inner_text().startswith("4 pairs.")
    assert visited.page.locator("#points-text").text_content() == (tmp_path / "points.csv").read_text()
