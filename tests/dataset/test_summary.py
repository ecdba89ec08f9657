"""The summary of a pairs folder: its figures, which rows and columns are shown, and what can be read back."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from d2crealsr.command import console
from d2crealsr.command.cli import main
from d2crealsr.dataset.selection import parse_conditions
from d2crealsr.dataset.summary import ESSENTIAL, as_csv, as_json, summarise
from d2crealsr.errors import UsageError
from d2crealsr.store.columns import MANIFEST
from d2crealsr.store.pairs import published_paths, read_manifest, write_pairs_table
from d2crealsr.store.tables import frame_of

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    def row(scene: str, status: str = "accepted", **cells: Any) -> dict[str, Any]:
        hr_path, lr_path = published_paths(scene) if status == "accepted" else ("", "")
        paths = {"hr_path": hr_path, "lr_path": lr_path}
        return {"scene": scene, "status": status, "group": scene, "scale": 8, **paths, **cells}

    rows = [
        row("001", residual_p50_hr_px=0.1, residual_p95_hr_px=0.5, sigma_hr_px=0.02, split="test", n_inliers=90),
        row("1e5", residual_p50_hr_px=0.3, residual_p95_hr_px=1.5, sigma_hr_px=0.04, split="train", n_inliers=40),
        row("NA", residual_p50_hr_px=0.2, residual_p95_hr_px=0.6, left_out_of="test", accepted_by="reviewer"),
        row("r 1", "rejected", residual_p50_hr_px=4.0, reasons="clipped;residual_too_large"),
        row("r2", "rejected", residual_p50_hr_px=5.0, reasons="residual_too_large", message="it's moved"),
        row("z", "failed", reasons="unreadable"),
    ]
    write_pairs_table(tmp_path, "manifest.csv", frame_of(rows, MANIFEST))
    return tmp_path


def test_figures_are_of_the_whole_folder_whatever_is_shown(pairs: Path) -> None:
    found = summarise(pairs, where=["status = failed"]).overview
    assert (found.total, found.status) == (6, {"accepted": 3, "rejected": 2, "failed": 1})
    assert found.split == {"train": 1, "test": 1}
    assert list(found.reasons.items()) == [("residual_too_large", 2), ("clipped", 1), ("unreadable", 1)]
    assert (found.reviewed, found.left_out) == (1, 1)
    assert (found.residual_p50_hr_px, found.residual_p95_hr_px) == pytest.approx((0.2, 0.6))
    assert found.sigma_hr_px == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("where", "scenes"),
    [
        ("residual_p50_hr_px > .2", ["1e5", "r 1", "r2"]),
        ("residual_p50_hr_px<=0.2 and n_inliers >= 90", ["001"]),
        ("n_inliers != 90", ["1e5"]),
        ("n_inliers = ''", ["NA", "r 1", "r2", "z"]),
        ("n_inliers != ''", ["001", "1e5"]),
        ("reasons ~ clip", ["r 1"]),
        ("status != accepted and reasons !~ residual", ["z"]),
        ("scene = 'r 1'", ["r 1"]),
        ('message="it\'s moved"', ["r2"]),
        ("scene == 1e5", ["1e5"]),
        ("split = '' and status = accepted", ["NA"]),
        ("status = nothing", []),
    ],
)
def test_rows_by_conditions(where: str, scenes: list[str], pairs: Path) -> None:
    assert summarise(pairs, where=[where]).table["scene"].tolist() == scenes
    halves = summarise(pairs, where=where.split(" and ")).table
    assert halves["scene"].tolist() == scenes


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("residual > 1", r"got column 'residual'.*; did you mean residual_p50_hr_px or residual_p95_hr_px"),
        ("sclae = 8", r"got column 'sclae'.*; did you mean scale"),
        ("qqqq = 8", r"docs/pairs-format\.md has all columns"),
        ("n_inliers > many", r"n_inliers holds numbers, got 'many', expected a number"),
        ("n_inliers ~ 9", r"n_inliers holds numbers, got operator '~'"),
        ("status", "got 'status' in 'status', expected COLUMN OPERATOR VALUE"),
        ("", "got 'nothing' in '', expected"),
        ("scene = a b", "got 'scene = a b' in 'scene = a b'"),
        ("scene = a and", "got 'nothing' in 'scene = a and'"),
        ("scene = a or scene = b", "expected COLUMN OPERATOR VALUE"),
        ("scene = 'a", "expected COLUMN OPERATOR VALUE"),
        ("__import__('os').system('x') == 0", "expected COLUMN OPERATOR VALUE"),
        ("@pd.read_csv == 0", "got column '@pd.read_csv'"),
    ],
)
def test_what_is_no_condition(where: str, message: str, pairs: Path) -> None:
    with pytest.raises(UsageError, match=message):
        summarise(pairs, where=[where])


@given(value=st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=12))
def test_any_text_can_be_a_quoted_value(value: str) -> None:
    quote = '"' if "'" in value else "'"
    if quote not in value:
        found = parse_conditions(f"a={quote}{value}{quote} and b > 1")
        assert [(c.column, c.operator, c.value) for c in found] == [("a", "=", value), ("b", ">", "1")]


def test_order_and_columns(pairs: Path) -> None:
    def scenes(*sort: str) -> list[str]:
        return summarise(pairs, sort=sort).table["scene"].tolist()

    assert scenes("residual_p95_hr_px") == ["001", "NA", "1e5", "r 1", "r2", "z"]
    assert scenes("-residual_p95_hr_px") == ["1e5", "NA", "001", "r 1", "r2", "z"]
    assert scenes("split", "-scene") == ["001", "1e5", "z", "r2", "r 1", "NA"]  # no split comes last
    assert scenes("reasons") == ["r 1", "r2", "z", "001", "1e5", "NA"]
    assert list(summarise(pairs, columns=["zncc", "scene"]).table) == ["zncc", "scene"]
    assert list(summarise(pairs, columns=["all"]).table) == list(read_manifest(pairs))
    assert list(summarise(pairs).table) == list(ESSENTIAL)
    with pytest.raises(UsageError, match=r"columns: got column 'sigma'.*did you mean sigma_hr_px"):
        summarise(pairs, columns=["sigma"])
    with pytest.raises(UsageError, match="sort: got column 'sigma'"):
        summarise(pairs, sort=["-sigma"])


@pytest.mark.parametrize("kind", ["table", "csv", "json"])
def test_columns_count_once_and_some_are_needed(kind: str, pairs: Path) -> None:
    once, twice = (
        run("summary", pairs, "--columns", names, "--format", kind) for names in ("scene,status", "scene,status,scene")
    )
    assert (once.exit_code, twice.output) == (0, once.output)
    none = run("summary", pairs, "--columns", " ,", "--format", kind)
    assert none.exit_code == 2
    assert "columns: got no names, expected some as in scene,status, or all" in none.output


def test_csv_and_json_can_be_read_back(pairs: Path) -> None:
    everything = summarise(pairs, columns=["all"])
    assert as_csv(everything) == (pairs / "manifest.csv").read_text()
    again = pd.read_csv(io.StringIO(as_csv(summarise(pairs))), dtype={"scene": str}, keep_default_na=False)
    assert again["scene"].tolist() == ["001", "1e5", "NA", "r 1", "r2", "z"]
    rows = json.loads(as_json(summarise(pairs, columns=["scene", "n_inliers", "sigma_hr_px"])))
    assert rows[0] == {"scene": "001", "n_inliers": 90, "sigma_hr_px": 0.02}
    assert rows[2] == {"scene": "NA", "n_inliers": None, "sigma_hr_px": None}


def test_what_is_printed(pairs: Path) -> None:
    result = run("summary", pairs, "--where", "status=rejected", "--sort", "-scene")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:4] == [
        "3 of 6 scenes accepted (1 by reviewer, 1 left out by reviewer, 1 train, 1 test)",
        "medians in HR px: residual 0.2, its 95th percentile 0.6, predicted error 0.03",
        "1 failed, 2 rejected: residual_too_large 2, clipped 1, unreadable 1",
        "2 of them shown:",
    ]
    assert [line.split()[0] for line in result.stdout.splitlines()[6:]] == ["r2", "r"]
    assert run("summary", pairs, "--where", "status=nothing").stdout.endswith("0 of them shown:\n")
    assert run("summary", pairs, "--format", "csv", "--columns", "scene, split").stdout.startswith("scene,split\n001,")
    wrong = run("summary", pairs, "--sort", "sigma")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("Error: sort: got column 'sigma'")
    assert run("summary", pairs / "nowhere").exit_code == 2


def test_on_a_terminal_no_number_is_cut(pairs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    text = console.summary_table(summarise(pairs), terminal=True)
    for number in ("0.100", "0.500", "0.020", "4.000"):
        assert number in text
    assert "clipped;" in text


def test_a_closed_pipe_is_quiet(pairs: Path) -> None:
    rows = pd.concat([read_manifest(pairs)[:1]] * 4000, ignore_index=True)
    rows["scene"] = [f"{number:05d}" for number in range(len(rows))]
    write_pairs_table(pairs, "manifest.csv", rows)
    command = f"'{sys.executable}' -m d2crealsr summary '{pairs}' --format csv | head -n 1"
    result = subprocess.run(command, shell=True, capture_output=True, text=True, env=os.environ, check=False)
    assert (result.stderr, result.stdout) == ("", ",".join(ESSENTIAL) + "\n")
