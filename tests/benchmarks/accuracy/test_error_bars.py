"""benchmarks/accuracy/error_bars.py: predicted against true errors, by cases that can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.accuracy.error_bars import error_bars


def row(seed: int, true: float, predicted: float, *, kind: str = "text", status: str = "accepted") -> dict[str, Any]:
    return {"seed": seed, "kind": kind, "status": status, "rms": true, "sigma_hr_px": predicted}


def test_root_mean_squares_are_compared_in_every_group() -> None:
    rows = [row(0, 0.1, 0.1), row(1, 0.3, 0.1, kind="leaves", status="rejected")]
    table = {found["scenes of"]: found for found in error_bars(rows, {0: 0.01})}
    assert list(table) == [
        "all estimates",
        "all estimates, text",
        "all estimates, leaves",
        "published",
        "published, text",
    ]
    whole, text = table["all estimates"], table["published, text"]
    assert (whole["count"], whole["within 1 sigma"], whole["within 2 sigma"]) == (2, 0.5, 0.5)
    assert whole["true/predicted"] == pytest.approx(np.sqrt(0.05) / 0.1)
    assert (text["count"], text["within 1 sigma"]) == (1, 1.0)
    assert text["Cramér–Rao bound"] == pytest.approx(0.01)
    assert np.isnan(text["from"])  # one pair has no interval


def test_the_interval_holds_the_ratio_and_the_ranks_are_compared() -> None:
    rows = [row(n, 0.01 * (n + 1), 0.02 * (n + 1)) for n in range(8)]
    whole = error_bars(rows, {})[0]
    assert whole["true/predicted"] == pytest.approx(0.5)
    assert (whole["from"], whole["to"]) == (pytest.approx(0.5), pytest.approx(0.5))
    assert whole["rank correlation"] == pytest.approx(1.0)
    opposed = error_bars([row(n, 0.01 * (n + 1), 0.02 * (8 - n)) for n in range(8)], {})[0]
    assert opposed["from"] < opposed["true/predicted"] < opposed["to"]
    assert opposed["rank correlation"] == pytest.approx(-1.0)
