"""Write the tables of docs/ that follow from the code: the format's columns and the rules a pair is judged by.

`python tools/tables_in_docs.py` rewrites the pages and `docs/tables.json`; a test compares.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from d2crealsr.quality.verdict import RULES
from d2crealsr.settings import AlignSettings
from d2crealsr.store.columns import TABLES, markdown
from d2crealsr.store.schema import data_package
from d2crealsr.store.shapes import shapes_markdown

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("pairs-format.md", "reason-codes.md")
MARKED = re.compile(r"(<!-- (?:columns of )?(\S+): written by [^>]*-->\n)(.*?)(<!-- end -->)", re.DOTALL)


def rules() -> str:
    """The rules of QA as a Markdown table."""
    lines = ["| code | number | rejected when | threshold | `strict` |", "|---|---|---|---|---|"]
    for rule in RULES:
        limit = f"{rule.limit(AlignSettings()):g}"
        if isinstance(rule.threshold, str):
            limit += f", `{rule.threshold}`"
        strict = f"{rule.limit(AlignSettings(qa_profile='strict')):g}"
        lines.append(f"| `{rule.reason}` | `{rule.statistic}` | {rule.bad_when} | {limit} | {strict} |")
    return "\n".join(lines)


def with_tables(page: str) -> str:
    """The page with every marked table as the code has it now."""
    tables = {"rules": rules(), "shapes": shapes_markdown()} | {
        name: markdown(columns) for name, columns in TABLES.items()
    }
    return MARKED.sub(lambda found: f"{found[1]}\n{tables[found[2]]}\n\n{found[4]}", page)


def tables_json() -> str:
    """The columns of all tables for machines."""
    return json.dumps(data_package(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (DOCS / "tables.json").write_text(tables_json(), encoding="utf-8")
    for name in PAGES:
        path = DOCS / name
        path.write_text(with_tables(path.read_text(encoding="utf-8")), encoding="utf-8")
