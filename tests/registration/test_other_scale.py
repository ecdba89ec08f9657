"""Captures of another scale than asked for are told so, with the scale that they have."""

from __future__ import annotations

from pathlib import Path

import pytest

import d2crealsr
from d2crealsr.quality.verdict import RULES
from d2crealsr.settings import AlignSettings

RAW = Path(__file__).parents[1] / "earlier" / "v0.1.0" / "raw"


@pytest.mark.parametrize("scene", ["astronaut", "chelsea", "rocket"])
def test_the_scale_that_is_found_is_named(scene: str) -> None:
    """Captures of ×2 aligned as of one size."""
    failure = d2crealsr.align_pair(RAW / "hr" / f"{scene}.jpg", RAW / "lr" / f"{scene}.jpg", scale=1)
    assert isinstance(failure, d2crealsr.AlignmentFailure)
    assert (failure.reason, failure.message) == ("scale_mismatch", "the captures look x2.0; use --scale 2")


def test_qa_names_it_too() -> None:
    above = next(rule for rule in RULES if rule.statistic == "scale_ratio" and rule.bad_when == "above")
    settings = AlignSettings(scale=4)
    assert above.words(1.96, settings) == "scale_ratio 1.96 above 1.25 (the captures look x7.8; use --scale 8)"
    assert above.words(1.26, AlignSettings(scale=1)) == "scale_ratio 1.26 above 1.25"


def test_one_card_that_is_not_found_says_what_was_needed() -> None:
    failure = d2crealsr.align_pair(RAW / "hr" / "rocket.jpg", RAW / "lr" / "coffee.jpg", scale=2)
    assert isinstance(failure, d2crealsr.AlignmentFailure)
    assert failure.reason == "too_few_matches"
    assert "at least 12 needed" in failure.message
