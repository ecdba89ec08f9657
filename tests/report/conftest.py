"""A pairs folder as `align` leaves it, with an aligner that knows the answer: quick, and of every kind there is."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from d2crealsr.dataset.build import build
from d2crealsr.settings import AlignSettings
from d2crealsr.store.files import write_text
from d2crealsr.store.images import write_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

HOSTILE = "<img src=x onerror=alert(1)>&"
SCALE = 4
HR_SIZE, LR_SIZE = (160, 240), (60, 90)


def texture(number: int, height: int, width: int) -> np.ndarray[Any, Any]:
    """A smooth random picture that no other scene has."""
    coarse = np.random.default_rng(number).integers(20, 236, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def aligner() -> Callable[..., Any]:
    """An aligner as a closure, so that it reaches workers by value. Flat LR fails, dark LR is rejected."""

    def align(hr: Any, lr: Any, *, settings: Any) -> Any:
        import numpy as np

        from d2crealsr.align import Alignment
        from d2crealsr.imaging import geometry, warp
        from d2crealsr.imaging.estimate import Estimate
        from d2crealsr.imaging.photometry import Photometry
        from d2crealsr.imaging.placement import Placement
        from d2crealsr.types import AlignmentFailure, Crop, ResidualField, Size, Stage

        if lr.std() < 1:
            return AlignmentFailure(reason="low_texture", message="0 keypoints, at least 24 needed; shoot more texture")
        scale, level = settings.scale, float(lr.mean())
        H = np.array([[1 / scale, 0.001, 15 + level / 100], [-0.001, 1 / scale, 10], [0, 0, 1]])
        mapping = geometry.CaptureMapping(H_hr_to_lr=H, hr_size=Size.of(hr), lr_size=Size.of(lr))
        light = Photometry(gain=(1.1, 1.0, 0.9), field_x=0.02)
        estimate = Estimate(placement=Placement(mapping, Crop(24, 14, 40, 32), scale), light=light)
        x, y = np.meshgrid(np.linspace(28, 60, 5), np.linspace(18, 42, 4))
        shifts = np.random.default_rng(int(level * 100)).normal(0, level / 500, (20, 2))
        reasons = ("content_mismatch", "residual_too_large") if level < 70 else ()
        off = H + np.array([[0, 0, 0.6], [0, 0, 0], [0, 0, 0]])
        length = np.hypot(*shifts.T)
        return Alignment(
            estimate=estimate,
            hr=warp.warp_hr(hr, estimate),
            lr=np.ascontiguousarray(lr[14:46, 24:64]),
            residuals=ResidualField(
                points_lr=np.stack([x.ravel(), y.ravel()], axis=1),
                shifts_hr_px=shifts,
                weights=np.linspace(0, 1, 20),
                zncc=np.full(20, 0.99),
            ),
            stages=(
                Stage(iteration=1, stage="rough", H_hr_to_lr=off, sigma_blur_hr_px=4.0, residual_p50_hr_px=2.4),
                Stage(iteration=2, stage="sift", H_hr_to_lr=None, stopped="failed"),
                Stage(iteration=3, stage="direct", H_hr_to_lr=H, sigma_blur_hr_px=3.5, residual_p50_hr_px=0.1),
            ),
            statistics={
                "residual_p50_hr_px": float(np.median(length)),
                "residual_p95_hr_px": float(np.percentile(length, 95)),
                "sigma_hr_px": 0.05,
                "scale_effective": scale * (1 + level / 5000),
                "rotation_deg": level / 100,
                "sharpness_ratio": 3.0,
                "n_inliers": int(level * 3),
                "clipped_fraction": 0.01,
                "zncc": 0.98,
                "content_differs_fraction": 0.001,
                "differing_hr_px": 12.0,
                **{"differing_x": 30.0, "differing_y": 20.0, "differing_width": 3.0, "differing_height": 2.0},
            },
            reasons=reasons,
            residual_shape="random",
        )

    return align


def write_scene(raw: Path, scene: str, number: int, kind: str = "") -> None:
    """One scene's captures: as they should be, ``dark`` (rejected), ``flat`` (failed) or ``alone`` (no LR)."""
    write_image(raw / "hr" / f"{scene}.png", texture(number, *HR_SIZE))
    lr = texture(1000 + number, *LR_SIZE)
    lr = {"dark": lr // 3, "flat": np.full_like(lr, 90)}.get(kind, lr)
    lr[20:23, 30:33] = 255  # something to be clipped
    if kind == "flat":
        lr[:] = 90
    if kind != "alone":
        write_image(raw / "lr" / f"{scene}.png", lr)


def make_pairs(folder: Path, scenes: dict[str, str]) -> Path:
    """``folder/raw`` and ``folder/pairs`` of scenes by kind."""
    for number, (scene, kind) in enumerate(scenes.items()):
        write_scene(folder / "raw", scene, number, kind)
    build(folder / "raw", folder / "pairs", settings=AlignSettings(scale=SCALE), align=aligner())
    return folder / "pairs"


SCENES = {
    HOSTILE: "",
    "001": "",
    "002": "",
    "003": "",
    "dark 1": "dark",
    'dark, "2"': "dark",
    "flat": "flat",
    "alone": "alone",
}


@pytest.fixture(scope="session")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Captures and pairs that tests copy; nothing may change them."""
    folder = tmp_path_factory.mktemp("master")
    make_pairs(folder, SCENES)
    return folder


@pytest.fixture
def pairs(master: Path, tmp_path: Path) -> Path:
    """A pairs folder of one's own, with its captures beside it."""
    shutil.copytree(master, tmp_path / "dataset")
    return tmp_path / "dataset" / "pairs"


# --- the browser -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def report(master: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a report that no test changes."""
    from d2crealsr.report import make_report

    return make_report(master / "pairs", tmp_path_factory.mktemp("report") / "report").page


class Visit:
    """A page opened from disk with networking off; every message of its console counts as a fault."""

    def __init__(self, context: BrowserContext, path: Path) -> None:
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: self.faults.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def shown(self) -> list[str]:
        """Names of the cards that are shown, in order."""
        return self.page.locator("#sheet li:not([hidden]) .name").all_text_contents()  # also of those out of sight

    def until(self, expression: str, seconds: float = 20) -> None:
        """Wait for a condition; playwright's own wait evaluates text in the page, which its policy forbids."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"not within {seconds} s: {expression}"
            self.page.wait_for_timeout(20)

    def open(self, scene: str) -> None:
        """Open a pair and wait for its pictures."""
        self.page.locator(".pair-card", has=self.page.get_by_text(scene, exact=True)).click()
        self.page.wait_for_selector("#captures *")


@pytest.fixture
def visit(browser: Browser, report: Path) -> Iterator[Callable[..., Visit]]:
    """Open the report (or another page) as a fresh visitor; at the end no console may have spoken."""
    visits: list[tuple[BrowserContext, Visit]] = []

    def open_page(path: Path | None = None, **options: Any) -> Visit:
        context = browser.new_context(offline=True, **options)
        visits.append((context, Visit(context, path or report)))
        return visits[-1][1]

    yield open_page
    for context, visited in visits:
        assert visited.faults == []
        assert [url for url in visited.requests if not url.startswith(("file:", "data:", "blob:"))] == []
        context.close()


@pytest.fixture
def decisions(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        write_text(tmp_path / "decisions.csv", text)
        return tmp_path / "decisions.csv"

    return write


@pytest.fixture
def new_pairs() -> Callable[[Path, dict[str, str]], Path]:
    return make_pairs


@pytest.fixture(name="aligner")
def aligner_fixture() -> Callable[..., Any]:
    return aligner()
