"""Photograph the report for README.md and docs/report.md, in headless Chromium.

    make pictures
    python tools/report_pictures.py docs/images     # the same, without the pictures of the demo

Scenes of the demo are simulated again, one of them with a sheet of paper on the card, and one LR shot is left empty.
`report.jpg` is LR against HR of the covered pair, `report-top.webp` the top of the report, and `report-phone.webp` is
both on a phone.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from PIL import Image
from playwright.sync_api import sync_playwright

from d2crealsr.dataset.build import build
from d2crealsr.dataset.split import split
from d2crealsr.report import make_report
from d2crealsr.simulate import SimulateSettings, simulate

if TYPE_CHECKING:
    from playwright.sync_api import Browser

RECIPE = Path(__file__).parents[1] / "d2crealsr" / "command" / "demo.csv"
SCENES, COVERED, EMPTY = 13, "006", "013"
"""Number of scenes, the one that is covered in part, and the one without a usable LR shot."""

DESK: dict[str, Any] = {"viewport": {"width": 1240, "height": 1460}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
    "device_scale_factor": 1.5,
}
GAP = 24


def captures(folder: Path) -> Path:
    """The captures: scenes of the demo, of which one is covered and one has an empty LR file."""
    recipe = pd.read_csv(RECIPE, dtype=str).head(SCENES)
    for name, nuisances in (("raw", ()), ("covered", ("occlusion",))):
        wanted = recipe if name == "raw" else recipe[recipe["scene"] == COVERED]
        wanted.to_csv(folder / f"{name}.csv", index=False)
        settings = SimulateSettings(size="mini", nuisances=nuisances)
        simulate(folder / name, manifest=folder / f"{name}.csv", settings=settings)
    for side in ("hr", "lr"):
        (folder / "covered" / side / f"{COVERED}.jpg").replace(folder / "raw" / side / f"{COVERED}.jpg")
    (folder / "raw" / "lr" / f"{EMPTY}.jpg").write_bytes(b"")
    return folder / "raw"


def photograph(browser: Browser, page: Path, options: dict[str, Any], mode: str = "") -> Image.Image:
    """The top of the page; or LR and HR of the covered pair, compared in that way."""
    context = browser.new_context(color_scheme="light", offline=True, **options)
    visit = context.new_page()
    visit.goto(page.as_uri())
    if mode:
        visit.locator(".pair-card", has=visit.get_by_text(COVERED, exact=True)).click()
        visit.wait_for_selector("#captures *")
        visit.get_by_role("button", name=mode, exact=True).click()
        visit.set_viewport_size({"width": options["viewport"]["width"], "height": 3000})  # nothing lies over the card
    visit.wait_for_timeout(500)
    seen = Image.open(io.BytesIO(visit.locator("#compare").screenshot() if mode else visit.screenshot())).convert("RGB")
    context.close()
    return seen


def beside(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures side by side, the second one cut to the height of the first."""
    both = Image.new("RGB", (left.width + GAP + right.width, left.height), "white")
    both.paste(left, (0, 0))
    both.paste(right, (left.width + GAP, 0))
    return both


def main(out: Path) -> None:
    """Make a report and photograph it."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("report_pictures: there is no Chromium on this machine; install it (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "postcards"
        folder.mkdir()
        build(captures(folder), folder / "pairs")
        split(folder / "pairs", test=3)
        page = make_report(folder / "pairs").page
        with sync_playwright() as running:
            browser = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
            photograph(browser, page, DESK, "Difference").save(out / "report.jpg", quality=88)
            photograph(browser, page, DESK).save(out / "report-top.webp", quality=85)
            phone = beside(photograph(browser, page, PHONE), photograph(browser, page, PHONE, "Difference"))
            phone.save(out / "report-phone.webp", quality=85)
            browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
