"""The content of the report's page: numbers of the top line, the table for its scripts, and the versions."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import platform
import shlex
import statistics
from typing import TYPE_CHECKING, Any

from d2crealsr.quality.verdict import RULES, in_words
from d2crealsr.report import headline, measures, words
from d2crealsr.settings import AlignSettings
from d2crealsr.store.columns import MANIFEST
from d2crealsr.store.files import sha256_of
from d2crealsr.store.reasons import REASONS
from d2crealsr.store.shapes import RESIDUAL_SHAPES
from d2crealsr.ui.versions import version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["page_content"]

Row = dict[str, Any]

_HASHED = ("manifest.csv", "alignment.csv", "residuals.csv", "dataset.json")
_LIBRARIES = ("numpy", "opencv-contrib-python", "scipy", "pandas", "jinja2")
_STATUSES = ("accepted", "rejected", "failed")


def page_content(
    pairs: Path,
    dataset: Mapping[str, Any],
    rows: Sequence[Row],
    stages: Mapping[str, list[Row]],
    drawn: Mapping[str, Row],
) -> dict[str, Any]:
    """All values that the template shows.

    Parameters
    ----------
    pairs : Path
        The pairs folder. The page states the hashes of its tables.
    dataset : mapping
        ``dataset.json``.
    rows, stages
        The rows of the manifest, and those of the alignment table by scene.
    drawn : mapping
        The result of :func:`d2crealsr.report.pair.draw_pair` for each scene.
    """
    accepted = [row for row in rows if row["status"] == "accepted"]
    bad = [row for row in rows if row["status"] != "accepted"]
    counted = collections.Counter(code for row in bad for code in row["reasons"].split(";") if code)
    return {
        "subject": headline.subject(pairs, dataset, rows, drawn),
        "judged": headline.judged(rows, drawn),
        "total": len(rows),
        "status": {status: sum(row["status"] == status for row in rows) for status in _STATUSES},
        "reviewed": sum(row["accepted_by"] == "reviewer" for row in accepted),
        "residual_p50": _median(row["residual_p50_hr_px"] for row in accepted),
        "residual_p95": _median(row["residual_p95_hr_px"] for row in accepted),
        "sigma": _median(row["sigma_hr_px"] for row in accepted),
        "reasons": [
            {"code": code, "count": count, "fix": in_words(code)}
            for code, count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
        ],
        "figures": words.FIGURES,
        "scale": dataset["scale"],
        "licence": dataset.get("licence", ""),
        "citation": dataset.get("citation", ""),
        "command": _command(dataset),
        "settings": [(name, _shown(value)) for name, value in dataset.get("settings", {}).items()],
        "versions": [("d2crealsr (pairs)", dataset["tool_version"]), *_versions()],
        "hashes": [(name, sha256_of(pairs / name)) for name in _HASHED if (pairs / name).exists()],
        "data": _data(rows, stages, drawn) | {"points": dataset.get("points", {})},
    }


def _data(rows: Sequence[Row], stages: Mapping[str, list[Row]], drawn: Mapping[str, Row]) -> dict[str, Any]:
    """Data for the scripts: the columns of the manifest, and the values for the cards and the plots of the dataset."""
    known = {column.name: column for column in MANIFEST}
    names = list(rows[0]) if rows else []
    columns = [
        {
            "name": name,
            "kind": known[name].kind if name in known else "text",
            "unit": known[name].unit if name in known else "",
            "meaning": known[name].meaning if name in known else "",
            "values": [_short(row[name]) for row in rows],
        }
        for name in names
    ]
    results = [drawn[row["scene"]] for row in rows]
    return {
        "id": hashlib.sha256("\n".join(row["scene"] for row in rows).encode()).hexdigest()[:16],
        "columns": columns,
        "keys": [result["key"] for result in results],
        "thumbs": [_thumbs(result) for result in results],
        "spectra": [result.get("spectrum") for result in results],
        "spectrum_bins": measures.SPECTRUM_BINS,
        "stages": [_stage_residuals(stages.get(row["scene"], [])) for row in rows],
        "reasons": {code: in_words(code)._asdict() for code in (*REASONS, *(rule.reason for rule in RULES))},
        "shapes": {name: shape._asdict() for name, shape in RESIDUAL_SHAPES.items()},
    }


def _thumbs(result: Row) -> list[tuple[str, str]]:
    """The pictures of a card by name: LR and HR in the same view, or the captures that exist."""
    files, captures = result["files"], result["captures"]
    if "thumb_lr" in files:
        return [("LR", files["thumb_lr"]), ("HR", files["thumb_hr"])]
    return [(side.upper(), captures[side]["file"]) for side in ("lr", "hr") if side in captures]


def _stage_residuals(stages: Sequence[Row]) -> list[list[Any]]:
    """``[stage, residual]`` for the stages with a measured residual."""
    named = [(f"{s['stage']} {s['iteration']}" if s["stage"] == "sift" else s["stage"], s) for s in stages]
    return [[name, _short(s["residual_p50_hr_px"])] for name, s in named if s["residual_p50_hr_px"] is not None]


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _median(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _command(dataset: Mapping[str, Any]) -> str:
    """The command `align` as it would be typed in the pairs folder, without options that have their default."""
    if "raw_root" not in dataset:  # every pair was imported
        return f"d2crealsr import {shlex.quote(dataset.get('imported_from', ''))} --out . --scale {dataset['scale']}"
    default = dataclasses.asdict(AlignSettings())
    words_ = ["d2crealsr", "align", shlex.quote(dataset["raw_root"]), "--out", "."]
    for name, value in dataset.get("settings", {}).items():
        if name in default and value != default[name]:
            option = name.replace("_", "-")
            words_ += (
                [f"--{'' if value else 'no-'}{option}"]
                if isinstance(value, bool)
                else [f"--{option}", shlex.quote(str(value))]
            )
    return " ".join(words_)


def _shown(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _versions() -> list[tuple[str, str]]:
    """Versions of the packages with which the report was drawn."""
    drawn = [("d2crealsr (report)", version("d2crealsr")), ("Python", platform.python_version())]
    return [*drawn, *((name, version(name)) for name in _LIBRARIES)]
