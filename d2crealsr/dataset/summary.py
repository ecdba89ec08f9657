"""Summarise a pairs folder in a few figures and a short table."""

from __future__ import annotations

import collections
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.dataset.selection import ordered, parse_conditions, pick_columns, selected
from d2crealsr.errors import LayoutError
from d2crealsr.store.columns import MANIFEST
from d2crealsr.store.pairs import has_table, read_manifest
from d2crealsr.store.tables import csv_text, records
from d2crealsr.ui.json_text import json_text

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import pandas as pd

__all__ = ["ESSENTIAL", "Overview", "Summary", "as_csv", "as_json", "overview", "summarise"]

ESSENTIAL = (
    "scene",
    "status",
    "split",
    "residual_p50_hr_px",
    "residual_p95_hr_px",
    "sigma_hr_px",
    "sharpness_ratio",
    "residual_shape",
    "reasons",
)
"""Columns of the manifest that are shown by default."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """Figures over all scenes of a pairs folder.

    Attributes
    ----------
    status, split, reasons : mapping
        Number of scenes by status; number of accepted scenes by split, except those without one; number of scenes by
        reason code, the most frequent first, without overruled reasons.
    reviewed, left_out : int
        Number of scenes that a reviewer accepted although QA rejected them, and of accepted scenes that a reviewer
        left out.
    residual_p50_hr_px, residual_p95_hr_px, sigma_hr_px : float
        Medians over the accepted scenes; nan if there are none.
    """

    total: int
    status: Mapping[str, int]
    split: Mapping[str, int]
    reasons: Mapping[str, int]
    reviewed: int
    left_out: int
    residual_p50_hr_px: float
    residual_p95_hr_px: float
    sigma_hr_px: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """An overview of the whole folder, and the requested rows and columns."""

    overview: Overview
    table: pd.DataFrame


def summarise(
    pairs: str | os.PathLike[str],
    *,
    where: Sequence[str] = (),
    sort: Sequence[str] = (),
    columns: Sequence[str] = ESSENTIAL,
) -> Summary:
    """Read the manifest of a pairs folder, and pick rows and columns.

    Parameters
    ----------
    pairs : path
        The pairs folder.
    where : sequence of str
        Conditions that a row must all meet (:func:`d2crealsr.dataset.selection.parse_conditions`).
    sort : sequence of str
        Names of columns to sort by, the most important first. A leading ``-`` sorts in descending order.
    columns : sequence of str
        Columns to keep, in this order; ``all`` means all of them.

    Raises
    ------
    UsageError
        When the folder has no manifest, a column does not exist, or a condition is invalid.
    """
    if not has_table(Path(pairs)):
        raise LayoutError(f"{pairs}: no manifest.csv; give a pairs folder, made by d2crealsr align")
    manifest = read_manifest(pairs)
    conditions = [condition for text in where for condition in parse_conditions(text)]
    table = ordered(selected(manifest, conditions), sort)
    if list(columns) != ["all"]:
        table = pick_columns(table, columns)
    return Summary(overview=overview(manifest), table=table.reset_index(drop=True))


def overview(manifest: pd.DataFrame) -> Overview:
    """Figures over all rows of a manifest."""
    accepted = manifest[manifest["status"] == "accepted"]
    bad = manifest.loc[manifest["status"] != "accepted", "reasons"]
    reasons = collections.Counter(code for codes in bad for code in codes.split(";") if code)
    return Overview(
        total=len(manifest),
        status=dict(collections.Counter(manifest["status"])),
        split={name: int((accepted["split"] == name).sum()) for name in ("train", "test")},
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        reviewed=int((accepted["accepted_by"] == "reviewer").sum()),
        left_out=int((accepted["left_out_of"] != "").sum()),
        residual_p50_hr_px=float(accepted["residual_p50_hr_px"].median()),
        residual_p95_hr_px=float(accepted["residual_p95_hr_px"].median()),
        sigma_hr_px=float(accepted["sigma_hr_px"].median()),
    )


def as_csv(summary: Summary) -> str:
    """The rows as CSV, with the same digits as in the manifest."""
    return csv_text(summary.table, MANIFEST)


def as_json(summary: Summary) -> str:
    """The rows as a JSON list of objects by column name. Missing numbers are null; text remains text.

    Control characters are written as JSON escapes, so that they cannot affect a terminal.
    """
    return json_text(records(summary.table))
