"""The learning rate of each method: as many trials for all of them, judged on the validation pairs."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from d2c.comparison.cells import Cell
from d2c.errors import ConfigError, MemoryNeedError, MemoryRanOutError, TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d2c.comparison.cells import Work
    from d2c.comparison.methods import Method

__all__ = ["at_rate", "best_rate", "trials_of", "with_best_rates"]


def with_best_rates(
    work: Work, methods: Sequence[Method], rates: Sequence[float], seed: int = 0
) -> tuple[list[Method], list[str]]:
    """The methods with the rate, of those given, that has the best PSNR on the validation pairs with one seed.

    With one rate all have it; without any, each keeps its own.
    A trial costs a whole training. That of the best rate is kept as the cell of its seed. Nothing is measured on test
    pairs to choose.

    Returns
    -------
    methods : list of Method
        All of them, or with several rates all but those that diverge at every rate or do not fit into memory.
    failures : list of str
        A sentence for each of these.

    Raises
    ------
    ConfigError
        When there are no validation pairs to judge by.
    """
    if not rates:
        return list(methods), []
    if len(rates) == 1:
        return [at_rate(method, rates[0], alone=True) for method in methods], []
    found, failures = [], []
    for method in methods:
        try:
            found.append(_best(work, method, rates, seed) if method.network else method)
        except (TrainingError, MemoryNeedError, MemoryRanOutError) as error:
            failures.append(f"{method.name}: {error}")
            work.reporter.note(failures[-1])
    return found, failures


def trials_of(method: Method, rates: Sequence[float]) -> list[Method]:
    """The method with each of some rates, as it is tried; without rates with its own."""
    if not rates or not method.network:
        return [method]
    return [at_rate(method, rate, alone=len(rates) == 1) for rate in rates]


def best_rate(
    label: str,
    rates: Sequence[float],
    score: Callable[[float], float | None],
    note: Callable[[str], None],
    remedy: str = "add a lower --lr",
) -> float:
    """The rate with the best PSNR on the validation pairs, which ``score`` says; None if the training diverges.

    Raises
    ------
    TrainingError
        When all diverge. ``remedy`` is the end of its message.
    """
    scores = {rate: psnr for rate in rates if (psnr := score(rate)) is not None}
    if not scores:
        raise TrainingError(f"diverges at every rate of {', '.join(map(str, rates))}; {remedy}")
    best = max(scores, key=scores.__getitem__)
    said = ", ".join(f"{rate:g}: {psnr:.3f} dB" for rate, psnr in scores.items())
    note(f"{label}: rate {best:g} of {said} (validation)")
    return best


def _best(work: Work, method: Method, rates: Sequence[float], seed: int) -> Method:
    def score(rate: float) -> float | None:
        cell = Cell(work, at_rate(method, rate), seed)
        try:
            cell.trained()
        except TrainingError as error:
            work.reporter.note(f"{cell.folder.name}: {error}")
            return None
        if not (curve := cell.curve()):
            raise ConfigError("lr: several rates need validation pairs to choose by; give one --lr")
        return curve[-1][1]

    return at_rate(method, best_rate(method.label, rates, score, work.reporter.note))


def at_rate(method: Method, rate: float, *, alone: bool = False) -> Method:
    """The method with another rate; one of several has it in its folder's name."""
    if not method.network:
        return method
    train = dataclasses.replace(method.train, lr=rate)
    return dataclasses.replace(method, train=train, trial="" if alone else f"lr{rate:g}")
