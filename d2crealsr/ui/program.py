"""A program with several commands, for both packages: exit codes, errors of one line, interrupts, ``--debug``."""

from __future__ import annotations

import errno
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import rich_click

from d2crealsr.errors import D2CRealSRError, MachineError, is_out_of_memory
from d2crealsr.ui.interrupts import Interrupted, Interrupts
from d2crealsr.ui.streams import tolerant_streams
from d2crealsr.ui.terminal import echo
from d2crealsr.ui.verbosity import common_options
from d2crealsr.ui.warned import warnings_in_one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

__all__ = ["Command", "Program"]

_HELP = {
    "theme": "cargo-slim",
    "text_paragraph_linebreaks": "\n\n",
    "options_table_column_types": ["opt_all_metavar", "help"],
    "options_table_help_sections": ["help", "required", "default"],
    "append_metavars_help_string": "{}",
    "default_string": "\\[default: {}]",
    "padding_helptext_first_line": (0, 0, 1, 0),
}
"""How the help looks: sections without frames, so that it reads the same on a terminal and in a file."""

_INTERRUPTED = 130
"""Exit code of a program that was interrupted: 128 plus the number of SIGINT."""


class _TidyHelp(click.Command):
    """A command whose help has no spaces at the ends of lines."""

    def get_help(self, ctx: click.Context) -> str:
        return "\n".join(line.rstrip() for line in super().get_help(ctx).splitlines()).rstrip()


class Command(_TidyHelp, rich_click.RichCommand):
    """A command of a :class:`Program`. It returns its exit code (None means 0) and has the options of every command.

    Parameters
    ----------
    layouts : str
        ``module:name`` of the table of layouts that the command reads. Its help lists them. The module is imported only
        when the help is shown.
    resumes : bool
        Whether a command that was interrupted goes on from what it has done when it is given again.
    """

    def __init__(self, *args: Any, layouts: str = "", resumes: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._layouts = layouts
        self.resumes = resumes
        self._common = common_options()

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, more that it finds out, those of every command, and ``--help``."""
        *own, help_option = super().get_params(ctx)
        return [*own, *self.more_params(ctx), *self._common, help_option]

    def more_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Parameters that a kind of command finds out when it is used; none here."""
        return []

    def format_epilog(self, ctx: rich_click.RichContext, formatter: rich_click.RichHelpFormatter) -> None:  # type: ignore[override]
        """List the layouts, then write the epilog."""
        if self._layouts:
            formatter.write(_listed("Layouts:", self._layouts))
        super().format_epilog(ctx, formatter)


class Program(_TidyHelp, rich_click.RichGroup):  # type: ignore[misc]  # as its documentation advises
    """Commands under one name. Every error in one of them becomes one line on standard error and an exit code.

    Parameters
    ----------
    error_prefix : str
        Beginning of the error line.
    memory_advice : str
        Advice for the case that memory runs out.
    """

    command_class = Command

    def __init__(self, *args: Any, error_prefix: str = "Error", memory_advice: str = "", **kwargs: Any) -> None:
        context = {"help_option_names": ["-h", "--help"], "max_content_width": 110, "rich_help_config": _HELP}
        kwargs["context_settings"] = context
        super().__init__(*args, **kwargs)
        self._error_prefix = error_prefix
        self._memory_advice = memory_advice
        self._resumes = False

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and note whether it can be resumed."""
        found = super().resolve_command(ctx, args)
        self._resumes = isinstance(found[1], Command) and found[1].resumes
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. Without a command the program shows its help."""
        return super().parse_args(ctx, args or ["--help"])

    def main(self, args: Sequence[str] | None = None, **kwargs: Any) -> Any:  # type: ignore[override]
        """Run a command, and exit with its exit code."""
        kwargs["standalone_mode"] = False
        self._resumes = False
        with tolerant_streams():
            code = self._run(args, kwargs)
        sys.exit(code)

    def _run(self, args: Sequence[str] | None, kwargs: dict[str, Any]) -> int:
        """Run a command, and say what ended it; returns the exit code."""
        try:
            with Interrupts(), warnings_in_one_line():
                _check_working_folder()
                code = click.Group.main(self, args, **kwargs)  # that of rich_click forgets which signal ended it
                sys.stdout.flush()
        except BrokenPipeError:
            raise
        except (KeyboardInterrupt, click.Abort) as error:
            return self._interrupted(error.__cause__ or error)  # click makes an Abort of every interrupt
        except Exception as error:
            if "--debug" in (sys.argv[1:] if args is None else args):
                echo(traceback.format_exc(), err=True)
            text, code = self._explained(error)
            echo(f"{self._error_prefix}: {' '.join(text.split())}", err=True)
        return code if isinstance(code, int) else 0

    def _explained(self, error: Exception) -> tuple[str, int]:
        """The text about an error and what to do, and the exit code."""
        if isinstance(error, D2CRealSRError):
            return str(error), error.exit_code
        if isinstance(error, click.ClickException):
            context = error.ctx if isinstance(error, click.UsageError) else None
            where = f" (see {context.command_path} --help)" if context else ""
            return error.format_message() + where, error.exit_code
        if is_out_of_memory(error):
            return f"memory ran out; {self._memory_advice}", 1
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            return f"{str(error.filename)[:60]}…: the name is too long for its file system; choose a shorter one", 2
        if isinstance(error, OSError) and error.filename is not None:
            return f"{error.filename}: {error.strerror}; check the disk and its permissions, then run it again", 1
        return f"{type(error).__name__}: {error}; unexpected, please report it with the output of --debug", 1

    def _interrupted(self, error: BaseException) -> int:
        """Report that the command was ended from outside; returns the exit code."""
        what, code = (error.name, error.exit_code) if isinstance(error, Interrupted) else ("Interrupted", _INTERRUPTED)
        if self._resumes:
            echo(f"{what}; what is done is saved. Run the same command again to continue.", err=True)
        else:
            echo(f"{what}; nothing of it is kept. Run the same command again to start over.", err=True)
        return code


def _listed(title: str, table: str) -> Table:
    """The entries of a table of layouts under a title. ``table`` is ``module:name``."""
    from rich.table import Table
    from rich.text import Text

    module, name = table.split(":")
    listed = Table(
        box=None, title=Text(title, style="green bold"), title_justify="left", show_header=False, pad_edge=False
    )
    for layout in getattr(import_module(module), name):
        listed.add_row(Text(f"  {layout.name}", style="cyan bold"), Text(layout.files))
    return listed


def _check_working_folder() -> None:
    """Raise MachineError if the working folder was deleted, which libraries report in ways that nobody understands."""
    try:
        Path.cwd()
    except OSError as error:
        raise MachineError(
            f"the working folder cannot be used ({error.strerror}): it was deleted or moved; change to another folder, "
            "as with cd, then run the command again"
        ) from error
