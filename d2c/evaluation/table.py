"""The table of results that ``d2c eval --csv`` writes."""

from __future__ import annotations

import contextlib
import csv
import io
from typing import TYPE_CHECKING

from d2c.evaluation.evaluate import Row
from d2c.evaluation.perceptual import DistanceRow
from d2crealsr.store import UsageError, files, outputs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from d2c.settings.config import Precision

__all__ = ["check_csv", "write_csv"]


def check_csv(path: Path, inputs: Sequence[Path]) -> None:
    """Raise an error if :func:`write_csv` cannot write there or would replace a file that is not such a table."""
    what = "a table of d2c eval"
    for more in ((), ("precision",), ("distance", "precision")):  # an earlier table may have further columns
        with contextlib.suppress(UsageError):
            outputs.check_tables([(path, what, (*Row._fields, *more))], inputs)
            return
    outputs.check_tables([(path, what, (*Row._fields, "distance"))], inputs)


def write_csv(path: Path, rows: Iterable[Row | DistanceRow], precision: Precision = "fp32") -> None:
    """Write rows as ``image,method,protocol,psnr_db,ssim``, completely or not at all.

    If there are perceptual distances, they are in a further column ``distance``, and cells without a value are empty.
    A precision other than fp32 is in a last column ``precision``.
    """
    rows, text = list(rows), io.StringIO()
    extra = ["distance"] if any(isinstance(row, DistanceRow) for row in rows) else []
    computed = {} if precision == "fp32" else {"precision": precision}
    writer = csv.DictWriter(text, [*Row._fields, *extra, *computed], restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        if isinstance(row, DistanceRow):
            writer.writerow(row._asdict() | computed | {"distance": f"{row.distance:.6f}"})
        else:
            writer.writerow(row._asdict() | computed | {"psnr_db": f"{row.psnr_db:.6f}", "ssim": f"{row.ssim:.8f}"})
    files.write_text(path, text.getvalue())
