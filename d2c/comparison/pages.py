"""A comparison as a page of Markdown, with the paper's figures beside it and footnotes on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from d2c.comparison.intervals import Difference
from d2c.comparison.published import NOTES, published

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2c.comparison.tables import Entry

__all__ = ["METHODS_OF_BOUNDS", "markdown_table", "page", "reference_of", "smoke_warning"]

_PAPER_CROPS = 2_200_000
"""Crops of the paper's schedule: 22,000 epochs of one patch of each of 100 pairs."""
_SMOKE_SHARE = 0.01

METHODS_OF_BOUNDS = (
    "Differences are those of the means over images and seeds. *Interval*: 95 % t interval over images and seeds (the "
    "variance of the images' differences over the number of images, plus for each method the variance of its seeds' "
    "means over the number of seeds; degrees of freedom by Welch and Satterthwaite), not corrected for the number of "
    "comparisons. *Range*: with fewer than three seeds or one image, the least and the largest difference of their "
    "means, which is no interval and resolves nothing. Methods without seeds have none to vary."
)


def page(
    title: str, about: Sequence[str], lines: Sequence[Entry], table: pd.DataFrame, differences: pd.DataFrame
) -> str:
    """The page: what was done, a table for each test set and protocol, and the footnotes.

    Parameters
    ----------
    about : sequence of str
        Sentences on data, budget and rules, one item each.
    table, differences : DataFrame
        From :func:`d2c.comparison.tables.summary` and ``differences``.
    """
    reference = reference_of(lines)
    parts = [f"# {title}", "\n".join(f"- {text}" for text in [*smoke_warning(int(table["crops"].max())), *about])]
    used: list[str] = []
    for (test, protocol), rows in table.groupby(["test", "protocol"], sort=False):
        chosen = differences[
            (differences["test"] == test)
            & (differences["protocol"] == protocol)
            & (differences["measure"] == "psnr_db")
            & (differences["less"] == reference.name)
        ].set_index("method")
        first = rows.iloc[0]
        parts.append(f"## {test} ×{first['scale']}, {protocol}, {first['images']} images")
        head = ["method", "parameters", "multiply-adds / LR px", "crops", "s", "seeds", "PSNR dB", "SSIM"]
        head.append(f"PSNR less {reference.label}")
        if column := first["paper_column"]:
            own = first["layout"] in ("RealSR", "DRealSR") or (first["layout"] == "list" and first["scale"] == 8)
            of_column = ["collage"] if own else ["collage", "elsewhere"]
            head.append(f"paper, {column} {' '.join(_mark(note, used) for note in of_column)}")
        cells = [_line(row, line, chosen, used) for (_, row), line in zip(rows.iterrows(), lines, strict=True)]
        parts.append(markdown_table(head, cells))
    parts.append(METHODS_OF_BOUNDS)
    parts += [f"{_mark(note, used)} {NOTES[note]}" for note in used]
    return "\n\n".join(parts) + "\n"


def reference_of(lines: Sequence[Entry]) -> Entry:
    """The line that others are compared with: D2C-SR, or the first one where it was not trained."""
    return next((line for line in lines if line.name == "d2csr"), lines[0])


def markdown_table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    rows = [list(head), ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _line(row: pd.Series[Any], line: Entry, differences: pd.DataFrame, used: list[str]) -> list[str]:
    """The cells of a method; the notes on its published figure are added to ``used``."""
    spread = ""
    if row["seeds"] > 1:
        spread = f" ({row['psnr_db_least']:.3f} … {row['psnr_db_most']:.3f})"
    against = "reference"
    if line.name in differences.index:
        found: Any = differences.loc[line.name]
        against = str(Difference(found["difference"], found["low"], found["high"], found["bounds"]))
    paper = ""
    printed = published(line.published, row["paper_column"]) if row["paper_column"] else None
    if printed is not None:
        numbers = " / ".join("–" if value != value else f"{value:g}" for value in printed[:2])
        paper = " ".join([numbers, *(_mark(note, used) for note in printed.notes)])
    seeds = str(row["seeds"]) if row["seeds"] else "–"
    costs = [f"{row[name]:,}" for name in ("parameters", "multiply_adds_per_lr_pixel", "crops")]
    measured = [f"{row['psnr_db']:.3f}{spread}", f"{row['ssim']:.4f}"]
    return [
        line.label,
        *costs,
        f"{row['seconds']:.0f}",
        seeds,
        *measured,
        against,
        *([paper] if row["paper_column"] else []),
    ]


def _mark(note: str, used: list[str]) -> str:
    """The mark of a footnote; ``used`` has the notes in the order of their first marks."""
    if note not in used:
        used.append(note)
    return f"[{used.index(note) + 1}]"


def smoke_warning(crops: int) -> list[str]:
    """What has to be said of a comparison whose networks saw at most so many crops; nothing if they were enough."""
    if not crops or crops >= _SMOKE_SHARE * _PAPER_CROPS:
        return []
    share = 100 * crops / _PAPER_CROPS
    return [
        f"**This is a smoke test and ranks nothing**: no network saw more than {crops:,} crops, {share:.2g} % of the "
        f"paper's {_PAPER_CROPS:,} on 100 pairs. At this age it shows which network learns fastest, and whether all of "
        "it runs."
    ]
