"""benchmarks/speed/report_500.py, small: many pairs from few, and figures of a report on them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.speed import report_500
from d2crealsr.store.files import write_text
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


def test_pairs_are_kept_in_a_new_folder_only_and_its_path_may_be_relative(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    visited = []

    def pairs(folder: Path, *_: object) -> Path:
        write_text(folder / "pairs" / "report" / "index.html", "")
        return folder / "pairs"

    monkeypatch.setattr(report_500, "many_pairs", pairs)
    monkeypatch.setattr(report_500, "made", lambda *_: {"CPU s": 1.0})
    monkeypatch.setattr(report_500, "visit", lambda page: visited.append(page.as_uri()) or [])
    first, again = (CliRunner().invoke(report_500.main, ["--small", "--keep", "kept"]) for _ in range(2))
    assert first.exit_code == 0, first.output
    assert len(visited) == 1
    assert (again.exit_code, again.stderr) == (
        2,
        "Error: --keep: kept is no empty folder, and pairs are made in a new one; give another folder\n",
    )
