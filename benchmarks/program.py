"""The common parts of the programs: help, options, errors in one line, and results that are printed and stored."""

from __future__ import annotations

import dataclasses
import errno
import functools
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from benchmarks.result_tables import provenance, write_csv
from benchmarks.scenes import BenchScene, side_by_side
from benchmarks.seeds import parse_seeds, purpose_of
from d2crealsr.errors import D2CRealSRError, UsageError
from d2crealsr.simulate import SIZES
from d2crealsr.store.files import write_text
from d2crealsr.ui.versions import how_to_install

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.result_tables import Row
    from d2crealsr.simulate.settings import SizeName

__all__ = [
    "FILE",
    "FOLDER",
    "PATH",
    "Run",
    "needs",
    "numbers_in",
    "over_scenes",
    "print_and_store",
    "program",
    "with_cache",
    "with_jobs",
    "with_out",
    "with_seeds",
    "with_size",
    "with_small",
]

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")

PATH = click.Path(path_type=Path)
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
"""A folder that is read."""
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
"""A file that is read."""


def _stored_in(path: Path) -> Path:
    """The file in which the text of a result is stored, for what ``--out`` says."""
    return path if path.suffix in (".txt", ".md") else path.with_name(f"{path.name}.txt")


def _checked_out(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    """Refuse before the work what nothing could be stored in after it."""
    if path is None:
        return None
    if path.name in ("", ".."):
        raise click.BadParameter(f"{path} names no file; expected a file, such as {path / 'table.txt'}")
    file = _stored_in(path)
    if file.is_dir():
        raise click.BadParameter(f"{file} is a folder; expected a file, such as {file / 'table.txt'}")
    above = next(folder for folder in file.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise click.BadParameter(
            f"{file} cannot be stored, since {above} is no folder or is read-only; give another file"
        )
    return path


with_out = click.option(
    "--out",
    type=PATH,
    callback=_checked_out,
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
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever reads the output has gone, which click knows
                raise
            raise click.ClickException(_said_of(error)) from error


def _said_of(error: OSError) -> str:
    """An error of the system in one line: the paths, what it says, and what to do."""
    paths = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return f"{', '.join(paths) or 'the system'}: {error.strerror or error}; check the paths in the command"


def program(about: str | None) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a program whose help is the description of its module; indented lines are kept as they are."""
    return click.command(cls=_Program, help=(about or "").replace("\n\n    ", "\n\n\b\n    "))


def needs(package: str, extra: str) -> None:
    """Refuse to begin work for which a package is lacking.

    Raises
    ------
    UsageError
        When it is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise UsageError(f"{package} is not installed; run: {how_to_install(extra)}")


def numbers_in(text: str, option: str) -> list[int]:
    """The numbers in a text with commas between them.

    Raises
    ------
    UsageError
        When a word is no number above 0.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if wrong := [word for word in words if not word.isdecimal() or not int(word)]:
        raise UsageError(f"{option}: got {wrong[0]!r}, expected numbers from 1 on with commas between; change {option}")
    return [int(word) for word in words]


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
    path = _stored_in(out)
    write_text(path, f"# {heading}\n\n```text\n{text}```\n" if path.suffix == ".md" else text)
    for added, rows in (tables or {}).items():
        write_csv(path.with_name(f"{path.stem}{added}.csv"), rows)


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a program over simulated scenes was asked for by its options.

    Attributes
    ----------
    seeds : str
        ``A..B``, B included.
    """

    seeds: str
    size: SizeName = "mini"
    cache: Path | None = None
    jobs: int = 1
    out: Path | None = None

    @property
    def wanted(self) -> range:
        """The seeds."""
        return parse_seeds(self.seeds)

    @property
    def of_seeds(self) -> str:
        """The seeds and what they are for, in words."""
        return f"{purpose_of(self.wanted)} seeds {self.seeds}"

    @property
    def about(self) -> str:
        """The size of the captures and the seeds, in words."""
        return f"{self.size} size, {self.of_seeds}"

    def scenes(self, **changes: Any) -> list[BenchScene]:
        """A scene for each seed, of this size."""
        return [BenchScene(seed=seed, size=self.size, **changes) for seed in self.wanted]

    def each(
        self, function: Callable[[_Task], _Result], tasks: Sequence[_Task], told: Callable[[_Result], str]
    ) -> list[_Result]:
        """Results in the order of the tasks; a line about each on standard error as it comes."""
        return side_by_side(function, tasks, jobs=self.jobs, told=told)

    def store(self, text: str, rows: Sequence[Row] | None = None) -> None:
        """Print a result, and store it with the rows of its scenes where that was asked for."""
        print_and_store(text, self.out, None if rows is None else {"-scenes": rows})


def over_scenes(*options: Callable[[Any], Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a function its :class:`Run`, from options such as `with_seeds` and `with_jobs`, and from ``--out``."""

    def decorated(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)  # which hands on the function's own options
        def main(**given: Any) -> None:
            run = Run(**{f.name: given.pop(f.name) for f in dataclasses.fields(Run) if f.name in given})
            purpose_of(run.wanted)  # wrong seeds are refused before the work
            function(run, **given)

        wrapped: Callable[..., None] = main
        for option in (with_out, *reversed(options)):
            wrapped = option(wrapped)
        return wrapped

    return decorated
