"""What `audit` says of a folder of pairs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from d2crealsr.audit.benchmark_loss import MEASURED_SCALES, loss_db
from d2crealsr.command.console import findings_lines
from d2crealsr.ui.terminal import Styled, styled
from d2crealsr.ui.text import counted

if TYPE_CHECKING:
    import pandas as pd

    from d2crealsr.audit.folder import AuditResult

__all__ = ["audit_summary"]

_LEAST_DB = 0.01

_SHOWN = (
    "scene",
    "scale",
    "verdict",
    "residual_shape",
    "residual_p50_hr_px",
    "residual_p95_hr_px",
    "constant_hr_px",
    "affine_hr_px",
    "smooth_hr_px",
    "smooth_error_hr_px",
    "rest_p50_hr_px",
    "floor_p50_hr_px",
    "floor_p95_hr_px",
    "floor_smooth_hr_px",
    "zncc",
)


def audit_summary(result: AuditResult) -> str:
    """The table of pairs in HR px, the number of pairs by verdict, what registration costs, and the findings."""
    table = result.table[list(_SHOWN)].rename(columns=lambda name: name.removesuffix("_hr_px"))
    lines = [table.to_string(index=False, float_format="{:.3f}".format, na_rep=""), ""]
    lines.append(f"{counted(len(table), 'pair')}, layout {result.layout}; in HR px, medians over the measured pairs:")
    others = ("pairs", "registration_loss_db")
    lines += [f"  {name.removesuffix('_hr_px')}: {v:.4g}" for name, v in result.summary.items() if name not in others]
    lines += _loss(result.table)
    if result.not_measured:
        lines += ["", f"{len(result.not_measured)} of {counted(len(table), 'pair')} not measured, which is no finding:"]
        lines += [f"  {line}" for line in result.not_measured]
    if not result.measured and not result.findings:
        return styled([*lines, "", Styled("nothing was measured", {"fg": "yellow"})])
    return styled([*lines, *findings_lines(result.findings)])


def _loss(table: pd.DataFrame) -> list[str]:
    """What the misalignment of the pairs costs a benchmark, and how well that is known."""
    known = table.dropna(subset=["registration_loss_db"])
    smallest, largest = MEASURED_SCALES
    if known.empty:
        scales = table.loc[table["smooth_hr_px"].notna(), "scale"]
        unknown = not scales.empty and not scales.between(smallest, largest).any()
        return ["", f"PSNR lost to registration: only known from x{smallest} to x{largest}"] if unknown else []
    loss = known["registration_loss_db"]
    limits = [loss_db(math.inf, scale) for scale in known["scale"]]
    amount = f"{'at least' if (loss >= limits).any() else 'about'} {loss.mean():.2f} dB"
    if loss.mean() < _LEAST_DB:
        amount = f"under {_LEAST_DB} dB"
    return [
        "",
        f"PSNR-Y that results lose when they are measured on these pairs, due to registration: {amount} "
        f"(mean of {counted(len(known), 'pair')})",
        f"  by curves of simulated pairs at x{smallest} and x{largest}; single pairs differ by half of it and more;",
        "  training on such pairs loses less if their directions are random (docs/audit.md)",
    ]
