"""CSV files are read a part at a time, with the same rows and errors as at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d2crealsr.errors import TableError
from d2crealsr.store import csv_files
from d2crealsr.store.columns import RESIDUALS
from d2crealsr.store.tables import read_rows, read_table

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "scene,lr_x,lr_y,dx_hr_px,dy_hr_px,weight"


@pytest.fixture(autouse=True)
def parts_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "_PART_ROWS", 2)


def written(folder: Path, *rows: str) -> Path:
    path = folder / "residuals.csv"
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_parts_are_one_table(tmp_path: Path) -> None:
    path = written(tmp_path, *(f"{n:03d},{n},2,,inf,1" for n in range(5)), "", "")
    assert [len(part) for part in csv_files.rows_in_parts(path)[1]] == [2, 2, 1]
    table = read_table(path, RESIDUALS)
    assert table["scene"].tolist() == ["000", "001", "002", "003", "004"]
    assert table["lr_x"].tolist() == [0, 1, 2, 3, 4]
    assert table[["dx_hr_px", "dy_hr_px"]].isna().all(axis=None)
    assert table.index.tolist() == list(range(5))


def test_a_table_without_rows(tmp_path: Path) -> None:
    assert read_rows(written(tmp_path)) == (HEADER.split(","), [])
    assert len(read_table(written(tmp_path), RESIDUALS)) == 0


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["a,1,2,3,4,1"] * 4 + ["a,1,2,three,4,1"], "row 6, column dx_hr_px: got 'three'"),
        (["a,1,2,3,4,1"] * 4 + ["a,1,2,3,4,7"], "row 6, column weight: got 7.0"),
        (["a,1,2,3,4,1"] * 3 + ["a,1"], "row 5: got 2 cells, expected 6"),
        (["a,1,2,3,4,1"] * 3 + ["", "a,1,2,3,4,1"], "row 5: got 0 cells, expected 6"),
    ],
)
def test_an_error_in_a_later_part_names_its_row(rows: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=said):
        read_table(written(tmp_path, *rows), RESIDUALS)
