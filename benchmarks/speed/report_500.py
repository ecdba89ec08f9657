"""What a report on many pairs costs: seconds and memory to make it, and to open its page in a browser.

    python -m benchmarks.speed.report_500 --out benchmarks/results/report_500.txt
    python -m benchmarks.speed.report_500 --small

A few captures are simulated and aligned. Their pairs are then repeated under other names and with other numbers until
there are as many as requested, because the cost of a report depends on the size and the number of pictures, and not on
what they show. Every pair is read and drawn, also where pictures are equal. The page is opened from disk in headless
Chromium. If it is not installed, its rows are left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import click
import numpy as np

from benchmarks.program import PATH, print_and_store, program, with_out, with_size, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.seeds import TUNING
from d2crealsr.dataset.build import build
from d2crealsr.errors import UsageError
from d2crealsr.simulate import SimulateSettings, simulate
from d2crealsr.store.pairs import (
    published_paths,
    read_alignment,
    read_manifest,
    read_residuals,
    write_pairs_table,
)

if TYPE_CHECKING:
    import pandas as pd
    from playwright.sync_api import Page, ViewportSize

    from d2crealsr.simulate.settings import SizeName

BASE = 5
DESK: ViewportSize = {"width": 1280, "height": 900}
_SET = (
    "((id, event, value) => { const e = document.getElementById(id); "
    "e.value = value; e.dispatchEvent(new Event(event)); })"
)
_ACTIONS = {
    "sort by another column": f"{_SET}('sort', 'change', 'residual_p50_hr_px')",
    "filter to some": f"{_SET}('filter', 'input', 'scene~7')",
    "filter taken back": f"{_SET}('filter', 'input', '')",
    "mark": "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', "
    "{key: 'r', bubbles: true, cancelable: true}))",
}
"""What a visitor does in the contact sheet, as scripts."""


@program(__doc__)
@click.option("--pairs", "count", type=int, default=500, show_default=True, help="Pairs of the report.")
@with_size("mini")
@click.option("--jobs", type=int, default=1, show_default=True, help="Pairs at a time.")
@with_out
@click.option("--keep", type=PATH, help="Leave the pairs and the report in this folder.")
@with_small("Six pairs", count=6)
def main(count: int, size: SizeName, jobs: int, out: Path | None, keep: Path | None) -> None:
    """Make the pairs, then the report twice, then visit it."""
    if keep and keep.exists() and not (keep.is_dir() and not any(keep.iterdir())):
        raise UsageError(f"--keep: {keep} is no empty folder, and pairs are made in a new one; give another folder")
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep.resolve() if keep else Path(scratch)
        pairs = many_pairs(folder, count, size)
        rows = [made(pairs, jobs, "first report"), made(pairs, jobs, "again, nothing changed")]
        for row in rows:
            row["per pair, ms"] = 1000 * row["CPU s"] / count
        page = pairs / "report" / "index.html"
        files = [path for path in (pairs / "report").rglob("*") if path.is_file()]
        facts = [
            f"{count} pairs, captures of size {size}, {jobs} at a time",
            f"folder: {len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB; "
            f"index.html {page.stat().st_size / 1e6:.2f} MB",
        ]
        visited = visit(page)
    print_and_store("\n".join([*facts, "", text_table(rows, digits=1), "", text_table(visited, digits=1)]), out)


def many_pairs(folder: Path, count: int, size: SizeName) -> Path:
    """``count`` pairs from a few: captures and published files linked, rows repeated with other numbers."""
    raw, pairs = folder / "raw", folder / "pairs"
    base = min(BASE, max(count // 3, 1))
    simulate(raw, settings=SimulateSettings(size=size, scenes=base, seed=TUNING[0].start))
    build(raw, pairs)
    tables = {
        "manifest.csv": read_manifest(pairs),
        "alignment.csv": read_alignment(pairs),
        "residuals.csv": read_residuals(pairs),
    }
    names = tables["manifest.csv"]["scene"].tolist()
    copies = {f"{n:04d}": names[n % len(names)] for n in range(count)}
    for name, table in tables.items():
        write_pairs_table(pairs, name, repeated(table, copies, pairs if name == "manifest.csv" else None))
    return pairs


def repeated(table: pd.DataFrame, copies: dict[str, str], pairs: Path | None) -> pd.DataFrame:
    """A table's rows under new names; for the manifest the published files too, and residuals spread a little."""
    import pandas as pd

    by_scene = dict(tuple(table.groupby("scene", sort=False)))
    rng = np.random.default_rng(0)
    parts = []
    for scene, origin in copies.items():
        if origin not in by_scene:
            continue
        part = by_scene[origin].copy()
        part["scene"] = scene
        if pairs is not None:
            part["residual_p95_hr_px"] *= rng.uniform(0.7, 1.4)
            if part["status"].iloc[0] == "accepted":
                for column, new in zip(("hr_path", "lr_path"), published_paths(scene), strict=True):
                    os.link(pairs / part[column].iloc[0], pairs / new)
                    part[column] = new
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def made(pairs: Path, jobs: int, what: str) -> Row:
    """One report in a process of its own: wall and CPU seconds, and the largest process' peak memory."""
    command = [sys.executable, "-m", "d2crealsr", "report", str(pairs), "--jobs", str(jobs)]
    code = (
        "import resource, subprocess, sys, time; start = time.perf_counter()\n"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss, done.returncode)\n"
        "print(done.stderr[-300:], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
    wall, cpu, peak, returncode = (float(word) for word in done.stdout.split())
    if returncode:
        raise click.ClickException(done.stderr)
    return {"report": what, "wall s": wall, "CPU s": cpu, "peak MB": peak / 1024}


def visit(path: Path) -> list[Row]:
    """Milliseconds until the page answers, and that its parts take; and how much it loads."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        return [{"page": "no Chromium on this machine"}]
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_context(offline=True, viewport=DESK).new_page()
        loaded: list[Path] = []
        page.on("requestfinished", lambda request: loaded.append(_file_of(request.url)))
        start = time.perf_counter()
        page.goto(path.as_uri(), wait_until="domcontentloaded")
        page.locator(".pair-card").first.focus()
        page.keyboard.press("ArrowRight")
        rows = [{"page": "opened until a key press has moved the focus", "ms": 1000 * (time.perf_counter() - start)}]
        rows.append({"page": "its scripts and first layout", "ms": _loading(page)})
        page.wait_for_timeout(2000)
        megabytes = sum(file.stat().st_size for file in loaded if file.is_file()) / 1e6
        opened = {"page": f"MB loaded by then, in {len(loaded)} files (a number)", "ms": megabytes}
        rows += [{"page": what, "ms": _timed(page, action)} for what, action in _ACTIONS.items()]
        start = time.perf_counter()
        page.locator(".pair-card").first.press("Enter")
        picture = page.locator("#viewer img[src]").first
        picture.wait_for()
        picture.evaluate("(image) => image.decode()")
        rows.append({"page": "a pair opened until its picture is there", "ms": 1000 * (time.perf_counter() - start)})
        elements = float(page.evaluate("document.querySelectorAll('*').length"))
        rows += [opened, {"page": "elements in the page (a number)", "ms": elements}]
        browser.close()
    return rows


def _file_of(url: str) -> Path:
    """The file of an address; nothing where the address is the data itself."""
    return Path(unquote(urlsplit(url).path)) if url.startswith("file:") else Path()


def _loading(page: Page) -> float:
    page.wait_for_load_state()
    page.wait_for_timeout(100)  # the event's own end is noted after it
    return float(page.evaluate("(n => n.loadEventEnd - n.responseEnd)(performance.getEntriesByType('navigation')[0])"))


def _timed(page: Page, action: str) -> float:
    """Milliseconds of an action and of the frame that shows it."""
    frame = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
    script = f"const start = performance.now(); {action}; await {frame}; return performance.now() - start;"
    return float(page.evaluate(f"async () => {{ {script} }}"))


if __name__ == "__main__":
    main()
