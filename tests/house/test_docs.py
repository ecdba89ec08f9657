"""The documentation says what the code says."""

from __future__ import annotations

import ast
import importlib
import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from d2crealsr.quality.verdict import RULES
from d2crealsr.store.columns import TABLES
from d2crealsr.store.reasons import REASONS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def tool() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "tools" / "tables_in_docs.py"))


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(path.name for path in DOCS.glob("*.md") if "<!-- end -->" in path.read_text()))
def test_tables_say_what_the_code_says(name: str, tool: dict[str, Any]) -> None:
    assert read(name) == tool["with_tables"](read(name)), "run: python tools/tables_in_docs.py"


def test_the_tables_for_machines_are_those_of_the_code(tool: dict[str, Any]) -> None:
    assert read("tables.json") == tool["tables_json"](), "run: python tools/tables_in_docs.py"


def test_every_table_of_the_format_is_documented(tool: dict[str, Any]) -> None:
    assert {found[1] for found in tool["MARKED"].findall(read("pairs-format.md"))} == {*TABLES, "shapes"}


def _reasons_in_code() -> Iterator[str]:
    """Codes of rejections from the rules, codes of failures from every ``reason="…"`` in the toolkit."""
    yield from (rule.reason for rule in RULES)
    for path in (ROOT / "d2crealsr").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "reason" and isinstance(node.value, ast.Constant):
                yield str(node.value.value)


def test_every_reason_code_is_documented_and_no_other() -> None:
    documented = re.findall(r"^\| `([a-z_]+)` \|", read("reason-codes.md"), re.MULTILINE)
    missing_captures = {"missing_hr", "missing_lr", "unreadable"}  # the two sides of one rule; ImageError's default
    assert set(documented) == set(REASONS) == set(_reasons_in_code()) | missing_captures


@pytest.mark.parametrize(
    "page",
    [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("package", ["d2crealsr", "d2c"])
def test_the_reference_has_every_public_name(package: str) -> None:
    public = set(importlib.import_module(package).__all__) - {"__version__"}
    homes = re.findall(rf"^::: {package}\.([\w.]+)$", read(f"reference/{package}-python.md"), re.M)
    settings = {name for name in public if f"`{package}.{name}`" in read("reference/settings.md")}
    assert public - settings == {home.split(".")[-1] for home in homes} & public
    assert len(settings) > 0
