"""Results as tables: a row for each method, and the differences between all of them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from d2c.comparison.intervals import difference
from d2c.comparison.published import column_of, published

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2c.comparison.cells import Cell, Trained
    from d2c.comparison.compare import Comparison
    from d2c.comparison.test_sets import TestSet

__all__ = ["MEASURES", "differences", "entries", "summary"]

MEASURES = {"psnr_db": 3, "ssim": 4}
"""What is compared, with the decimals to print."""


_ALSO = {
    ("d2csr", "fused"): ("mean", ", plain mean of the branches"),
    ("srflow", "sr"): ("sample_0.9", ", drawn at temperature 0.9"),
}
"""For a method and its result: another output that has a line of its own, and what is added to the method's label."""


class Entry:
    """A line of the tables: a method, or another output of it, which costs no training of its own.

    ``values`` are the rows of its output.
    """

    def __init__(
        self, cells: Sequence[tuple[Cell, Trained]], output: str, rows: pd.DataFrame, suffix: str = ""
    ) -> None:
        self.cell, self.trained = cells[0]
        self.costs = [trained for _, trained in cells]
        self.method = self.cell.method
        self.name = self.method.name + (f":{output}" if suffix else "")
        self.label = self.method.label + suffix
        self.output = output
        self.values = rows[(rows["method"] == self.method.name) & (rows["output"] == output)]
        self.published = "" if suffix else self.method.published

    def grid(self, test: str, protocol: str, measure: str) -> Any:
        """A measure as ``(seeds, images)``."""
        chosen = self.values[(self.values["test"] == test) & (self.values["protocol"] == protocol)]
        return chosen.pivot(index="seed", columns="image", values=measure).to_numpy()


def entries(found: Comparison) -> list[Entry]:
    """The lines of the tables, in the order of the methods; another output of a method may follow its result."""
    lines = []
    by_method: dict[str, list[tuple[Cell, Trained]]] = {}
    for cell, trained in found.cells:
        by_method.setdefault(cell.method.name, []).append((cell, trained))
    for cells in by_method.values():
        main = cells[0][0].main
        lines.append(Entry(cells, main, found.rows))
        also, suffix = _ALSO.get((cells[0][0].method.name, main), ("", ""))
        if also:
            lines.append(Entry(cells, also, found.rows, suffix))
    return lines


def summary(lines: Sequence[Entry], tests: Sequence[TestSet], protocols: Sequence[str]) -> pd.DataFrame:
    """One row for each test set, protocol and line: means, the range over seeds, costs, and the paper's figure."""
    rows = []
    for tested, protocol, line in itertools.product(tests, protocols, lines):
        row: dict[str, Any] = {
            "test": tested.name,
            "layout": tested.layout,
            "scale": tested.scale,
            "protocol": protocol,
        }
        row |= {"method": line.name, "label": line.label, "images": len(tested.pairs)}
        row["seeds"] = len(line.costs) if line.method.seeded else 0
        for measure in MEASURES:
            over_seeds = line.grid(tested.name, protocol, measure).mean(axis=1)
            row[measure] = over_seeds.mean()
            row |= {f"{measure}_least": over_seeds.min(), f"{measure}_most": over_seeds.max()}
        row |= {"parameters": line.trained.parameters, "multiply_adds_per_lr_pixel": line.trained.multiply_adds}
        row |= {"steps": line.trained.steps, "crops": line.trained.crops}
        row["seconds"] = np.mean([cost.seconds for cost in line.costs])
        column = column_of(tested.layout, tested.scale)
        paper = published(line.published, column) if column else None
        row["paper_column"] = column
        row |= {"paper_psnr_db": paper.psnr_db if paper else np.nan, "paper_ssim": paper.ssim if paper else np.nan}
        rows.append(row)
    return pd.DataFrame(rows)


def differences(lines: Sequence[Entry], tests: Sequence[TestSet], protocols: Sequence[str]) -> pd.DataFrame:
    """Each line less each other one, by test set, protocol and measure, with the bounds of the difference."""
    rows = []
    for tested, protocol, measure in itertools.product(tests, protocols, MEASURES):
        grids = {line.name: line.grid(tested.name, protocol, measure) for line in lines}
        for a, b in itertools.permutations(lines, 2):
            found = difference(
                grids[a.name],
                grids[b.name],
                seeded=(a.method.seeded, b.method.seeded),
                paired=a.method.name == b.method.name,
            )
            row: dict[str, Any] = {
                "test": tested.name,
                "protocol": protocol,
                "measure": measure,
                "method": a.name,
                "less": b.name,
            }
            row |= {"difference": found.mean, "low": found.low, "high": found.high, "bounds": found.kind}
            rows.append({**row, "resolved": found.resolved})
    columns = ["test", "protocol", "measure", "method", "less", "difference", "low", "high", "bounds", "resolved"]
    return pd.DataFrame(rows, columns=columns)
