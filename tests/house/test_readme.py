"""The README shows what is there: its pictures, and the table that its code prints."""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path

import PIL.Image
import pytest

from d2crealsr.errors import LayoutError

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = runpy.run_path(str(ROOT / "tools" / "example_pairs.py"))
PICTURES = runpy.run_path(str(ROOT / "tools" / "readme_pictures.py"))


def test_the_code_prints_the_table_below_it(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES["EXAMPLE"], tmp_path / "pairs")
    (block,) = [found for found in EXAMPLES["BLOCK"].finditer(README) if found["output"]]
    assert EXAMPLES["printed"]([block["code"]], tmp_path) == [block["output"]]


def test_its_pictures_are_there_small_and_described() -> None:
    shown = dict(re.findall(r'<img src="([^"]+)"[^>]* alt="([^"]+)"', README))
    names = ("captures", "aligned", "upscaled", "rejected")
    assert list(shown) == [f"docs/images/{name}.webp" for name in names]
    for path, text in shown.items():
        assert len(text) > 20
        assert (ROOT / path).stat().st_size < 300_000
        with PIL.Image.open(ROOT / path) as picture:
            assert picture.size == (PICTURES["WIDTH"], PICTURES["HEIGHT"])
            assert getattr(picture, "n_frames", 1) == (2 if "aligned" in path else 1)


def test_without_the_demo_the_pictures_name_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="run make demo first"):
        PICTURES["main"](tmp_path, tmp_path / "images")
    assert not (tmp_path / "images").exists()
