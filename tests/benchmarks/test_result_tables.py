"""Tables as people and pandas read them, and what stands beside a stored figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.result_tables import command_line, provenance, read_csv, text_table, write_csv

if TYPE_CHECKING:
    from pathlib import Path


def test_folders_of_this_machine_are_not_told() -> None:
    arguments = [
        "/here/benchmarks/accuracy/qa.py",
        "--cache",
        "/there",
        "--seeds",
        "0..7",
        "--out=/x",
        "--set",
        "a=b c",
    ]
    assert command_line(arguments) == "python -m benchmarks.accuracy.qa --seeds 0..7 --set 'a=b c'"
    assert "/there" not in provenance(arguments)


def test_absent_and_unknown_cells_differ(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write_csv(path, [{"a": 1.5, "b": float("nan")}, {"a": 2.0, "c": "x"}])
    assert read_csv(path) == [{"a": "1.5", "b": "nan"}, {"a": "2.0", "c": "x"}]


def test_text_table_aligns_numbers_and_leaves_gaps() -> None:
    lines = text_table([{"name": "x", "value": 0.12345}, {"name": "longer", "value": float("nan")}]).splitlines()
    assert lines == ["name    value", "x       0.123", "longer"]


@pytest.mark.parametrize("option", ["--photos", "--pairs", "--rejudge", "--net", "--checkpoint"])
def test_of_a_path_that_is_read_the_name_is_kept(option: str) -> None:
    said = f"python -m benchmarks.accuracy.qa {option}"
    begin = "/here/benchmarks/accuracy/qa.py"
    assert command_line([begin, option, "/home/me/some", "--jobs=2"]) == f"{said} some --jobs=2"
    assert command_line([begin, f"{option}=/home/me/some", "--jobs=2"]) == f"{said}=some --jobs=2"
    assert command_line([begin, "--keep=/home/me/some", "--keep", "/home/me"]) == "python -m benchmarks.accuracy.qa"
    assert command_line([begin, option, "builtin:x8"]) == f"{said} builtin:x8"
