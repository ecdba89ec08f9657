"""benchmarks/accuracy/qa.py: what counts as bad and good, what is counted, and a small run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from benchmarks.accuracy import qa
from benchmarks.result_tables import read_csv, write_csv
from d2crealsr.errors import SettingsError
from d2crealsr.settings import AlignSettings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, "good"),
        ({"same_scene": False}, "bad"),
        ({"worst": 1.01}, "bad"),
        ({"worst": float("nan")}, "bad"),
        ({"differs": 0.021}, "bad"),
        ({"differs": 0.02, "worst": 1.0}, "good"),
        ({"mean": 0.3}, "between"),
        ({"place": 36.0}, "bad"),
        ({"place": 35.0}, "good"),
    ],
)
def test_judged_by_the_truth(facts: dict[str, Any], expected: str) -> None:
    known = {"same_scene": True, "worst": 0.2, "mean": 0.1, "differs": 0.0}
    assert qa.judged(**(known | facts)) == expected


def row(name: str, judged: str, status: str, reasons: str = "") -> dict[str, Any]:
    numbers = {"error_mean": 0.1, "error_max": 0.2, "differs": 0.0, "zncc": 0.97}
    return {"class": name, "seed": 1, "kind": "text", "judged": judged, "status": status, "reasons": reasons} | numbers


ROWS = [
    row("a", "bad", "accepted"),
    row("a", "bad", "rejected", "low_texture"),
    row("a", "good", "rejected", "low_texture;residual_too_large"),
    row("a", "good", "accepted"),
    row("b", "failed", "failed", "too_few_matches"),
    row("b", "between", "accepted"),
]


def test_summary_counts_each_class_and_all() -> None:
    first, second, everything = qa.summarise(ROWS)
    assert first | {"class": "a", "bad": 2, "accepted bad": 1, "good": 2, "rejected good": 1} == first
    assert first["% of good"] == 50
    assert first["why good ones were rejected"] == "low_texture 1, residual_too_large 1"
    assert second | {"failed": 1, "between": 1, "good": 0} == second
    assert everything | {"class": "ALL", "scenes": 6, "accepted bad": 1} == everything


def test_smooth_cards_without_detail_of_their_own_are_counted_apart() -> None:
    rejected = row("a", "good", "rejected", "hr_not_sharper")
    also_uncertain = row("a", "good", "rejected", "position_uncertain;hr_not_sharper") | {"beyond": 0.01}
    unknown = rejected | {"beyond": ""}
    rows = [rejected | {"beyond": 0.01}, rejected | {"beyond": 0.05}, also_uncertain, unknown, ROWS[3]]
    (summary,) = qa.summarise(rows)
    assert summary | {"good": 5, "rejected good": 4, "smooth": 1, "% of good": 75} == summary


def test_wrong_verdicts_are_told_with_their_statistics() -> None:
    lines = qa.wrong_verdicts(ROWS)
    assert [line.split(":")[0] for line in lines] == ["accepted bad", "rejected good"]
    assert all("zncc=0.97" in line for line in lines)


def test_settings_are_read_as_what_they_are() -> None:
    changed = qa._changed(AlignSettings(), ["iters=2", "brightness=False", "min_zncc=0.5", "refine=none"])
    assert (changed.iters, changed.brightness, changed.min_zncc, changed.refine) == (2, False, 0.5, "none")
    with pytest.raises(SettingsError, match="expected NAME=VALUE"):
        qa._changed(AlignSettings(), ["min_znc=0.5"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("correct_ca=1", "correct_ca=true or correct_ca=false"),
        ("brightness=yes", "brightness=true or brightness=false"),
        ("iters=two", "a whole number"),
        ("min_zncc=x", "a number"),
        ("__doc__=x", "NAME=VALUE with NAME a setting of align"),
    ],
)
def test_a_value_of_another_type_is_refused(change: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=rf"got '?{change}'?, expected {expected}.*; change --set"):
        qa._changed(AlignSettings(), [change])


def test_rows_judged_again_are_named_without_their_folder(tmp_path: Path) -> None:
    write_csv(tmp_path / "rows.csv", ROWS)
    done = CliRunner().invoke(qa.main, ["--rejudge", str(tmp_path / "rows.csv")], catch_exceptions=False)
    assert "QA on stress captures: rows.csv judged again" in done.stdout
    assert str(tmp_path) not in done.stdout


@pytest.mark.slow
def test_small_run_and_judging_it_again(cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "qa"
    classes = ["--class", "plain", "--class", "low-texture"]
    arguments = [*classes, "--seeds", "0..0", "--size", "mini", "--cache", str(cache), "--out", str(out)]
    done = CliRunner().invoke(qa.main, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "tuning seeds 0..0" in done.stdout
    table = tmp_path / "qa-scenes.csv"
    rows = read_csv(table)
    assert [r["class"] for r in rows] == ["plain", "low-texture"]
    assert float(rows[0]["error_mean"]) < 0.3
    assert "zncc_block_p50" in rows[0]

    plain = rows[0]
    assert qa.rejudged(plain, AlignSettings())["status"] == plain["status"]
    harder = CliRunner().invoke(qa.main, ["--rejudge", str(table), "--set", "min_zncc=0.9999"], catch_exceptions=False)
    assert "rejected good: plain 0" in harder.stdout
