"""The shooting guide names every reason for which QA rejects a pair, and its PDF is one page."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path

import pypdfium2

from d2crealsr.quality.verdict import RULES

ROOT = Path(__file__).parents[2]


def test_every_reason_of_qa_is_in_the_guide() -> None:
    guide = (ROOT / "docs" / "shooting-guide.md").read_text(encoding="utf-8")
    assert [rule.reason for rule in RULES if f"`{rule.reason}`" not in guide] == []


def test_the_guide_is_one_page_that_its_program_makes(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    shutil.copy(ROOT / "docs" / "shooting-guide.md", tmp_path)
    runpy.run_path(str(ROOT / "tools" / "shooting_guide.py"))["main"](tmp_path)
    with pypdfium2.PdfDocument(tmp_path / "shooting-guide.pdf") as document:
        assert len(document) == 1
        text = document[0].get_textpage().get_text_range()
    assert "Exposure and white balance by hand" in text
    assert "position_uncertain" in text
    for name in ("setup", "frames"):
        drawn = (tmp_path / "images" / f"shooting-{name}.svg").read_text(encoding="utf-8")
        assert drawn == (ROOT / "docs" / "images" / f"shooting-{name}.svg").read_text(encoding="utf-8"), (
            "run: make guide"
        )
