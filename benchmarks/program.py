"""The common parts of the programs: help, options, errors in one line, and results that are printed and stored."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.result_tables import provenance, write_csv
from d2crealsr.errors import D2CRealSRError
from d2crealsr.simulate import SIZES
from d2crealsr.store.files import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.result_tables import Row
    from d2crealsr.simulate.settings import SizeName

__all__ = [
    "PATH",
    "print_and_store",
    "program",
    "with_cache",
    "with_jobs",
    "with_out",
    "with_seeds",
    "with_size",
    "with_small",
]

PATH = click.Path(path_type=Path)

with_out = click.option(
    "--out",
    type=PATH,
    help="Store the result in OUT.txt (or OUT, if it ends in .txt or .md), rows in CSV files beside it.",
)
"""Where :func:`print_and_store` stores the result."""

with_cache = click.option(
    "--cache", type=PATH, help="Keep the simulated captures here (25 MB a full scene, 3 MB a half)."
)

with_jobs = click.option(
    "--jobs", type=click.IntRange(min=0), default=1, show_default=True, help="Scenes at a time; 0: one a core."
)


class _Program(click.Command):
    """A command whose expected errors are one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except D2CRealSRError as error:
            failure = click.ClickException(str(error))
            failure.exit_code = error.exit_code
            raise failure from error


def program(about: str | None) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a program whose help is the description of its module; indented lines are kept as they are."""
    return click.command(cls=_Program, help=(about or "").replace("\n\n    ", "\n\n\b\n    "))


def with_seeds(default: str) -> Callable[[Any], Any]:
    """The option for the scenes."""
    return click.option("--seeds", default=default, show_default=True, help="A..B, B included; a seed is a scene.")


def with_size(default: SizeName) -> Callable[[Any], Any]:
    """The option for the size of the captures."""
    return click.option(
        "--size", type=click.Choice(list(SIZES)), default=default, show_default=True, help="Capture size."
    )


def with_small(about: str, *, exposed: bool = False, **defaults: Any) -> Callable[[Any], Any]:
    """The option ``--small``: a quick look whether the program works, by other defaults of its options.

    ``exposed`` hands the flag itself to the program too.
    """

    def change(context: click.Context, _: click.Parameter, chosen: bool) -> bool:
        if chosen:
            context.default_map = defaults
        return chosen

    told = f"{about}: to see that it works."
    return click.option("--small", is_flag=True, is_eager=True, callback=change, expose_value=exposed, help=told)


def print_and_store(
    text: str, out: Path | None, tables: Mapping[str, Sequence[Row]] | None = None, *, heading: str = ""
) -> None:
    """Print a result with its provenance, and store it with its tables where that was asked for.

    Parameters
    ----------
    out : Path, optional
        A file ``.txt`` or ``.md``, or such a file without its ending.
    tables : mapping, optional
        Rows by what is added to the file's stem: ``""`` or, as an example, ``"-scenes"``.
    heading : str
        What stands above the text in a Markdown file.
    """
    text = f"{text}\n\n{provenance(sys.argv)}\n"
    click.echo(text, nl=False)
    if out is None:
        return
    path = out if out.suffix in (".txt", ".md") else out.with_name(f"{out.name}.txt")
    write_text(path, f"# {heading}\n\n```text\n{text}```\n" if path.suffix == ".md" else text)
    for added, rows in (tables or {}).items():
        write_csv(path.with_name(f"{path.stem}{added}.csv"), rows)
