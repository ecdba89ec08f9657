"""benchmarks/speed/report_500.py, small: many pairs from few, and figures of a report on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.speed import report_500
from d2crealsr.store.pairs import read_manifest, read_residuals


@pytest.mark.slow
def test_pairs_are_repeated_with_numbers_of_their_own(tmp_path: Path) -> None:
    pairs = report_500.many_pairs(tmp_path, 5, "mini")
    manifest = read_manifest(pairs)
    assert manifest["scene"].tolist() == [f"{n:04d}" for n in range(5)]
    assert manifest["residual_p95_hr_px"].dropna().is_unique
    assert set(read_residuals(pairs)["scene"]) <= set(manifest["scene"])
    row = report_500.made(pairs, 1, "first")
    assert row["CPU s"] > 0
    assert row["peak MB"] > 50
    assert (pairs / "report" / "index.html").exists()
