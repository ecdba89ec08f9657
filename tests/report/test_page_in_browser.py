"""The report in headless Chromium, opened from disk with networking off: real keys, real clicks, the exported file."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from d2crealsr.dataset.build import build
from d2crealsr.dataset.points import read_points
from d2crealsr.dataset.split import split
from d2crealsr.report import make_report
from d2crealsr.settings import AlignSettings
from d2crealsr.store.captures import find_captures
from d2crealsr.store.decisions import read_decisions
from d2crealsr.store.pairs import read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<img src=x onerror=alert(1)>&"
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


def layer(page: Page, name: str) -> bool:
    """Whether one of the viewer's pictures is to be seen."""
    return page.locator(f"[data-layer='{name}']").is_visible()


def focused(page: Page) -> str:
    """The name on the card that has the focus."""
    return str(page.evaluate("document.activeElement.querySelector('.name')?.textContent ?? ''"))


def inliers(page: Page) -> list[int]:
    """What the cards say of the column they are sorted by."""
    lines = page.locator("#sheet .line:last-child").all_text_contents()
    return [int(line.split()[1]) for line in lines if line.startswith("n_inliers") and "–" not in line]


def exported(page: Page, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click("#export")
    download.value.save_as(folder / "decisions.csv")
    return folder / "decisions.csv"


def test_top_line_and_reasons(visit: Callable[..., Any]) -> None:
    page = visit().page
    assert page.title() == "4 of 8 pairs kept"
    assert page.locator(".stat").first.inner_text().split() == ["Kept", "4", "of", "8"]
    verdict = page.locator(".judged")
    assert verdict.inner_text().startswith("Ready to train on: 4 of 8 scenes were accepted")
    assert verdict.inner_text().endswith("and then 1 more.")
    assert verdict.locator("a").first.inner_text() == "alone"
    reasons = page.locator(".reasons tbody tr")
    assert [row.split()[0] for row in reasons.all_inner_texts()][:2] == ["content_mismatch", "residual_too_large"]
    page.get_by_role("button", name="Show pairs with low_texture").click()
    assert page.locator("#count").inner_text() == "1 of 8 shown."


def test_a_hostile_name_is_text(visit: Callable[..., Any]) -> None:
    visited = visit()
    assert HOSTILE in visited.shown()
    assert visited.page.locator("img[src=x]").count() == 0
    visited.open(HOSTILE)
    assert visited.page.locator("#pair-title").inner_text() == HOSTILE
    assert visited.page.locator("img[src=x]").count() == 0


def test_worst_first_sort_by_any_column_and_filter(visit: Callable[..., Any]) -> None:
    visited = visit()
    page = visited.page
    rank = {"failed": 0, "rejected": 1, "accepted": 2}
    states = [rank[text] for text in page.locator("#sheet .tag").all_text_contents()]
    assert states == sorted(states)

    page.select_option("#sort", "n_inliers")
    numbers = [
        int(t.split()[1])
        for t in page.locator("#sheet .line:last-child").all_text_contents()
        if "inliers" in t and "–" not in t
    ]
    assert len(numbers) == 6
    assert numbers == sorted(numbers, reverse=True)
    page.click("#direction")
    assert visited.shown()[:6] == visited.shown()[:6]
    again = [
        int(t.split()[1])
        for t in page.locator("#sheet .line:last-child").all_text_contents()
        if "inliers" in t and "–" not in t
    ]
    assert again == sorted(numbers)

    page.fill("#filter", "status=rejected residual_p95_hr_px>0")
    assert sorted(visited.shown()) == ["dark 1", 'dark, "2"']
    page.fill("#filter", "reasons ~ low and n_inliers != 5")
    assert visited.shown() == ["flat"]
    page.fill("#filter", "nonsense>1")
    assert "no column nonsense" in page.locator("#count").inner_text()
    page.fill("#filter", "")
    page.get_by_role("button", name="Accepted").click()
    assert sorted(visited.shown()) == sorted([HOSTILE, "001", "002", "003"])


def test_keys_move_blink_and_mark_in_the_sheet(visit: Callable[..., Any]) -> None:
    visited = visit()
    page, names = visited.page, visited.shown()
    page.locator("#direction").focus()
    page.keyboard.press("Tab")  # marks' bar: load, clear, keys
    while page.evaluate("!document.activeElement.classList.contains('pair-card')"):
        page.keyboard.press("Tab")
    assert focused(page) == names[0]
    for key, place in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", 7), ("Home", 0)):
        page.keyboard.press(key)
        assert focused(page) == names[place]
    page.keyboard.press("ArrowDown")
    tops = page.locator("#sheet li").evaluate_all("items => items.map((item) => item.offsetTop)")
    assert focused(page) == names[next(i for i, top in enumerate(tops) if top > tops[0])]

    page.keyboard.press("End")
    card = page.locator(".pair-card:focus")
    assert card.locator(".which").inner_text() == "LR"
    page.keyboard.press("Space")
    assert card.locator(".which").inner_text() == "HR"
    page.keyboard.press("Space")
    assert card.locator(".which").inner_text() == "LR"

    page.keyboard.press("r")
    assert "marked reject" in card.inner_text()
    page.keyboard.press("a")
    assert "marked accept" in card.inner_text()
    page.keyboard.press("a")
    assert "marked" not in card.inner_text()
    page.keyboard.press("Enter")
    page.wait_for_selector("#pair-title")
    assert page.locator("#pair-title").inner_text() == names[-1]
    page.keyboard.press("Escape")
    assert focused(page) == names[-1]


def test_letters_can_be_turned_off(visit: Callable[..., Any]) -> None:
    page = visit().page
    page.click("summary >> nth=0")
    page.uncheck("#letters")
    page.locator(".pair-card").first.focus()
    page.keyboard.press("r")
    assert page.locator("#marked").inner_text() == "Marked: 0 accept, 0 reject."


def test_pair_view(visit: Callable[..., Any]) -> None:
    visited = visit()
    page = visited.page
    visited.open("001")
    visited.until("[...document.querySelectorAll('#viewer img[src]')].every((i) => i.complete && i.naturalWidth)")
    assert (layer(page, "LR"), layer(page, "HR")) == (True, False)
    page.keyboard.press("Space")
    assert layer(page, "HR")
    assert page.locator("#showing").inner_text() == "HR, final, as published"
    page.keyboard.press("Space")
    assert not layer(page, "HR")

    page.keyboard.press("s")
    page.focus("#slider")
    before = page.locator("[data-layer=HR]").evaluate("(e) => e.style.clipPath")
    page.keyboard.press("ArrowRight")
    assert page.locator("[data-layer=HR]").evaluate("(e) => e.style.clipPath") != before
    page.get_by_role("button", name="Checkerboard").click()
    assert "conic-gradient" in page.locator("[data-layer=HR]").evaluate("(e) => getComputedStyle(e).maskImage")
    page.get_by_role("button", name="Difference").click()
    assert layer(page, "difference")
    page.get_by_role("button", name="Sharp HR").click()
    assert layer(page, "sharp HR")
    page.check("#clipped")
    assert layer(page, "clipped")

    page.locator("#viewer").focus()
    page.keyboard.press("1")
    assert page.get_by_role("radio", name="before alignment").is_checked()
    source = page.locator("[data-layer=HR]").get_attribute("src")
    page.get_by_role("radio", name="rough").check()
    assert page.locator("[data-layer=HR]").get_attribute("src") != source

    cross = page.locator(".crosshair")
    left = cross.evaluate("(e) => e.style.left")
    page.locator("#viewer").focus()
    page.keyboard.press("Shift+ArrowRight")
    assert cross.evaluate("(e) => parseFloat(e.style.left)") > float(left.removesuffix("%"))

    field = page.locator("#field svg").get_attribute("aria-label")
    assert field is not None
    assert "Shape: random. Median" in field
    assert page.locator("#field .arrow").count() == 20
    assert page.locator(".histograms image[href^='data:image/png']").count() == 2
    assert "1.100" in page.locator("#photometry table").inner_text()


def test_a_finger_blinks_in_the_sheet_and_in_a_pair(visit: Callable[..., Any]) -> None:
    page = visit(**PHONE).page
    card = page.locator("#sheet li", has=page.get_by_text("001", exact=True))
    for which in ("HR", "LR"):
        card.get_by_role("button", name="Blink 001").tap()
        assert card.locator(".which").inner_text() == which
    assert page.locator("#pair").is_hidden()
    card.locator("a").tap()
    page.wait_for_selector("#captures *")
    for shown in (True, False):
        page.locator("#viewer").tap()
        assert layer(page, "HR") == shown
    small = "(e) => [...e].filter((b) => b.offsetParent && Math.min(b.offsetWidth, b.offsetHeight) < 44).length"
    assert page.locator("button, select, input[type=text], a.save").evaluate_all(small) == 0


def saved(page: Page, link: str, folder: Path) -> ElementTree.Element:
    """The figure that a link saves."""
    with page.expect_download() as download:
        page.get_by_role("link", name=link).click()
    download.value.save_as(folder / download.value.suggested_filename)
    return ElementTree.parse(folder / download.value.suggested_filename).getroot()


def test_every_figure_is_saved_as_svg_that_stands_alone(visit: Callable[..., Any], tmp_path: Path) -> None:
    visited = visit(accept_downloads=True, color_scheme="dark")
    page = visited.page
    assert page.locator(".save").count() == 1 + 6  # the blink's, hidden, and a figure each
    root = saved(page, "Save as SVG: Distribution of residuals", tmp_path)
    parts = list(root.iter())
    assert not any({"class", "style", "onclick"} & set(part.attrib) for part in parts)
    assert {part.get("stroke") for part in parts} >= {"rgb(11, 111, 168)", "rgb(194, 87, 0)"}  # of the light page
    texts = [part.text for part in parts if part.tag.endswith("text")]
    assert any(text.startswith("p95: median") for text in texts if text)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    visited.open("001")
    page.locator("summary", has_text="Illumination field").click()
    for name in ("Residual field", "Brightness before matching", "Brightness after matching", "Illumination field"):
        root = saved(page, f"Save as SVG: {name}", tmp_path)
        assert root.findtext(f"{SVG}title") == name
    assert (tmp_path / "residual-field-001.svg").is_file()
    images = ElementTree.parse(tmp_path / "brightness-after-001.svg").findall(f".//{SVG}image")
    assert [image.get("href", "")[:15] for image in images] == ["data:image/png;"]
    assert str(page.locator("#blink-file").get_attribute("href")).endswith("/blink.webp")


def test_arrows_go_from_pair_to_pair_and_the_rejected_says_why(visit: Callable[..., Any]) -> None:
    visited = visit()
    page, names = visited.page, visited.shown()
    visited.open("dark 1")
    assert "content_mismatch" in page.locator(".verdict").inner_text()
    place = names.index("dark 1")
    page.keyboard.press("ArrowRight")
    visited.until(f"document.getElementById('pair-title').textContent === {names[place + 1]!r}")
    page.keyboard.press("ArrowLeft")
    visited.until("document.getElementById('pair-title').textContent === 'dark 1'")
    page.keyboard.press("ArrowLeft")
    visited.until(f"document.getElementById('pair-title').textContent === {names[place - 1]!r}")
    page.go_back()
    visited.until("document.getElementById('pair-title').textContent === 'dark 1'")


def test_a_point_of_a_plot_opens_its_pair(visit: Callable[..., Any]) -> None:
    page = visit().page
    point = page.locator("#plot-geometry .point").first
    name = point.locator("title").text_content().split(":")[0]
    point.click()
    assert page.locator("#pair-title").inner_text() == name
    says = page.locator("#plot-stages svg").get_attribute("aria-label")
    assert "rough 2.4" in says


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


def test_missing_files_are_said(visit: Callable[..., Any], pairs: Path) -> None:
    import shutil

    page_path = make_report(pairs).page
    shutil.rmtree(page_path.parent / "files")
    visited = visit(page_path)
    visited.page.locator(".pair-card").first.click()
    visited.page.get_by_text("The pictures of this pair are missing").wait_for()
    assert any("ERR_FILE_NOT_FOUND" in fault for fault in visited.faults)
    visited.faults.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing(visit: Callable[..., Any], scheme: str, device: dict[str, Any]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    visited = visit(color_scheme=scheme, **device)
    page = visited.page
    page.locator(".pair-card").first.focus()
    page.keyboard.press("a")
    page.click("summary >> nth=0")
    found = axe.Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    for scene in ("001", "dark 1", "flat"):
        visited.open(scene)
        page.get_by_text("Show the manifest").click()
        found = axe.Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        page.keyboard.press("Escape")


def test_colours_follow_the_choice(visit: Callable[..., Any]) -> None:
    page = visit(color_scheme="light").page
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.select_option("#theme", "dark")
    assert page.evaluate(paper) != light
    page.reload()
    assert page.evaluate(paper) != light


def test_thirty_pairs_load_pictures_as_they_come_into_view(
    visit: Callable[..., Any], new_pairs: Callable[..., Path], tmp_path: Path
) -> None:
    page_path = make_report(new_pairs(tmp_path, {f"{n:03d}": "" for n in range(30)})).page
    visited = visit(page_path, viewport={"width": 400, "height": 500})
    visited.page.wait_for_load_state()
    loaded = "[...document.querySelectorAll('#sheet img')].filter((i) => i.complete && i.naturalWidth).length"
    visited.until(f"{loaded} > 0")
    assert visited.page.evaluate(loaded) < 30
    assert not any("pair.js" in url for url in visited.requests)
