"""The columns for machines: what a stranger reads with nothing but the schema, and Parquet that knows its units."""

from __future__ import annotations

import contextlib
import csv
import json
import sys
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from click.testing import CliRunner

from d2crealsr.command.cli import main
from d2crealsr.errors import LayoutError, MachineError, SettingsError, UsageError
from d2crealsr.store import pairs as format
from d2crealsr.store.columns import MANIFEST, RESIDUALS, TABLES
from d2crealsr.store.schema import data_package, write_parquet
from d2crealsr.store.tables import frame_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    common = {"status": "accepted", "scale": 8}
    rows = [
        {**common, "scene": scene, "group": "0042", "hr_path": f"hr/{scene}.png", "lr_path": f"lr/{scene}.png"}
        for scene in ("0042", "1e5", "NA")
    ]
    rows[0] |= {"h00": 0.1 + 1e-16, "n_inliers": 2**40, "zncc": 0.5, "mine": "007"}
    format.write_pairs_table(tmp_path, "manifest.csv", frame_of(rows, MANIFEST))
    shifts = [{"scene": "0042", "lr_x": 1, "lr_y": 2.5, "dx_hr_px": -0.25, "weight": 0.5}]
    format.write_pairs_table(tmp_path, "residuals.csv", frame_of(shifts, RESIDUALS))
    return tmp_path


def test_every_column_of_every_table_is_described() -> None:
    package = json.loads(json.dumps(data_package()))
    tables = {resource["path"]: resource["schema"]["fields"] for resource in package["resources"]}
    assert {name: [field["name"] for field in fields] for name, fields in tables.items()} == {
        name: [column.name for column in columns] for name, columns in TABLES.items()
    }
    for fields in tables.values():
        for field in fields:
            assert field["description"], field
            for end, unit in (("_hr_px", "HR px"), ("_lr_px", "LR px"), ("_deg", "degrees")):
                if field["name"].endswith(end):
                    assert field["unit"] == unit


def test_a_reader_with_nothing_but_the_schema_gets_the_same_values(pairs: Path) -> None:
    read: dict[str, Any] = {"string": str, "integer": int, "number": float}
    fields = {field["name"]: field for field in data_package()["resources"][0]["schema"]["fields"]}
    with (pairs / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    ours = format.read_manifest(pairs)
    for place, row in enumerate(rows):
        for name, cell in row.items():
            if name in fields and cell:
                field = fields[name]
                assert read[field["type"]](cell) == ours.loc[place, name]
                assert cell in field.get("constraints", {}).get("enum", [cell])
            elif name in fields:
                assert not fields[name].get("constraints", {}).get("required")


def test_parquet_brings_back_text_numbers_and_units(pairs: Path, tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    written = write_parquet(pairs, tmp_path / "new" / "tables")
    assert [path.name for path in written] == ["manifest.parquet", "residuals.parquet"]
    back = pd.read_parquet(written[0])
    ours = format.read_manifest(pairs)
    assert back["scene"].tolist() == ["0042", "1e5", "NA"]
    assert all(isinstance(scene, str) for scene in back["scene"])
    assert back["mine"].tolist() == ["007", "", ""]
    pd.testing.assert_frame_equal(back, ours, check_dtype=False)
    assert back.loc[0, "h00"] == ours.loc[0, "h00"] == 0.1 + 1e-16
    plain = pq.read_table(written[0])
    assert plain["n_inliers"].to_pylist() == [2**40, None, None]
    schema = pq.read_schema(written[1])
    about = {key.decode(): value.decode() for key, value in schema.field("dx_hr_px").metadata.items()}
    assert about["unit"] == "HR px"
    assert about["description"].startswith("where published HR has the content")
    assert (schema.metadata[b"format"], schema.metadata[b"version"]) == (b"d2crealsr-pairs", b"2")


def test_the_command_writes_parquet_beside_what_it_prints(pairs: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    command = ["summary", str(pairs), "--parquet", str(tmp_path / "tables"), "--format", "csv", "--columns", "scene"]
    result = CliRunner().invoke(main, command)
    assert (result.exit_code, result.stdout) == (0, "scene\n0042\n1e5\nNA\n")
    assert result.stderr.splitlines() == [
        f"written: {tmp_path / 'tables' / name}.parquet" for name in ("manifest", "residuals")
    ]


@contextlib.contextmanager
def _full_disk(path: Path) -> Iterator[Path]:
    raise OSError(28, "No space left on device")
    yield path


def test_parquet_of_its_own_is_replaced(pairs: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    assert write_parquet(pairs, tmp_path) == write_parquet(pairs, tmp_path)


def test_what_cannot_be_written(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(LayoutError, match=r"no manifest\.csv"):
        write_parquet(tmp_path / "nowhere", tmp_path / "tables")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file is no folder"):
        write_parquet(pairs, tmp_path / "file")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "residuals.parquet").write_text("mine")
    with pytest.raises(UsageError, match=r"residuals\.parquet: holds something else than a table of d2crealsr summary"):
        write_parquet(pairs, tmp_path / "taken")
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["residuals.parquet"]
    monkeypatch.setattr("d2crealsr.store.schema.atomic_path", _full_disk)
    with pytest.raises(MachineError, match="cannot be written"):
        write_parquet(pairs, tmp_path / "tables")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SettingsError, match="pyarrow is not installed"):
        write_parquet(pairs, tmp_path / "tables")
