"""The figures that the paper prints, and what is odd about them: Table 1, Table 2, Table 3."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["NOTES", "TABLE_2", "TABLE_3", "Figure", "column_of", "published"]


class Figure(NamedTuple):
    """PSNR in dB and SSIM as printed; nan where the table has a dash. ``notes`` are keys of :data:`NOTES`."""

    psnr_db: float
    ssim: float
    notes: tuple[str, ...] = ()


_NAN = float("nan")
COLUMNS = ("RealSR x2", "RealSR x3", "RealSR x4", "DRealSR x2", "DRealSR x3", "DRealSR x4", "D2CRealSR x8")
"""Columns of Table 1. All networks of the DRealSR columns are said to be trained on RealSR."""

_TABLE_1 = """
Bicubic  | 31.67 .887 | 28.61 .810  | 27.24 .764 | 32.67 .877 | 31.50 .835 | 30.56 .820 | 27.74 .822
SRResNet | 33.17 .918 | 30.65 .862  | 28.99 .825 | 32.85 .890 | 31.25 .841 | 29.98 .822 | 30.01 .864
EDSR     | 33.88 .920 | 30.86 .867  | 29.09 .827 | 32.86 .891 | 31.20 .843 | 30.21 .817 | 30.23 .868
RCAN     | 33.83 .923 | 30.90 .864  | 29.21 .824 | 32.93 .889 | 31.76 .847 | 30.37 .825 | 30.26 .868
ESRGAN   | 33.80 .922 | 30.72 .866  | 29.15 .826 | 32.70 .889 | 31.25 .842 | 30.18 .821 | 30.06 .865
SR-Flow  | - -        | - -         | 24.20 .71  | - -        | - -        | 24.97 .73  | 23.11 .600
LP-KPN   | 33.49 .917 | 30.60 .865  | 29.05 .834 | 32.77 -    | 31.79 -    | 30.75 -    | - -
CDC      | 33.96 .925 | 30.99 .869  | 29.24 .827 | 32.80 .888 | 31.65 .847 | 30.41 .827 | 30.02 .841
Ours     | 34.40 .926 | 31.334 .871 | 29.72 .831 | 33.42 .892 | 31.80 .847 | 30.80 .825 | 30.55 .871
"""

NOTES = {
    "collage": "The paper's Table 1 is a collage of protocols: most rows look like those of CDC's publication (PSNR of "
    "Y, weights in RGB order, not clipped; SSIM of RGB). The paper's own row is PSNR and SSIM of a Y of colours in the "
    "order BGR, which is about 0.1 dB more. It states neither seeds nor spread; at x8 there are 15 test images.",
    "lpkpn-v2": "LP-KPN's cells on RealSR equal its authors' table for version 2 of RealSR, without a border, by "
    "MATLAB; the other rows use version 3.",
    "lpkpn-x8": "The paper has no LP-KPN at x8, although its code can be trained there.",
    "bicubic-slip": "Bicubic on DRealSR x2 has an SSIM of .887 in CDC's publication, whose PSNR equals this one: .877 "
    "seems to be a slip.",
    "srflow": "SRFlow is the authors' public model, trained on bicubic reductions and sampled at a temperature of 0.9; "
    "it was not trained on RealSR, and is 3.0 to 5.6 dB below bicubic.",
    "esrgan": "The row called ESRGAN has the numbers of its generator trained by L1, without the adversarial stage. It "
    "is compared with RRDB.",
    "cdc-ssim": "CDC's SSIM at x8, .841, does not fit its PSNR: SRResNet has .864 at the same PSNR.",
    "ours-x3": "31.334 is printed with three decimals; Table 2 has 31.34.",
    "below-bicubic": "On DRealSR x3 and x4, SRResNet, EDSR and ESRGAN are below bicubic, and RCAN and CDC at x4.",
    "elsewhere": "These figures are of the paper's data set, not of the images measured here. They can be compared "
    "with each other only.",
}
"""What a reader should know about cells of the table."""

_CELL_NOTES = {
    ("Bicubic", "DRealSR x2"): ("bicubic-slip",),
    ("CDC", "D2CRealSR x8"): ("cdc-ssim",),
    ("Ours", "RealSR x3"): ("ours-x3",),
    ("LP-KPN", "D2CRealSR x8"): ("lpkpn-x8",),
}


def published(row: str, column: str) -> Figure | None:
    """A cell of Table 1; None if there is no such row."""
    if row not in _ROWS:
        return None
    psnr, ssim = _ROWS[row][COLUMNS.index(column)]
    notes: tuple[str, ...] = _CELL_NOTES.get((row, column), ())
    if row == "LP-KPN" and column.startswith("RealSR"):
        notes += ("lpkpn-v2",)
    if row == "SR-Flow":
        notes += ("srflow",)
    if row == "ESRGAN":
        notes += ("esrgan",)
    if (
        column in ("DRealSR x3", "DRealSR x4")
        and row not in ("Bicubic", "LP-KPN", "Ours")
        and psnr < _ROWS["Bicubic"][COLUMNS.index(column)][0]
    ):
        notes += ("below-bicubic",)
    return Figure(psnr, ssim, notes)


def column_of(layout: str, scale: int) -> str:
    """The column of Table 1 that is nearest to a test set of this layout and scale; empty if there is none.

    Examples
    --------
    >>> column_of("DRealSR", 4), column_of("pairs", 2), column_of("list", 8), column_of("pairs", 5)
    ('DRealSR x4', 'RealSR x2', 'D2CRealSR x8', '')
    """
    data = "D2CRealSR" if scale == 8 else "DRealSR" if layout == "DRealSR" else "RealSR"
    name = f"{data} x{scale}"
    return name if name in COLUMNS else ""


def _rows() -> dict[str, list[tuple[float, float]]]:
    rows = {}
    for line in _TABLE_1.strip().splitlines():
        name, *cells = (part.strip() for part in line.split("|"))
        pairs = (cell.split() for cell in cells)
        rows[name] = [tuple(_NAN if number == "-" else float(number) for number in pair) for pair in pairs]
    return rows  # type: ignore[return-value]


_ROWS = _rows()

TABLE_2 = {
    "branch 1": (34.24, 31.20, 29.55),
    "branch 2": (34.28, 31.17, 29.56),
    "branch 3": (34.27, 31.21, 29.54),
    "branch 4": (34.26, 31.16, 29.57),
    "no-triplet": (34.23, 31.28, 29.66),
    "no-deep-residual": (34.28, 31.28, 29.68),
    "full": (34.40, 31.34, 29.72),
}
"""PSNR of Table 2 on RealSR at x2, x3, x4, by our names of the rows."""

TABLE_3 = {
    **{f"width-{k}": psnr for k, psnr in enumerate((29.41, 29.54, 29.56, 29.54), start=1)},
    **{f"depth-{k}": psnr for k, psnr in enumerate((29.30, 29.54, 29.63, 29.64), start=1)},
}
"""PSNR of Table 3 (RealSR x4), by our names of the rows."""
