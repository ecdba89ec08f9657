"""Write the tables of docs/ that follow from the code: the format's columns, the rules a pair is judged by, reason
codes, and what layouts and image formats are read.

`python tools/tables_in_docs.py` rewrites the pages and `docs/tables.json`; a test compares.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.dataset.exports import PAIR_EXPORTS
from d2crealsr.quality.verdict import RULES, in_words
from d2crealsr.settings import AlignSettings
from d2crealsr.store.captures import RAW_LAYOUTS
from d2crealsr.store.columns import TABLES, Column
from d2crealsr.store.layouts import PAIR_LAYOUTS
from d2crealsr.store.readers import READERS
from d2crealsr.store.reasons import REASONS
from d2crealsr.store.schema import data_package
from d2crealsr.store.shapes import RESIDUAL_SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterable

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("audit.md", "captures.md", "exchange.md", "pairs-format.md", "reason-codes.md")
NAMES = re.compile(
    r"--[a-z][a-z-]+(?: (?:radial|lr|1)\b)?|(?<![\w`])(?:[a-z0-9]+(?:_[a-z0-9]+)+|errors\.log|manifest\.csv)(?![\w`])"
    r"|[\w{}]+\.\*|scene,hr,lr,group"
)
"""What is written as code: options, columns, files."""
MARKED = re.compile(r"(<!-- (?:columns of )?(\S+): written by [^>]*-->\n)(.*?)(<!-- end -->)", re.DOTALL)


def table(*rows: tuple[str, ...]) -> str:
    """A Markdown table; the first row is its head."""
    head, *others = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *others])


def columns(its: tuple[Column, ...]) -> str:
    """The columns of a table of the format."""
    rows = [("column", "kind", "unit", "meaning")]
    for column in its:
        added = "" if column.fixed else " (optional to read)"
        rows.append((f"`{column.name}`", column.kind, column.unit, f"{column.meaning}{added}"))
    return table(*rows)


def shapes() -> str:
    """The shapes of a residual field."""
    rows = ((f"`{name}`", *words) for name, words in RESIDUAL_SHAPES.items())
    return table(("shape", "looks like", "means", "what helps"), *rows)


def rules() -> str:
    """The rules of QA."""
    rows = [("code", "number", "rejected when", "threshold", "`strict`")]
    for rule in RULES:
        limit = f"{rule.limit(AlignSettings()):g}"
        if isinstance(rule.threshold, str):
            limit += f", `{rule.threshold}`"
        strict = f"{rule.limit(AlignSettings(qa_profile='strict')):g}"
        rows.append((f"`{rule.reason}`", f"`{rule.statistic}`", rule.bad_when, limit, strict))
    return table(*rows)


def coded(text: str) -> str:
    """A text with the names of options, columns and files as code."""
    return NAMES.sub(r"`\g<0>`", text)


def coded_paths(text: str) -> str:
    """A text with the names of files and options as code."""
    return re.sub(r"--[a-z-]+|[\w…/]+\.(?:png|txt|csv|md)|DIV2K_valid_…", r"`\g<0>`", text)


def reasons(codes: Iterable[str]) -> str:
    """Reason codes in words."""
    head = ("code", "what it means", "what helps")
    return table(head, *((f"`{code}`", *map(coded, in_words(code))) for code in codes))


def readers() -> str:
    """The image formats."""
    rows = [("format", "endings", "sample values", "needs")]
    for reader in READERS:
        needs = f"the extra `{reader.extra}` ({reader.library})" if reader.extra else "nothing more"
        values = "linear light" if reader.linear else "with a tone curve"
        if reader.development:
            values = "developed to linear light"
        rows.append((reader.name, ", ".join(f"`{suffix}`" for suffix in reader.suffixes), values, needs))
    return table(*rows)


def raw_layouts() -> str:
    """The layouts of captures."""
    return table(("layout", "files"), *((each.name, coded(each.files)) for each in RAW_LAYOUTS))


def pair_layouts() -> str:
    """The layouts of pairs."""
    return table(("layout", "files"), *((each.name, coded(f"{each.files}; {each.details}")) for each in PAIR_LAYOUTS))


def pair_exports() -> str:
    """The layouts in which pairs are exported."""
    return table(("layout", "files"), *((f"`{each.name}`", coded_paths(each.files)) for each in PAIR_EXPORTS))


def with_tables(page: str) -> str:
    """The page with every marked table as the code has it now."""
    rejected = dict.fromkeys(rule.reason for rule in RULES)
    tables = {
        "rules": rules(),
        "rejected": reasons(rejected),
        "failed": reasons(code for code in REASONS if code not in rejected),
        "shapes": shapes(),
        "readers": readers(),
        "raw-layouts": raw_layouts(),
        "pair-layouts": pair_layouts(),
        "pair-exports": pair_exports(),
    } | {name: columns(its) for name, its in TABLES.items()}
    return MARKED.sub(lambda found: f"{found[1]}\n{tables[found[2]]}\n\n{found[4]}", page)


def tables_json() -> str:
    """The columns of all tables for machines."""
    return json.dumps(data_package(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (DOCS / "tables.json").write_text(tables_json(), encoding="utf-8")
    for name in PAGES:
        path = DOCS / name
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
