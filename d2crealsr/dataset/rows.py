"""Convert the outcome of a scene to rows of `manifest.csv`, `alignment.csv` and `residuals.csv`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from d2crealsr.align import Alignment
from d2crealsr.imaging.estimate import homography_cells
from d2crealsr.quality.place import place_in_words
from d2crealsr.quality.verdict import explain
from d2crealsr.store.columns import MANIFEST, TABLES
from d2crealsr.store.tables import rows_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d2crealsr.settings import AlignSettings
    from d2crealsr.types import AlignmentFailure, ResidualField, Stage

__all__ = ["Row", "SceneRows", "message_of", "rows_of"]

Row: TypeAlias = "dict[str, Any]"

_MANIFEST_NAMES = {column.name for column in MANIFEST}


class SceneRows(NamedTuple):
    """The rows of one scene: one of the manifest, and those of its stages and of its residual field."""

    row: Row
    stages: list[Row]
    residuals: list[Row]


def rows_of(
    outcome: Alignment | AlignmentFailure, cells: Mapping[str, Any], settings: AlignSettings, accepted_by: str
) -> SceneRows:
    """Convert an outcome to rows of the tables.

    Parameters
    ----------
    outcome : Alignment or AlignmentFailure
    cells : mapping
        Cells of the manifest that do not depend on the outcome: the scene's name, captures and recipe.
    settings : AlignSettings
        Settings by which it was judged.
    accepted_by : {"", "qa", "reviewer"}
        Who accepts the scene.

    Raises
    ------
    TableError, ValueError, KeyError
        When a row does not fit its table, or the sizes violate the format. Only this scene fails then.
    """
    scene = cells["scene"]
    row: Row = {**cells, "scale": settings.scale, **_statistics(outcome)}
    residuals: list[Row] = []
    if isinstance(outcome, Alignment):
        row |= _estimate_cells(outcome, accepted_by)
        row |= {f"{side}_tone": "linear" for side in ("hr", "lr") if cells.get(f"{side}_developed")}
        explained = explain(outcome.statistics, settings)
        row["message"] = message_of(explained, row)
        residuals = _residual_rows(scene, outcome.residuals)
    else:
        row |= {"status": "failed", "reasons": outcome.reason, "message": " ".join(outcome.message.split())}
    stages = [_stage_row(scene, stage) for stage in outcome.stages]
    for name, rows in (("manifest.csv", [row]), ("alignment.csv", stages), ("residuals.csv", residuals)):
        rows_text(rows, TABLES[name], Path(name))
    return SceneRows(row, stages, residuals)


def message_of(explained: str, row: Row) -> str:
    """The manifest's message: the broken rules, the place that differs, and the shape of the residual field.

    The place and the shape are named where a reason of the row concerns them.
    """
    reasons, told = row["reasons"].split(";"), [explained]
    box: list[Any] = [row.get(f"differing_{side}") for side in ("x", "y", "width", "height")]
    if "content_mismatch" in reasons and None not in box:
        told.append(place_in_words(*(int(side) for side in box)))
    if "residual_too_large" in reasons and row["residual_shape"]:
        told.append(f"the residual field is {row['residual_shape']}")
    return "; ".join(told)


def _residual_rows(scene: str, field: ResidualField) -> list[Row]:
    blocks = zip(field.points_lr, field.shifts_hr_px, field.weights, strict=True)
    return [
        {"scene": scene, "lr_x": x, "lr_y": y, "dx_hr_px": dx, "dy_hr_px": dy, "weight": weight}
        for (x, y), (dx, dy), weight in blocks
    ]


def _statistics(outcome: Alignment | AlignmentFailure) -> Row:
    unknown = outcome.statistics.keys() - _MANIFEST_NAMES
    if unknown:
        raise KeyError(f"statistics that are no manifest columns: {', '.join(sorted(unknown))}")
    return dict(outcome.statistics)


def _estimate_cells(alignment: Alignment, accepted_by: str) -> Row:
    if accepted_by:
        _check_sizes(alignment)
    return {
        "status": "accepted" if accepted_by else "rejected",
        "reasons": ";".join(alignment.reasons),
        "residual_shape": alignment.residual_shape,
        "accepted_by": accepted_by,
        "started_from": alignment.started_from,
        **alignment.estimate.to_row(),
    }


def _check_sizes(alignment: Alignment) -> None:
    """Make sure that LR has the size of the crop, and HR exactly scale times this size."""
    crop, size = alignment.crop, alignment.estimate.placement.published_size
    hr, lr = (size.height, size.width, 3), (crop.height, crop.width, 3)
    if (alignment.hr.shape, alignment.lr.shape) != (hr, lr):
        raise ValueError(f"got HR {alignment.hr.shape} and LR {alignment.lr.shape}, expected {hr} and {lr}")


def _stage_row(scene: str, stage: Stage) -> Row:
    cells = {f.name: getattr(stage, f.name) for f in dataclasses.fields(stage) if f.name != "H_hr_to_lr"}
    return {"scene": scene, **cells, **({} if stage.H_hr_to_lr is None else homography_cells(stage.H_hr_to_lr))}
