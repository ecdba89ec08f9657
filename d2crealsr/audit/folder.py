"""Measure how well each pair in a folder is aligned, whoever made it. Nothing is modified."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from d2crealsr.audit.benchmark_loss import loss_db
from d2crealsr.audit.pair import (
    MEASURED,
    NOT_MEASURED,
    AuditSettings,
    classify,
    displacement,
    is_measured,
    measure_pair,
)
from d2crealsr.errors import ImageError
from d2crealsr.imaging.crop import MIN_SIDE
from d2crealsr.jobs.workers import run_in_order
from d2crealsr.store.images import read_image, read_size
from d2crealsr.store.layouts import (
    PairFolder,
    box_reduced,
    find_pair_folder,
    reduced_size,
    size_ratio,
    whole_part,
)
from d2crealsr.store.tables import records

if TYPE_CHECKING:
    import os

    import pandas as pd

    from d2crealsr.store.layouts import ImagePair
    from d2crealsr.types import ResidualField

__all__ = ["COLUMNS", "EARLIER_COLUMNS", "FIELD_COLUMNS", "AuditResult", "AuditSettings", "PairDone", "audit"]

EARLIER_COLUMNS = ("scene", "scale", "verdict", "reason", "residual_shape", *MEASURED, "hr_path", "lr_path")
"""Columns of the table of earlier versions, which may be replaced."""
COLUMNS = (*EARLIER_COLUMNS, "registration_loss_db")
"""Columns of an audit's table."""
FIELD_COLUMNS = ("scene", "lr_x", "lr_y", "dx_hr_px", "dy_hr_px", "weight", "zncc")
"""Columns of its residual fields."""
_NUMBERS = (*MEASURED, "registration_loss_db")
_UNPAIRED_SHOWN = 10


class PairDone(NamedTuple):
    """Progress of an audit: how many of how many pairs are done, and scene, verdict and reason of the last one."""

    number: int
    total: int
    scene: str
    verdict: str
    reason: str


Listener: TypeAlias = Callable[[PairDone], None]


@dataclass(frozen=True, kw_only=True)
class AuditResult:
    """What :func:`audit` found.

    Attributes
    ----------
    table : DataFrame
        One row per pair, sorted: ``scene, scale, verdict, reason, residual_shape``, then the statistics of
        :data:`d2crealsr.audit.pair.MEASURED`, then ``hr_path, lr_path`` relative to the folder, and
        ``registration_loss_db``, what a result loses that is measured on this pair, as
        :func:`d2crealsr.audit.benchmark_loss.loss_db` has it; nan if that is not known. ``verdict`` is
        ``clean, misaligned, different_content, different_colours, too_little_texture, wrong_size`` or
        ``unreadable``. For the last two verdicts the statistics are nan and the scale is 0.
    findings : list of str
        One line for every pair with something wrong and every image without a partner; empty for a clean folder.
    not_measured : list of str
        One line for every pair with too little texture, or too few pixels, to measure its alignment. Nothing is known
        to be wrong with these pairs, so they are no findings.
    fields : DataFrame
        The residual fields, ``scene, lr_x, lr_y, dx_hr_px, dy_hr_px, weight, zncc``. Positions are in the LR image.
    layout : str
        Name of the folder's layout.
    alignment_known : tuple of bool
        Whether the displacement of each pair is known, in the order of the table. It is not if the images show
        different content, have too little texture, or cannot be compared.
    notes : tuple of str
        One sentence about each kind of file that was left out.
    """

    table: pd.DataFrame
    findings: list[str]
    not_measured: list[str]
    fields: pd.DataFrame
    layout: str
    alignment_known: tuple[bool, ...]
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The result as plain values, with a dict for each pair. The residual fields are left out."""
        return {
            "layout": self.layout,
            "pairs": records(self.table),
            "summary": self.summary,
            "findings": self.findings,
            "not_measured": self.not_measured,
        }

    @property
    def measured(self) -> int:
        """Number of pairs whose displacement is known."""
        return sum(self.alignment_known)

    @property
    def summary(self) -> dict[str, float]:
        """Number of pairs by verdict, medians over the measured pairs in HR px, and the mean of their loss in dB."""
        counts = {str(verdict): float(n) for verdict, n in self.table["verdict"].value_counts().items()}
        names = ("residual_p50_hr_px", "smooth_hr_px", "floor_p50_hr_px", "floor_smooth_hr_px")
        measured = self.table[list(self.alignment_known)]
        medians = {name: float(measured[name].median()) for name in names}
        loss = float(self.table["registration_loss_db"].mean())
        return {"pairs": float(len(self.table)), **counts, **medians, "registration_loss_db": loss}


def audit(
    folder: str | os.PathLike[str],
    *,
    scale: int | None = None,
    settings: AuditSettings | None = None,
    scenes: Container[str] | None = None,
    jobs: int = 1,
    on_pair: Listener | None = None,
) -> AuditResult:
    """Measure the alignment of every pair in a folder of a known layout (:mod:`d2crealsr.store.layouts`).

    The measurement is the same with which `align` judges its own pairs: the shift in each block between LR and HR
    degraded to LR's resolution. In addition, the floor of the estimator is measured: the result for a control that is
    made from the same two images and has no shift.

    Parameters
    ----------
    folder : path
    scale : int, optional
        Measure only pairs of this scale. If neither names nor tables state scales, image sizes must have this ratio.
    settings : AuditSettings, optional
        Limits of the verdict.
    scenes : container of str, optional
        Measure only pairs of these names.
    jobs : int
        Pairs at a time; 0 for one per core. A worker holds one pair in memory.
    on_pair : callable, optional
        Called with a :class:`PairDone` after each pair, in the table's order.

    Returns
    -------
    AuditResult
        Errors in HR px, which are pixels of the larger image.

    Raises
    ------
    LayoutError
        When the folder is missing or holds no pairs of a known layout or scale.
    TableError
        When the manifest of a pairs folder is damaged.

    References
    ----------
    B. D. Lucas, T. Kanade, "An Iterative Image Registration Technique with an Application to Stereo Vision", 1981.
    """
    import pandas as pd

    root, settings = Path(folder), settings or AuditSettings()
    found = find_pair_folder(root, scale=scale)
    measure = partial(_measure, settings)
    pairs = [pair for pair in found.pairs if scenes is None or pair.scene in scenes]
    tasks = [(pair, _allowed(pair, found, scale), scale or 1) for pair in pairs]
    rows: list[dict[str, Any]] = []
    fields: list[pd.DataFrame] = []
    known: list[bool] = []
    with contextlib.closing(run_in_order(measure, tasks, jobs=jobs)) as results:
        for pair, (row, field) in zip(pairs, results, strict=True):
            paths = {"hr_path": _inside(pair.hr, root), "lr_path": _inside(pair.lr, root)}
            known.append(row.pop("alignment_known"))
            loss = row.pop("registration_loss_db")  # the last column
            rows.append({"scene": pair.scene, **row, **paths, "registration_loss_db": loss})
            fields.append(_frame(pair.scene, field))
            if on_pair is not None:
                on_pair(PairDone(len(rows), len(pairs), pair.scene, row["verdict"], row["reason"]))
    return AuditResult(
        table=pd.DataFrame(rows),
        findings=_findings(rows, found, root),
        not_measured=[_line(row) for row in rows if row["verdict"] == NOT_MEASURED],
        fields=pd.concat(fields, ignore_index=True),
        layout=found.layout,
        alignment_known=tuple(known),
        notes=found.notes,
    )


def _allowed(pair: ImagePair, found: PairFolder, scale: int | None) -> tuple[int, ...]:
    """Permitted ratios of HR's size to LR's; empty for any. RealSR's ``_LR4`` images have the size of HR."""
    if pair.nominal is None:
        return () if scale is None else (scale,)
    return (pair.nominal,) if found.tabled else (1, pair.nominal)


def _measure(
    settings: AuditSettings, task: tuple[ImagePair, tuple[int, ...], int]
) -> tuple[dict[str, Any], ResidualField | None]:
    """A pair's row but for its name and paths, and its residual field; None where nothing could be measured."""
    pair, allowed, asked = task
    numbers = dict.fromkeys(_NUMBERS, float("nan"))
    nothing = {"scale": 0, "verdict": "", "reason": "", "residual_shape": "", **numbers, "alignment_known": False}
    try:
        hr_size, lr_size = read_size(pair.hr), read_size(pair.lr)
        reduce = asked if pair.at_hr_size else 1
        if reduce > 1:
            lr_size = reduced_size(lr_size, reduce)
            hr_size = (reduce * lr_size[0], reduce * lr_size[1])
        scale = size_ratio(hr_size, lr_size)
        if scale is None or (allowed and scale not in allowed):
            return nothing | {"verdict": "wrong_size", "reason": _wrong_size(pair, hr_size, lr_size, allowed)}, None
        if min(lr_size) < MIN_SIDE:
            reason = f"LR is {lr_size[0]}x{lr_size[1]}, at least {MIN_SIDE} px a side are needed"
            return nothing | {"scale": scale, "verdict": NOT_MEASURED, "reason": reason}, None
        hr, lr = whole_part(read_image(pair.hr), reduce), read_image(pair.lr)
        evidence = measure_pair(hr, box_reduced(lr, reduce) if reduce > 1 else lr, scale)
    except ImageError as error:
        return nothing | {"verdict": "unreadable", "reason": str(error)}, None
    verdict, reason = classify(evidence.statistics, scale, settings)
    if verdict == "misaligned" and evidence.shape:
        reason += f"; the field is {evidence.shape}"
    told = {"scale": scale, "verdict": verdict, "reason": reason, "residual_shape": evidence.shape}
    known = is_measured(verdict, evidence.statistics, scale, settings)
    loss = loss_db(displacement(evidence.statistics, scale), scale) if known else float("nan")
    return {**told, **evidence.statistics, "registration_loss_db": loss, "alignment_known": known}, evidence.field


def _wrong_size(pair: ImagePair, hr: tuple[int, int], lr: tuple[int, int], allowed: tuple[int, ...]) -> str:
    """A sentence on the sizes of a pair and what they should be."""
    wanted = [f"{n * lr[0]}x{n * lr[1]}" for n in allowed] or ["a whole multiple"]
    return f"{pair.hr.name} is {hr[0]}x{hr[1]}, expected {' or '.join(wanted)} for {pair.lr.name} of {lr[0]}x{lr[1]}"


def _inside(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _frame(scene: str, field: ResidualField | None) -> pd.DataFrame:
    import pandas as pd

    points, shifts = (np.empty((0, 2)),) * 2 if field is None else (field.points_lr, field.shifts_hr_px)
    weights, zncc = (np.empty(0),) * 2 if field is None else (field.weights, field.zncc)
    columns: dict[str, Any] = {
        "scene": pd.Series([scene] * len(weights), dtype=str),
        "lr_x": points[:, 0],
        "lr_y": points[:, 1],
        "dx_hr_px": shifts[:, 0],
        "dy_hr_px": shifts[:, 1],
        "weight": weights,
        "zncc": zncc,
    }
    return pd.DataFrame(columns)


def _line(row: dict[str, Any]) -> str:
    return f"{row['scene']}: {row['verdict']}: {row['reason']}"


def _findings(rows: list[dict[str, Any]], found: PairFolder, root: Path) -> list[str]:
    lines = [_line(row) for row in rows if row["verdict"] not in ("clean", NOT_MEASURED)]
    lines += [f"{_inside(path, root)}: has no partner in the folder" for path in found.unpaired[:_UNPAIRED_SHOWN]]
    if len(found.unpaired) > _UNPAIRED_SHOWN:
        lines.append(f"{len(found.unpaired) - _UNPAIRED_SHOWN} more images have no partner in the folder")
    return lines
