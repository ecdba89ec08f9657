"""benchmarks/training/kept_rows.py: rows are made once, and those of another request are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.training.kept_rows import kept_rows
from d2crealsr.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_rows_are_made_once_and_those_of_other_photographs_are_refused(tmp_path: Path) -> None:
    made: list[int] = []

    def rows(photographs: str) -> list[int]:
        def row(seed: int) -> dict[str, int]:
            made.append(seed)
            return {"seed": seed}

        asked = {"photographs": photographs}
        return [r["seed"] for r in kept_rows(tmp_path / "rows.csv", range(3), lambda r: r["seed"], row, 1, asked)]

    assert rows("some") == rows("some") == made == [0, 1, 2]
    with pytest.raises(UsageError, match="was made with photographs some, now asked for photographs others"):
        rows("others")
