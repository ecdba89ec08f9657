"""Compare a pairs folder with known truth: measure the errors of published mappings and pixels, pair by pair."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from d2crealsr.errors import ImageError
from d2crealsr.imaging.estimate import Estimate, mapping_from_row
from d2crealsr.jobs.workers import run_in_order
from d2crealsr.store.images import read_image
from d2crealsr.store.pairs import read_manifest
from d2crealsr.store.tables import records
from d2crealsr.store.truth import read_truth, reference_path
from d2crealsr.truth.mapping_error import crop_grid, mapping_error
from d2crealsr.truth.shift import clipped, fourier_shift, linear_luma, measure_shift
from d2crealsr.types import Size

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    import pandas as pd

    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.imaging.placement import Placement
    from d2crealsr.truth.shift import PixelShift, Plane
    from d2crealsr.types import Array

__all__ = ["AGREEMENT_HR_PX", "COLUMNS", "ValidationResult", "validate"]

AGREEMENT_HR_PX = 0.03
"""Permitted difference between the pixel shift and the signed mean error of the mapping, in addition to the floor."""
_BAD_WORST_POINT_HR_PX = 1.0
_BAD_CONTENT_FRACTION = 0.02
_CONTROLS = ((0.0, 0.0), (0.05, -0.03), (0.31, 0.42))
"""Known shifts in HR px with which the estimator is checked: none, a small one, and one of half a pixel."""
_CONTROL_SCENES = 4
_SMALLEST_HR = 128

_MEASURED = (
    "true_error_mean_hr_px",
    "true_error_p95_hr_px",
    "true_error_max_hr_px",
    "true_error_x_hr_px",
    "true_error_y_hr_px",
    "pixel_shift_hr_px",
    "pixel_shift_x_hr_px",
    "pixel_shift_y_hr_px",
    "pixel_shift_se_hr_px",
    "pixel_error_mean_hr_px",
    "disagreement_hr_px",
    "floor_hr_px",
)


COLUMNS = (
    "scene",
    "status",
    "reasons",
    "same_scene",
    "content_differs_fraction",
    *(name for name in _MEASURED if name != "floor_hr_px"),
)
"""Columns of the table of a validation."""


@dataclass(frozen=True, kw_only=True)
class ValidationResult:
    """Result of :func:`validate`.

    Attributes
    ----------
    table : DataFrame
        One row per scene of the manifest: ``scene, status, reasons, same_scene, content_differs_fraction``, then errors
        in HR px, which are nan if they cannot be measured.
    floor_hr_px : float
        The largest error of the pixel estimator on controls with known shifts; nan without an accepted pair.
    findings : list of str
        One line for each problem; empty for a clean dataset.
    """

    table: pd.DataFrame
    floor_hr_px: float
    findings: list[str]

    def as_dict(self) -> dict[str, Any]:
        """The result as plain values, with a dict for each scene."""
        return {"floor_hr_px": self.floor_hr_px, "scenes": records(self.table), "findings": self.findings}

    @property
    def measured(self) -> bool:
        """Whether anything was measured of an accepted pair."""
        accepted = self.table[self.table["status"] == "accepted"]
        return bool(accepted[["true_error_mean_hr_px", "pixel_shift_hr_px"]].notna().any(axis=None))

    @property
    def summary(self) -> dict[str, float]:
        """Figures over the accepted pairs: counts, mean and 95th percentile of scene means, median worst point."""
        accepted = self.table[self.table["status"] == "accepted"]
        means = accepted["true_error_mean_hr_px"].dropna()
        worst = accepted["true_error_max_hr_px"].dropna()
        disagreement = accepted["disagreement_hr_px"].dropna()
        return {
            "scenes": float(len(self.table)),
            "accepted": float(len(accepted)),
            "true_error_mean_hr_px": float(means.mean()),
            "true_error_p95_of_means_hr_px": float(np.percentile(means, 95)) if len(means) else float("nan"),
            "true_error_median_of_max_hr_px": float(worst.median()),
            "disagreement_max_hr_px": float(disagreement.max()),
            "floor_hr_px": self.floor_hr_px,
        }


def validate(
    pairs: str | os.PathLike[str],
    truth: str | os.PathLike[str],
    *,
    jobs: int = 1,
    on_scene: Callable[[int, int], None] = lambda done, total: None,
) -> ValidationResult:
    """Measure every pair of a folder against the truth of its simulated captures.

    There are two measurements, which share no code. The error of the **mapping** is the difference between the
    published and the true mapping at 19×13 points of the LR crop. The shift of the **pixels** is that of the published
    HR against the true picture ``reference/NAME.png``, averaged over the same points. It must equal the mean error of
    the mapping.

    Parameters
    ----------
    pairs : path
        The pairs folder.
    truth : path
        ``truth.csv`` of the captures, beside which is ``reference/``.
    jobs : int
        Scenes at a time; 0 for one per core.
    on_scene : callable
        Called after each scene with the number of scenes that are done and of all.

    Returns
    -------
    ValidationResult
        The sign of errors is that of all shifts: where the published HR has the content minus where it belongs.

    Raises
    ------
    LayoutError, TableError
        When a table is missing or damaged.
    """
    import pandas as pd

    pairs, truth = Path(pairs), Path(truth)
    manifest, known = read_manifest(pairs), read_truth(truth)
    truths = {row["scene"]: row for row in records(known.reset_index())}
    rows = [_Row(row, truths.get(row["scene"])) for row in records(manifest)]
    measurable = [row.scene for row in rows if row.accepted and row.truth is not None]
    controls = set(measurable[:: max(1, -(-len(measurable) // _CONTROL_SCENES))])
    tasks = [(row, row.scene in controls) for row in rows]
    measured = []
    for found in run_in_order(partial(_measure, pairs, truth), tasks, jobs=jobs):
        measured.append(found)
        on_scene(len(measured), len(tasks))
    table = pd.DataFrame([values for values, _ in measured], columns=[*COLUMNS, "floor_hr_px"])
    floors = table["floor_hr_px"].dropna()
    floor = float(floors.max()) if len(floors) else float("nan")
    findings = [line for _, problems in measured for line in problems]
    findings += _disagreements(table, AGREEMENT_HR_PX + (0.0 if np.isnan(floor) else floor), known)
    return ValidationResult(table=table.drop(columns="floor_hr_px"), floor_hr_px=floor, findings=findings)


class _Row:
    """One scene: its rows of the manifest and of the truth, and values derived from them (None if unknown)."""

    def __init__(self, manifest: dict[str, Any], truth: dict[str, Any] | None) -> None:
        self.manifest, self.truth = manifest, truth
        self.scene = str(manifest["scene"])
        self.accepted = manifest["status"] == "accepted"
        self.placement: Placement | None = None
        self.true: CaptureMapping | None = None
        if truth is not None and truth["same_scene"]:
            hr, lr = (Size(truth[f"{side}_width"], truth[f"{side}_height"]) for side in ("hr", "lr"))
            estimate, self.true = Estimate.from_row(manifest, hr, lr), mapping_from_row(truth, hr, lr)
            if estimate is not None and estimate.placement.crop.side > 0:
                self.placement = estimate.placement


def _measure(pairs: Path, truth: Path, task: tuple[_Row, bool]) -> tuple[dict[str, Any], list[str]]:
    """One row of the table, and the problems of the scene. The estimator is checked too if requested."""
    row, with_controls = task
    values: dict[str, Any] = {"scene": row.scene, "status": row.manifest["status"], "reasons": row.manifest["reasons"]}
    values |= {"same_scene": None, "content_differs_fraction": float("nan")} | dict.fromkeys(_MEASURED, float("nan"))
    if row.truth is None:
        return values, [f"scene {row.scene}: not in {truth.name}; give the truth of these captures"]
    values["same_scene"] = bool(row.truth["same_scene"])
    if row.truth["content_differs_fraction"] is not None:
        values["content_differs_fraction"] = row.truth["content_differs_fraction"]
    findings: list[str] = []
    values |= _mapping_errors(row)
    if row.accepted:
        findings += _bad(row.scene, values)
        try:
            values |= _pixel_shifts(pairs, truth, row, values, with_controls)
        except (ImageError, ValueError) as error:
            findings.append(f"scene {row.scene}: pixels not measured: {error}")
    return values, findings


def _mapping_errors(row: _Row) -> dict[str, float]:
    """The true error of the mapping; nothing if one of the mappings is unknown."""
    if row.placement is None or row.true is None:
        return {}
    error = mapping_error(row.placement, row.true)
    lengths = {"mean": error.mean, "p95": error.p95, "max": error.maximum}
    parts = lengths | dict(zip("xy", map(float, error.signed), strict=True))
    return {f"true_error_{name}_hr_px": value for name, value in parts.items()}


def _bad(scene: str, values: dict[str, Any]) -> list[str]:
    """The reasons why an accepted pair should not have been accepted."""
    if not values["same_scene"]:
        return [f"scene {scene}: accepted, but HR and LR show different scenes"]
    found = []
    if values["true_error_max_hr_px"] > _BAD_WORST_POINT_HR_PX:
        worst = f"{values['true_error_max_hr_px']:.2f} HR px"
        found.append(f"scene {scene}: accepted, but its worst point is {worst} off, at most {_BAD_WORST_POINT_HR_PX:g}")
    if values["content_differs_fraction"] > _BAD_CONTENT_FRACTION:
        share = f"{values['content_differs_fraction']:.1%}"
        found.append(
            f"scene {scene}: accepted, but {share} of its content differs, at most {_BAD_CONTENT_FRACTION:.0%}"
        )
    return found


def _pixel_shifts(pairs: Path, truth: Path, row: _Row, values: dict[str, Any], with_controls: bool) -> dict[str, float]:
    """The shift of the published pixels against the reference, and how far it is from the error of the mapping."""
    if row.placement is None or row.truth is None:
        return {}
    crop, scale = row.placement.crop, row.placement.scale
    image = read_image(pairs / row.manifest["hr_path"])
    reference = linear_luma(read_image(reference_path(truth, row.scene)))
    published, masked = linear_luma(image), clipped(image)
    # Position of the published image's first pixel in the reference: a whole number of LR px and so of HR px.
    origin = scale * (np.array([crop.x, crop.y]) - np.array([row.truth["ref_x"], row.truth["ref_y"]], dtype=float))
    begin, end = _overlap(origin, published.shape, reference.shape)
    if min(end - begin) < _SMALLEST_HR:
        raise ValueError(f"published HR and reference share less than {_SMALLEST_HR} px a side")
    inside = np.s_[begin[1] : end[1], begin[0] : end[0]]
    offset = (float(origin[0] + begin[0]), float(origin[1] + begin[1]))
    found = measure_shift(published[inside], reference, offset, masked=masked[inside])
    points = (crop_grid(crop) - np.array([crop.x, crop.y]) + 0.5) * scale - 0.5 - begin
    field = found.field.at(points)
    shift = field.mean(axis=0)
    signed = np.array([values["true_error_x_hr_px"], values["true_error_y_hr_px"]])
    measured = {
        "pixel_shift_x_hr_px": float(shift[0]),
        "pixel_shift_y_hr_px": float(shift[1]),
        "pixel_shift_hr_px": float(np.hypot(*shift)),
        "pixel_shift_se_hr_px": found.error,
        "pixel_error_mean_hr_px": float(np.linalg.norm(field, axis=1).mean()),
        "disagreement_hr_px": float(np.hypot(*(shift - signed))),
    }
    floor = _floor(reference, found, offset, points, published[inside].shape) if with_controls else float("nan")
    return measured | {"floor_hr_px": floor}


def _overlap(origin: Array, published: tuple[int, ...], reference: tuple[int, ...]) -> tuple[Any, Any]:
    """The part of the published image that the reference shows, as (begin, end), each (x, y)."""
    size = np.array([published[1], published[0]])
    begin = np.clip(np.ceil(-origin), 0, None).astype(int)
    end = np.minimum(size, np.floor(np.array([reference[1], reference[0]]) - origin)).astype(int)
    return begin, end


def _floor(
    reference: Plane, found: PixelShift, offset: tuple[float, float], points: Array, shape: tuple[int, ...]
) -> float:
    """Largest error on controls: the reference, moved by a known shift, with the noise of the published pair."""
    rng = np.random.default_rng(0)
    left, top = round(offset[0]), round(offset[1])
    errors = []
    for shift in _CONTROLS:
        moved = fourier_shift(reference, shift)[top : top + shape[0], left : left + shape[1]]
        noisy = (moved + found.noise * rng.standard_normal(moved.shape)).astype(np.float32)
        again = measure_shift(noisy, reference, (float(left), float(top))).field.at(points).mean(axis=0)
        errors.append(float(np.hypot(*(again - np.array(shift)))))
    return max(errors)


def _disagreements(table: pd.DataFrame, limit: float, truth: pd.DataFrame) -> list[str]:
    """Find pairs whose pixels are not where their mapping places them. A bowed card may depart from its plane."""
    limits = limit + table["scene"].map(truth["bow_shift_max_hr_px"]).fillna(0.0)
    odd = table["disagreement_hr_px"] > limits
    return [
        f"scene {scene}: pixel shift and mapping error disagree by {value:.3f} HR px, at most {most:.3f}"
        for scene, value, most in zip(table["scene"][odd], table["disagreement_hr_px"][odd], limits[odd], strict=True)
    ]
