"""How well are City100's published pairs aligned, before and after this project's `align`?

    D2CREALSR_CITY100=city100 python -m benchmarks.accuracy.audit_city100 --out benchmarks/results/audit_city100.md
    python -m benchmarks.accuracy.audit_city100 --scenes 1

These are real captures, and their truth is unknown. `d2crealsr audit` can only measure a residual field, and the floor
of that measurement. The pairs are audited as published, then aligned again with `align --scale 1` (with defaults, and
with no pair rejected by QA's thresholds), and audited again. Every pair is listed, whatever the result. The pairs that
are aligned again are a few pixels smaller on each side, because HR must not be read beyond its border.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.program import PATH, print_and_store, program, with_out
from benchmarks.result_tables import Row, text_table
from d2crealsr.audit.folder import audit
from d2crealsr.dataset.build import build
from d2crealsr.errors import LayoutError
from d2crealsr.settings import AlignSettings
from d2crealsr.store.layouts import find_pair_folder
from d2crealsr.store.pairs import read_manifest

if TYPE_CHECKING:
    import pandas as pd

_MEASURES = ("smooth", "constant", "affine", "residual_p50", "residual_p95", "rest_p50")
_BESIDE = {
    "smooth": {"floor": "floor_smooth", "error": "smooth_error"},
    "residual_p50": {"floor": "floor_p50"},
    "residual_p95": {"floor": "floor_p95"},
}
"""What stands beside a measure: the same of the zero-shift control, and the error that the field's scatter tells."""


def nothing_rejected() -> AlignSettings:
    """Settings whose thresholds let every estimate through: every pair's outcome is wanted."""
    limits: dict[str, Any] = {}
    for field in dataclasses.fields(AlignSettings):
        if field.name.startswith("max_"):
            limits[field.name] = field.metadata["at_most"] or 1e9
        elif field.name.startswith("min_"):
            limits[field.name] = field.metadata["at_least"] or 0.0
    return AlignSettings(scale=1, **limits)


def first_pairs(source: Path, scenes: int | None, scratch: Path) -> Path:
    """The folder of captures; with ``scenes``, a copy of its first so many pairs."""
    if scenes is None:
        return source
    copy = scratch / "captures"
    copy.mkdir()
    for pair in find_pair_folder(source).pairs[:scenes]:
        for path in (pair.hr, pair.lr):
            shutil.copyfile(path, copy / path.name)
    return copy


def measured(folder: Path) -> pd.DataFrame:
    """The audit's table, by scene."""
    return audit(folder, on_pair=lambda pair: click.echo(f"{folder.name}: {pair.scene}", err=True)).table.set_index(
        "scene"
    )


def realigned(captures: Path, pairs: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Manifest and audit of the realigned pairs, by scene."""
    build(captures, pairs, settings=nothing_rejected())
    return read_manifest(pairs).set_index("scene"), measured(pairs)


def report(before: pd.DataFrame, after: pd.DataFrame, manifest: pd.DataFrame) -> str:
    """Tables of all pairs, before and after, each measure beside its floor, and medians."""
    parts = []
    for name in _MEASURES:
        columns = {"before": (before, name), "after": (after, name)}
        for label, column in _BESIDE.get(name, {}).items():
            columns |= {f"{label} before": (before, column), f"{label} after": (after, column)}
        table = {label: frame[f"{column}_hr_px"] for label, (frame, column) in columns.items()}
        rows: list[Row] = [
            {"scene": scene, **{label: float(cells.get(scene, float("nan"))) for label, cells in table.items()}}
            for scene in before.index
        ]
        rows.append({"scene": "median", **{label: float(cells.median()) for label, cells in table.items()}})
        better = sum(row["after"] < row["before"] for row in rows[:-1])
        parts.append(f"{name}, px: smaller after realigning in {better} of {len(rows) - 1} pairs\n\n{text_table(rows)}")
    parts.append("verdicts and what align found\n\n" + text_table(outcomes(before, after, manifest), digits=4))
    return "\n\n".join(parts)


def outcomes(before: pd.DataFrame, after: pd.DataFrame, manifest: pd.DataFrame) -> list[Row]:
    """Verdicts before and after, the lens term and the predicted error of each pair."""
    return [
        {
            "scene": scene,
            "before": before["verdict"][scene],
            "after": after["verdict"].get(scene, manifest["status"][scene]),
            "k1_hr": float(manifest["k1_hr"][scene]),
            "sigma_hr_px": float(manifest["sigma_hr_px"][scene]),
            "zncc before": float(before["zncc"][scene]),
            "zncc after": float(after["zncc"].get(scene, float("nan"))),
        }
        for scene in before.index
    ]


@program(__doc__)
@with_out
@click.option("--cache", type=PATH, help="Keep the realigned pairs here, or go on with those there.")
@click.option("--scenes", type=click.IntRange(1), help="Only the first so many pairs.")
def main(out: Path | None, cache: Path | None, scenes: int | None) -> None:
    """Measure, realign, measure again, print."""
    source = Path(os.environ.get("D2CREALSR_CITY100", "../shared/data/city100"))
    if not source.is_dir():
        raise LayoutError("City100 is not there; set D2CREALSR_CITY100 to its folder of 001H.PNG, 001L.PNG, …")
    with tempfile.TemporaryDirectory() as scratch:
        captures = first_pairs(source, scenes, Path(scratch))
        before = measured(captures)
        manifest, after = realigned(captures, cache or Path(scratch) / "pairs")
    about = (__doc__ or "").split("\n\n")[-1].strip()
    print_and_store(report(before, after, manifest), out, heading=f"City100, published and realigned\n\n{about}")


if __name__ == "__main__":
    main()
