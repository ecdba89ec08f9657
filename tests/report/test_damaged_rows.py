"""A row that is damaged, edited or a stranger's: a note on its pair, never a hang, and the other parts are drawn."""

from __future__ import annotations

import csv
import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from d2crealsr.errors import D2CRealSRError, LayoutError
from d2crealsr.report import make_report
from d2crealsr.report.pair import DATA_FILE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::d2crealsr.errors.ChangedWarning")  # the tables are edited by hand

ZERO = {f"h{i}{j}": "0" for i in range(3) for j in range(3)}


def changed(table: Path, cells: Mapping[str, str], *, only: bool = False) -> None:
    """Change the first row of scene 001, and leave out other scenes' rows where asked to."""
    with table.open(newline="") as file:
        names, *rows = list(csv.reader(file))
    rows = [row for row in rows if row[names.index("scene")] == "001" or not only]
    row = next(row for row in rows if row[names.index("scene")] == "001")
    for name, cell in cells.items():
        row[names.index(name)] = cell
    with table.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([names, *rows])


def drawn(pairs: Path, manifest: Mapping[str, str] = {}, stage: Mapping[str, str] = {}) -> dict[str, Any]:
    """What a report of scene 001 alone shows of it."""
    changed(pairs / "manifest.csv", manifest, only=True)
    changed(pairs / "alignment.csv", stage)
    page = make_report(pairs).page
    (path,) = page.parent.glob(f"files/*/{DATA_FILE}")
    data: dict[str, Any] = json.loads(path.read_text().strip().removeprefix("reportPair(").removesuffix(");"))
    return data


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        ({"lr_x": "10000000"}, "which leaves the LR capture of 90x60"),
        ({"lr_x": "60"}, "which leaves the LR capture of 90x60"),
        ({"lr_width": "20000", "lr_height": "20000"}, "which leaves the LR capture"),
        ({"lr_width": "39"}, "the published images are 160x128 and 40x32, the row says 39x32 at scale 4"),
        ({"scale": "2"}, "the row says 40x32 at scale 2"),
        (ZERO, "the mapping of manifest.csv leads nowhere near"),
        ({"h02": "1e300"}, "the mapping of manifest.csv leads nowhere near"),
        ({"k1_hr": "1e200"}, "the mapping of manifest.csv leads nowhere near"),
        ({"gain_r": "1e300"}, "a brightness that no capture needs"),
        ({"tone": "\x1b[2J"}, "which this version does not know"),
    ],
    ids=lambda value: "-".join(value)[:20] if isinstance(value, dict) else None,
)
def test_a_bad_row_of_the_manifest_is_a_note_on_its_pair(pairs: Path, cells: dict[str, str], note: str) -> None:
    data = drawn(pairs, manifest=cells)
    assert any(note in said for said in data["notes"]), data["notes"]
    assert set(data["captures"]) >= {"hr", "lr"}


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (ZERO, "the mapping of stage 'rough' in alignment.csv leads nowhere near"),
        ({"h02": "1e7"}, "the mapping of stage 'rough'"),
        ({"h00": "1e-300"}, "the mapping of stage 'rough'"),
        ({"k1_hr": "-1e9"}, "the mapping of stage 'rough'"),
    ],
)
def test_a_bad_stage_is_left_out_and_the_others_are_drawn(pairs: Path, cells: dict[str, str], note: str) -> None:
    data = drawn(pairs, stage=cells)
    assert any(note in said for said in data["notes"])
    assert [view["name"] for view in data["views"]] == ["before alignment", "direct refinement", "final, as published"]


def test_a_blur_that_no_lens_has(pairs: Path) -> None:
    with (pairs / "alignment.csv").open() as file:
        stages = [row for row in csv.DictReader(file) if row["scene"] == "001"]
    text = (pairs / "alignment.csv").read_text()
    (pairs / "alignment.csv").write_text(text.replace(stages[-1]["sigma_blur_hr_px"], "1e7"))
    data = drawn(pairs)
    assert "alignment.csv has a blur of 1e+07 HR px; drawn with 4" in data["notes"]
    assert len(data["views"]) == 4


@pytest.mark.parametrize("text", ["[]", "3", '{"scene": "001"}', '{"scene": "001", "files": 3}', "[" * 100_000])
def test_what_an_earlier_report_did_not_write_is_drawn_again(pairs: Path, text: str) -> None:
    drawn(pairs)
    (path,) = pairs.glob(f"report/files/*/{DATA_FILE}")
    path.write_text(f"reportPair({text});")
    assert make_report(pairs).drawn == 1


@pytest.mark.parametrize("name", ["manifest.csv", "alignment.csv", "residuals.csv", "dataset.json"])
def test_a_pipe_in_a_tables_place_is_said(pairs: Path, name: str) -> None:
    (pairs / name).unlink()
    os.mkfifo(pairs / name)
    kind = "is a pipe, expected a file"
    said = f"{kind}; give the CSV file" if name.endswith(".csv") else f"cannot be read ({kind})"
    with pytest.raises(D2CRealSRError, match=re.escape(f"{name}: {said}")):
        make_report(pairs)


@pytest.mark.parametrize(
    ("name", "value"),
    [("raw_root", 3), ("raw_root", None), ("raw_root", "a\0b"), ("settings", []), ("scale", "8"), ("scale", True),
     ("scale", 10**30), ("tool_version", {}), ("licence", 3), *((name, ...) for name in ("scale", "tool_version"))],
)  # fmt: skip
def test_an_odd_entry_of_the_description_is_named(pairs: Path, name: str, value: Any) -> None:
    said = json.loads((pairs / "dataset.json").read_text())
    said.pop(name, None)
    (pairs / "dataset.json").write_text(json.dumps(said if value is ... else said | {name: value}))
    with pytest.raises(LayoutError, match=rf"dataset\.json: {name} is .*, expected [^\n]*; restore the file"):
        make_report(pairs)
