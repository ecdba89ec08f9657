"""The command line that the programs in ``pipelines`` share: where pairs are, what to train and how long."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from d2c.comparison.budget import Budget
from d2c.comparison.cells import Work
from d2c.comparison.test_sets import open_test_set
from d2c.data.layouts import find_pairs
from d2c.device import pick_device
from d2c.errors import BatchError, ConfigError
from d2c.precision import PRECISIONS, available_precision
from d2crealsr.store import D2CRealSRError
from d2crealsr.ui.interrupts import Interrupted, Interrupts
from d2crealsr.ui.progress import ConsoleReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d2c.comparison.compare import Comparison
    from d2c.comparison.methods import Method
    from d2c.comparison.test_sets import TestSet
    from d2c.settings.config import Precision

__all__ = ["PATH", "Front", "begin", "check_trained", "conclude", "program", "run_program", "with_front"]

PATH = click.Path(path_type=Path)


@dataclass(frozen=True, kw_only=True)
class Front:
    """What the shared options say."""

    data: Path
    tests: tuple[Path, ...]
    more: tuple[Path, ...]
    out: Path
    scale: int | None
    budget: str | None
    seeds: int
    only: tuple[str, ...]
    device: str
    precision: Precision | None


def with_front(
    sizes: Sequence[str], default_budget: str | None = None, *, seeds: int = 3
) -> Callable[[Callable[..., Any]], Any]:
    """Add the shared options, which arrive as ``front`` and ``size``."""
    budget = "steps=N, crops=N or seconds=N of each training, all stages together."
    precision = "Arithmetic of training and measuring.  [default: that of the settings, and fp32 for measuring]"
    added = [
        click.argument("more", nargs=-1, type=PATH),
        click.option("--train", "--data", "data", type=PATH, required=True, help="Pairs to train on, of any layout."),
        click.option(
            "--test", "tests", type=PATH, multiple=True, help="Pairs to measure on: --test A B C.  [default: --train]"
        ),
        click.option("--out", type=PATH, required=True, help="Holds the cells, and the results afterwards."),
        click.option("--scale", type=int, help="HR pixels per LR pixel, where the pairs do not say one scale."),
        click.option("--size", "--preset", "size", type=click.Choice(list(sizes)), default="paper", show_default=True),
        click.option("--budget", default=default_budget, show_default=True, help=budget),
        click.option("--seeds", type=click.IntRange(min=1), default=seeds, show_default=True, help="Seeds 0, 1, …"),
        click.option("--only", multiple=True, help="Name of a method; repeat it for several.  [default: all]"),
        click.option("--device", default="auto", show_default=True),
        click.option("--precision", type=click.Choice(PRECISIONS), help=precision),
    ]

    def wrap(function: Callable[..., Any]) -> Any:
        def called(**values: Any) -> Any:
            names = Front.__dataclass_fields__
            front = Front(**{name: values.pop(name) for name in names})
            return function(front=front, **values)

        called.__doc__, called.__name__ = function.__doc__, function.__name__
        called.__dict__.update(function.__dict__)
        found: Any = called
        for add in reversed(added):
            found = add(found)
        return found

    return wrap


def program(doc: str | None) -> Callable[[Callable[..., Any]], click.Command]:
    """A click command whose help is the docstring of its module."""
    return click.command(help=(doc or "").replace("\n\n    ", "\n\n\b\n    "))


def begin(front: Front, interrupts: Interrupts) -> tuple[Work, list[TestSet]]:
    """Where the cells are, and what they are measured on; wrong pairs are refused before anything is trained."""
    if front.more and not front.tests:
        raise ConfigError(f"got {front.more[0]}, expected an option; name test sets with --test A B C")
    reporter = ConsoleReporter()
    budget = Budget.parse(front.budget) if front.budget else None
    available_precision(front.precision or "fp32", pick_device(front.device))  # refused before anything is trained
    scale = front.scale or find_pairs(front.data)[0].scale
    work = Work(
        data=front.data,
        out=front.out,
        scale=scale,
        budget=budget,
        device=front.device,
        precision=front.precision,
        reporter=reporter,
        interrupts=interrupts,
    )
    named = (*front.tests, *front.more) or (front.data,)
    tests = [open_test_set(path, scale, front.data, reporter) for path in named]
    if len({tested.name for tested in tests}) < len(tests):
        names = [tested.name for tested in tests]
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"test: two sets are called {twice}; rename a folder, or leave one out")
    return work, tests


def check_trained(found: Comparison, beside: Sequence[Method] = ()) -> None:
    """Raise :class:`BatchError` with the reasons if no cell was trained, except those of the methods ``beside``."""
    if all(cell.method in beside for cell, _ in found.cells):
        raise BatchError(f"nothing could be trained: {'; '.join(found.failures)}")


def conclude(found: Comparison) -> None:
    """Raise :class:`BatchError` if methods or cells failed."""
    if found.failures:
        raise BatchError(f"{len(found.failures)} failed, the others are done: {found.failures[0]}")


def run_program(main: click.Command, name: str) -> None:
    """Run a program as a script: errors become one line, and an interruption says how to go on."""
    try:
        main(standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except D2CRealSRError as error:
        click.echo(f"{name}: {error}", err=True)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort) as error:
        click.echo(f"{name}: interrupted; the same command goes on from what is done", err=True)
        sys.exit(error.exit_code if isinstance(error, Interrupted) else 130)
