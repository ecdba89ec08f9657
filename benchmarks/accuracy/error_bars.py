"""Predicted standard errors against true errors: the table of a group of pairs, and its parts by kind of card."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from benchmarks.result_tables import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.types import Array

__all__ = ["error_bars"]

_RESAMPLES = 4_000
_FEWEST = 3
"""Number of pairs from which on an interval and a rank correlation are stated."""


def error_bars(rows: Sequence[Row], bounds: dict[int, float]) -> list[Row]:
    """Predicted against true standard errors of all estimates and of the pairs that are published, whole and by kind.

    Parameters
    ----------
    rows : sequence of Row
        Estimates of one method, with ``seed``, ``kind``, ``status``, ``rms`` and ``sigma_hr_px``.
    bounds : dict
        Cramér–Rao bound of each scene, by its seed.
    """
    published = [row for row in rows if row["status"] == "accepted"]
    table = []
    for name, group in (("all estimates", rows), ("published", published)):
        kinds = list(dict.fromkeys(row["kind"] for row in group))
        parts = {name: group} | {f"{name}, {kind}": [row for row in group if row["kind"] == kind] for kind in kinds}
        table += [{"scenes of": title} | _calibration(part, bounds) for title, part in parts.items() if part]
    return table


def _calibration(rows: Sequence[Row], bounds: dict[int, float]) -> Row:
    true, predicted = (np.array([row[name] for row in rows]) for name in ("rms", "sigma_hr_px"))
    bound = np.array([bounds.get(row["seed"], float("nan")) for row in rows])
    low, high = _interval(true, predicted)
    return {
        "count": len(rows),
        "rms true": _rms(true),
        "rms predicted": _rms(predicted),
        "true/predicted": _rms(true) / _rms(predicted),
        "from": low,
        "to": high,
        "within 1 sigma": float(np.mean(true <= predicted)),
        "within 2 sigma": float(np.mean(true <= 2 * predicted)),
        "rank correlation": _rank_correlation(true, predicted),
        "Cramér–Rao bound": _rms(bound),
    }


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _interval(true: Array, predicted: Array) -> tuple[float, float]:
    """95 % interval of the ratio of the root mean squares, by resampling the pairs with a fixed seed."""
    if len(true) < _FEWEST:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(0).integers(0, len(true), (_RESAMPLES, len(true)))
    ratios = np.sqrt(np.mean(true[drawn] ** 2, axis=1) / np.mean(predicted[drawn] ** 2, axis=1))
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(low), float(high)


def _rank_correlation(true: Array, predicted: Array) -> float:
    """Spearman's correlation of true and predicted errors; nan for too few pairs or equal values."""
    if len(true) < _FEWEST or np.ptp(true) == 0 or np.ptp(predicted) == 0:
        return float("nan")
    return float(stats.spearmanr(true, predicted).statistic)
