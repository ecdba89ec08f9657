"""Figures are never reported on seeds that something was tuned on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.seeds import REPORTING, TUNING, check_disjoint, parse_seeds, purpose_of
from d2crealsr.errors import SettingsError

ROOT = Path(__file__).parents[2]


def test_ranges_are_disjoint() -> None:
    check_disjoint()


def test_overlap_is_refused() -> None:
    with pytest.raises(SettingsError, match="1 are both for tuning and for reporting, from 100 on"):
        check_disjoint(tuning=(range(0, 101),), reporting=REPORTING)


@pytest.mark.parametrize(
    ("text", "purpose"), [("0..7", "tuning"), ("7000..7999", "tuning"), ("100..299", "reporting"), ("100", "reporting")]
)
def test_purpose(text: str, purpose: str) -> None:
    assert purpose_of(parse_seeds(text)) == purpose


@pytest.mark.parametrize("text", ["90..110", "300..301", "99..100", "6999..7000"])
def test_mixed_or_unknown_seeds_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="expected all of one kind"):
        purpose_of(parse_seeds(text))


@pytest.mark.parametrize("text", ["", "5..4", "a..b", "1-3", "1..2..3"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"expected A\.\.B"):
        parse_seeds(text)


def test_last_seed_is_included() -> None:
    assert list(parse_seeds("3..5")) == [3, 4, 5]
    assert TUNING[0][0] == 0


@pytest.mark.parametrize("program", ["accuracy.alignment", "accuracy.qa", "speed.align_speed"])
def test_program_refuses_in_one_line(program: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{program}", "--seeds", "90..110"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: seeds: got 90..110")
    assert done.stderr.count("\n") == 1
