"""The site of `make docs` in a browser, opened from disk: its search works, it needs no network, axe is content."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

SITE = Path(__file__).parents[2] / "build" / "site"
FORMS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 900}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
}


@pytest.fixture
def pages() -> Path:
    if not (SITE / "index.html").is_file():
        pytest.skip("the site is not built; make docs builds it")
    return SITE


def test_its_search_finds_pages_from_disk_and_nothing_comes_from_a_network(pages: Path, browser: Browser) -> None:
    with browser.new_context(offline=True, **FORMS["light"]) as context:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((pages / "index.html").as_uri())
        page.locator(".md-search__input").click()
        page.keyboard.type("residual")
        page.locator(".md-search-result__item").first.wait_for()
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["captures", "reference/d2crealsr-commands"])
def test_axe_finds_nothing_serious(form: str, name: str, pages: Path, browser: Browser) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    with browser.new_context(offline=True, **FORMS[form]) as context:
        page = context.new_page()
        page.goto((pages / f"{name}.html").as_uri())
        found = axe.Axe().run(page).response["violations"]
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
