"""The columns that hold an estimate are read and written in one place."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
KNOWING = {
    "d2crealsr/imaging/estimate.py",
    "d2crealsr/store/columns.py",  # declares them
    "d2crealsr/simulate/truth.py",  # writes its truth by itself: it may not import what it tests
}
COLUMN = re.compile(r"""["'](?:h[0-2]{2}["']|h\{|(?:gain|offset)_(?:[rb]["']|\{)|(?:field_(?:x|y|r2)|ca_k_[rb])["'])""")


def test_only_the_estimate_knows_its_columns() -> None:
    sources = (
        path for folder in ("d2crealsr", "d2c", "pipelines", "benchmarks") for path in (ROOT / folder).rglob("*.py")
    )
    knowing = {path.relative_to(ROOT).as_posix() for path in sources if COLUMN.search(path.read_text(encoding="utf-8"))}
    assert knowing == KNOWING
