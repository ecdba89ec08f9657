"""flips.py flips bits and looks; here a few of them, always the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.robustness import flips

if TYPE_CHECKING:
    from pathlib import Path


def test_no_flipped_bit_stays_unseen(tmp_path: Path) -> None:
    rows = flips.flipped(flips.folder_with_a_journal(tmp_path / "pairs"), 100, seed=1)
    assert [row["file"] for row in rows] == list(flips.FILES)
    assert sum(row["flips"] for row in rows) == 100
    assert not any(row["unseen"] for row in rows), rows


def test_an_unseen_flip_would_be_counted(tmp_path: Path) -> None:
    pairs = flips.folder_with_a_journal(tmp_path / "pairs")
    (pairs / "timings.csv").write_bytes((pairs / "timings.csv").read_bytes() + b"\n")
    assert flips._seen(pairs, "timings.csv") == "unseen"
