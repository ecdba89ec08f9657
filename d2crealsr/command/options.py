"""Options, arguments and exit codes that several commands share."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import click

from d2crealsr.errors import MachineError

__all__ = ["JOBS", "JSON", "NOTHING_ACCEPTED", "PAIRS", "PATH", "PREFER"]

NOTHING_ACCEPTED = 3


class _Path(click.Path):
    """A path. One that may not be read is an error of the machine, and not wrong use as for click."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if os.access(path, os.F_OK) and not os.access(path, os.R_OK):
            raise MachineError(f"{path}: cannot be read ({os.strerror(errno.EACCES)}); check its permissions")
        return path


PATH = _Path(path_type=Path, readable=False)
PAIRS = click.argument("pairs", type=PATH, default=Path("pairs"))
JOBS = click.option(
    "--jobs",
    type=click.IntRange(min=0),
    metavar="N",
    default=1,
    show_default=True,
    help="How many scenes are worked on at a time; 0 for one on each core. The results do not depend on it.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
PREFER = click.option(
    "--prefer",
    type=click.Choice(["jpeg", "raw"]),
    help="Which file of a shot is used where a JPEG lies beside camera RAW of the same name.  [default: jpeg]",
)
