"""The version stands in one place, and what repeats it is equal."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import d2crealsr

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_version_is_that_of_the_project_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert d2crealsr.__version__ == PROJECT["version"]
    assert re.search(r"^version: (.*)$", citation, re.M)[1] == PROJECT["version"]
    assert re.search(r"^license: (.*)$", citation, re.M)[1] == PROJECT["license"]


def test_what_a_wheel_must_carry_is_declared() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    other = {
        path.relative_to(ROOT)
        for package in ("d2crealsr", "d2c")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    declared = {
        path.relative_to(ROOT)
        for name, patterns in tool.items()
        for pattern in patterns
        for path in (ROOT / name.replace(".", "/")).glob(pattern)
    }
    assert other == declared


def test_the_classifiers_name_the_versions_that_may_be_used() -> None:
    named = {found for each in PROJECT["classifiers"] for found in re.findall(r"Python :: (3\.\d+)", each)}
    assert PROJECT["requires-python"] == ">=3.11"
    assert min(named, key=lambda text: int(text.split(".")[1])) == "3.11"
