"""All cells of a comparison: trained and measured one after the other, and put together to one table of results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from d2c.comparison.cells import Cell, Trained
from d2c.errors import MemoryNeedError, MemoryRanOutError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from d2c.comparison.cells import Work
    from d2c.comparison.methods import Method
    from d2c.comparison.test_sets import TestSet

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What came out.

    Attributes
    ----------
    cells : sequence of (Cell, Trained)
        Those that were trained.
    rows : DataFrame
        A row for each test set, method, seed, image, output and protocol.
    failures : sequence of str
        A sentence for each cell that could not be trained.
    """

    cells: Sequence[tuple[Cell, Trained]]
    rows: pd.DataFrame
    failures: Sequence[str]


def compare(work: Work, methods: Sequence[Method], seeds: Sequence[int], tests: Sequence[TestSet]) -> Comparison:
    """Train and measure what is left, seed by seed, so that all methods have a result early.

    Training that diverges and networks that do not fit into memory are named, and the others go on.
    """
    finished: list[tuple[Cell, Trained]] = []
    records: list[dict[str, Any]] = []
    failures: list[str] = []
    for cell in cells_of(work, methods, seeds):
        try:
            finished.append((cell, cell.trained()))
        except (TrainingError, MemoryNeedError, MemoryRanOutError) as error:
            failures.append(f"{cell.folder.name}: {error}")
            work.reporter.note(failures[-1])
            continue
        for tested in tests:
            first = {"test": tested.name, "method": cell.method.name, "seed": cell.seed}
            records += [{**first, **row._asdict()} for row in cell.measured(tested)]
    return Comparison(cells=finished, rows=pd.DataFrame(records), failures=failures)


def cells_of(work: Work, methods: Sequence[Method], seeds: Sequence[int]) -> Iterator[Cell]:
    """The cells in the order of their work. A method without seeds has one."""
    for k, seed in enumerate(seeds):
        for method in methods:
            if method.seeded or k == 0:
                yield Cell(work, method, seed if method.seeded else 0)
