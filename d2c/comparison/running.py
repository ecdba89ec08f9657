"""Run a comparison under common rules, from the options of its program to its results."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from d2c.comparison.compare import compare
from d2c.comparison.front import begin, check_trained, conclude
from d2c.comparison.methods import Rules
from d2c.comparison.rates import with_best_rates
from d2c.comparison.results import write_results
from d2c.errors import ConfigError
from d2crealsr.ui.interrupts import Interrupts
from d2crealsr.ui.options import is_given

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d2c.comparison.compare import Comparison
    from d2c.comparison.front import Front
    from d2c.comparison.methods import Method
    from d2c.comparison.test_sets import TestSet

__all__ = ["run_comparison", "with_rules"]

_RULES = Rules()
_OF_NATIVE = {"loss": "loss", "lr": "rates", "batch": "batch", "patch": "patch"}
"""Options that ``--native`` decides for each network, with the names of their values."""


def with_rules(function: Callable[..., Any]) -> Any:
    """Add the options of :class:`Rules`, which arrive as ``rules`` and, for the rates to try, ``rates``."""
    added = [
        click.option("--native", is_flag=True, help="Loss, rate, schedule, batch and patch of each publication."),
        click.option("--loss", type=click.Choice(["l1", "l2", "charbonnier"]), default=_RULES.loss, show_default=True),
        click.option(
            "--lr", "rates", type=float, multiple=True, default=[_RULES.lr], show_default=True, help="Repeat to try."
        ),
        click.option("--batch", type=click.IntRange(min=1), default=_RULES.batch, show_default=True),
        click.option(
            "--patch", type=click.IntRange(min=1), default=_RULES.patch, show_default=True, help="LR px; CDC: n · 16."
        ),
    ]

    def called(**values: Any) -> Any:
        if values["native"] and (beside := [option for option, name in _OF_NATIVE.items() if is_given(name)]):
            raise ConfigError(
                f"native: takes loss, rate, batch and patch of each publication; leave out --{beside[0]} or --native"
            )
        given = {name: values.pop(name) for name in ("native", "loss", "batch", "patch")}
        return function(rules=Rules(lr=values["rates"][0], **given), **values)

    called.__dict__.update(getattr(function, "__dict__", {}))
    found: Any = called
    for add in reversed(added):
        found = add(found)
    return found


def run_comparison(
    front: Front,
    rules: Rules,
    rates: Sequence[float],
    methods_at: Callable[[int], list[Method]],
    results: tuple[str, str, str],
    answers: Callable[[Comparison, Sequence[TestSet]], Sequence[str]] = lambda *_: (),
) -> None:
    """Train and measure what is left, write the results and print the page.

    Parameters
    ----------
    methods_at : callable
        The methods at a scale.
    results : (str, str, str)
        Name of the results' files, their title, and the size of the methods in words.
    answers : callable
        Sentences on the results, for the head of the page.
    """
    name, title, size = results
    with Interrupts() as interrupts:
        work, tests = begin(front, interrupts)
        methods = methods_at(work.scale)
        methods, failures = with_best_rates(work, methods, () if rules.native else rates)
        found = compare(work, methods, range(front.seeds), tests)
    found = dataclasses.replace(found, failures=[*failures, *found.failures])
    check_trained(found)
    how = "each network by the loss, rate, schedule, batch and patch of its publication"
    if not rules.native:
        tried = " or ".join(f"{rate:g}" for rate in rates)
        how = f"loss {rules.loss}, rate {tried}, warm-up over 2 % and half a cosine, {rules.batch} patches of "
        how += f"{rules.patch} LR px, for all"
    how += f"; {front.precision}" if front.precision else ""
    about = [
        f"trained on {front.data}, {size}, budget {front.budget or 'the length in the settings of each network'}",
        f"trained by: {how}; last weights, nothing chosen on test pairs",
        *answers(found, tests),
    ]
    click.echo(write_results(front.out, name, title, about, found, tests))
    conclude(found)
