"""Every way a pairs folder can differ from its tables is found, named, and left as it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

from d2crealsr.command.cli import main
from d2crealsr.dataset.build import build
from d2crealsr.dataset.verify import verify
from d2crealsr.errors import LayoutError
from d2crealsr.store import csv_files
from d2crealsr.store.images import write_image
from d2crealsr.store.pairs import read_manifest, read_residuals

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd


@pytest.fixture
def pairs(raw: Path, tmp_path: Path, aligner: Callable[..., Any]) -> Path:
    (raw / "lr" / "null.png").unlink()
    build(raw, tmp_path / "pairs", align=aligner)
    return tmp_path / "pairs"


def codes(pairs: Path, **options: Any) -> list[str]:
    return [f"{finding.code} {finding.where}" for finding in verify(pairs, **options).findings]


def replace(pairs: Path, name: str, old: str, new: str) -> None:
    text = (pairs / name).read_text()
    assert old in text
    (pairs / name).write_text(text.replace(old, new, 1))


def edit(pairs: Path, scene: str, **cells: str) -> None:
    """Cells of a row, as an editor would change them."""
    import pandas as pd

    table: pd.DataFrame = pd.read_csv(pairs / "manifest.csv", dtype=str, keep_default_na=False)
    for name, cell in cells.items():
        table.loc[table["scene"] == scene, name] = cell
    table.to_csv(pairs / "manifest.csv", index=False)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {p.as_posix(): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


def test_a_folder_as_align_leaves_it_is_clean_and_untouched(pairs: Path) -> None:
    before = state(pairs)
    result = verify(pairs, captures=True, jobs=2)
    assert (result.scenes, result.accepted, result.findings) == (5, 4, ())
    assert state(pairs) == before


def test_the_findings_do_not_depend_on_the_jobs(pairs: Path) -> None:
    flip(pairs / "hr/001.png")
    (pairs / "lr/1e5.png").unlink()
    assert verify(pairs, jobs=2) == verify(pairs, jobs=1)


LR = ("/001.png", "/1e5.png", "/NA.png", '/card é, "x".png')


DAMAGE: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "flipped bit": (lambda p: flip(p / "hr/001.png"), ["hash_differs hr/001.png", "unreadable hr/001.png"]),
    "other picture": (
        lambda p: write_image(p / "lr/001.png", np.zeros((4, 6, 3), np.uint8)),
        ["hash_differs lr/001.png"],
    ),
    "other size": (
        lambda p: write_image(p / "lr/001.png", np.zeros((4, 7, 3), np.uint8)),
        ["size_differs 001", "hash_differs lr/001.png", "size_differs lr/001.png"],
    ),
    "gone": (lambda p: (p / "lr/NA.png").unlink(), ["missing_file lr/NA.png"]),
    "folder gone": (lambda p: shutil.rmtree(p / "lr"), [f"missing_file lr{s}" for s in ("", *LR)]),
    "stranger": (lambda p: shutil.copy(p / "hr/001.png", p / "hr/x.png"), ["file_without_row hr/x.png"]),
    "files of the system": (
        lambda p: [(p / "hr" / name).touch() for name in (".DS_Store", "._x.png", "Thumbs.db")],
        [],
    ),
    "leftover": (lambda p: (p / "hr/.tmp-1.png").touch(), ["leftover hr/.tmp-1.png"]),
    "link": (lambda p: link_out(p / "hr/001.png"), ["leaves_folder hr/001.png"]),
    "not accepted": (
        lambda p: edit(p, "001", status="rejected", reasons="clipped"),
        ["contradiction 001", "file_without_row hr/001.png", "file_without_row lr/001.png"],
    ),
    "no reason": (lambda p: edit(p, "null", reasons=""), ["contradiction null"]),
    "qa against itself": (lambda p: edit(p, "001", reasons="clipped"), ["contradiction 001"]),
    "no homography": (lambda p: edit(p, "001", h00=""), ["contradiction 001"]),
    "no crop": (lambda p: edit(p, "001", lr_x=""), ["contradiction 001"]),
    **{
        f"without {name}": (lambda p, name=name: edit(p, "001", **{name: ""}), ["contradiction 001"])
        for name in ("gain_g", "offset_r", "field_x", "k1_hr", "tone", "ca_k_b")
    },
    "matrix not normalised": (lambda p: edit(p, "001", h22="2"), ["contradiction 001"]),
    "scale": (lambda p: edit(p, "null", scale="4"), ["scale_differs null"]),
    "other path": (
        lambda p: edit(p, "001", hr_path="hr/NA.png"),
        ["path_differs 001", "file_without_row hr/001.png", "hash_differs hr/NA.png"],
    ),
    "torn group": (
        lambda p: (edit(p, "001", split="test", group="g"), edit(p, "NA", split="train", group="g")),
        ["group_torn g"],
    ),
    "same capture": (
        lambda p: edit(p, "NA", hr_source_sha256=read_manifest(p).set_index("scene").loc["001", "hr_source_sha256"]),
        ["same_capture NA"],
    ),
    "moved crop": (lambda p: edit(p, "001", lr_x="40"), ["residual_outside 001"]),
    "leaving path": (lambda p: edit(p, "001", hr_path="../x.png"), ["broken_table manifest.csv"]),
    "column gone": (lambda p: replace(p, "manifest.csv", ",zncc,", ",zmcc,"), ["broken_table manifest.csv"]),
    "scene gone": (
        lambda p: replace(p, "alignment.csv", "\n001,", "\nx,"),
        ["unknown_scene alignment.csv"],
    ),
    "rows gone": (
        lambda p: (p / "alignment.csv").write_text("".join(no_row_of("001", p / "alignment.csv"))),
        ["missing_rows alignment.csv"],
    ),
    "bad number": (lambda p: replace(p, "residuals.csv", "4.000", "four"), ["broken_table residuals.csv"]),
    "table gone": (lambda p: (p / "residuals.csv").unlink(), ["missing_table residuals.csv"]),
    "no JSON": (lambda p: (p / "dataset.json").write_text("{"), ["broken_table dataset.json"]),
    "other format": (lambda p: (p / "dataset.json").write_text("{}"), ["broken_table dataset.json"]),
    "other version": (lambda p: newer(p / "dataset.json"), ["broken_table dataset.json"]),
}


def test_residuals_outside_are_counted_over_all_parts_of_the_table(
    pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = int((read_residuals(pairs)["scene"] == "001").sum())
    edit(pairs, "001", lr_x="4000")
    monkeypatch.setattr(csv_files, "_PART_ROWS", rows // 2 + 1)
    told = [finding.text for finding in verify(pairs).findings if finding.code == "residual_outside"]
    assert told == [f"{rows} of {rows} residuals lie outside its crop"]


def link_out(path: Path) -> None:
    shutil.move(path, path.parents[2] / "elsewhere.png")
    path.symlink_to(path.parents[2] / "elsewhere.png")


def no_row_of(scene: str, table: Path) -> list[str]:
    return [line for line in table.read_text().splitlines(keepends=True) if not line.startswith(f"{scene},")]


def newer(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 3}))


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_nothing_else(name: str, pairs: Path) -> None:
    damage, expected = DAMAGE[name]
    whole = {table: (pairs / table).read_bytes() for table in ("manifest.csv", "alignment.csv", "residuals.csv")}
    damage(pairs)
    before = state(pairs)
    present = [table for table in whole if (pairs / table).exists()]
    described = not any(finding.endswith("dataset.json") for finding in expected)
    edited = [table for table in present if described and (pairs / table).read_bytes() != whole[table]]
    assert sorted(codes(pairs)) == sorted([*expected, *(f"changed_table {table}" for table in edited)])
    assert state(pairs) == before


def test_a_missing_cell_is_named_with_what_to_do(pairs: Path) -> None:
    edit(pairs, "NA", gain_g="", tone="")
    (text,) = [finding.text for finding in verify(pairs).findings if finding.code == "contradiction"]
    assert text == (
        "accepted without 2 cells of the estimate (tone, gain_g), which align always writes; restore manifest.csv, or "
        "run align --force"
    )


def test_captures_that_changed_since(pairs: Path, raw: Path) -> None:
    (raw / "hr" / "001.png").unlink()
    shutil.copy(raw / "lr" / "NA.png", raw / "lr" / "001.png")
    assert codes(pairs) == []
    assert codes(pairs, captures=True) == ["missing_capture hr/001.png", "capture_differs lr/001.png"]


def test_the_command(pairs: Path) -> None:
    clean = CliRunner().invoke(main, ["verify", str(pairs), "--jobs", "1"])
    assert (clean.exit_code, clean.output) == (0, "5 scenes, 4 accepted: clean\n")
    (pairs / "hr" / "a\nb\x1b.png").touch()
    flip(pairs / "lr" / "NA.png")
    found = CliRunner().invoke(main, ["verify", str(pairs)])
    assert found.exit_code == 4
    lines = found.output.splitlines()
    assert lines[0] == "file_without_row hr/a b?.png: no accepted scene of the manifest names it"
    assert [line.split()[0] for line in lines[1:]] == ["hash_differs", "unreadable", "5"]


def test_no_pairs_folder(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="neither manifest"):
        verify(tmp_path)
