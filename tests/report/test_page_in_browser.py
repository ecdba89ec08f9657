"""The report in headless Chromium, opened from disk with networking off: real keys, real clicks, saved figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest

from d2crealsr.report import make_report
from tests.report.conftest import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SVG = "{http://www.w3.org/2000/svg}"
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
