"""What the programs share that compare images with those of spandrel: options, its environment, and the exit code."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch

from benchmarks.peers.tools import lacks_environment
from benchmarks.program import print_and_store, with_out, with_small
from benchmarks.result_tables import text_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.result_tables import Row

__all__ = ["ENVIRONMENT", "ROUNDING", "beside_spandrel"]

ENVIRONMENT = "spandrel"
ROUNDING = 1e-5
"""Largest difference, as a share of the range of the image, that counts as equal."""


def beside_spandrel(said: str) -> Callable[[Callable[[int, int], list[Row]]], Callable[..., Any]]:
    """Give a function of width and height, which compares pictures of that size, the options of a program.

    Its rows have a column ``equal``, which is yes or no. The exit code is 1 if one is no.

    Parameters
    ----------
    said : str
        What stands above the table.
    """

    def wrapped(compare: Callable[[int, int], list[Row]]) -> Callable[..., Any]:
        @click.option("--width", type=click.IntRange(8), default=24, show_default=True, help="Of the picture, px.")
        @click.option("--height", type=click.IntRange(8), default=20, show_default=True, help="Of the picture, px.")
        @with_small("A picture of 9x8 pixels", width=9, height=8)
        @with_out
        @functools.wraps(compare)
        def run(width: int, height: int, out: Path | None) -> None:
            torch.set_num_threads(1)
            if lacking := lacks_environment(ENVIRONMENT)():
                click.echo(f"spandrel: not installed: {lacking}")
                return
            rows = compare(width, height)
            print_and_store(f"{said}\n\n{text_table(rows)}", out, {"": rows})
            if any(row["equal"] == "no" for row in rows):
                sys.exit(1)

        return run

    return wrapped
