"""Options, arguments and exit codes that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["JOBS", "JSON", "NOTHING_ACCEPTED", "PAIRS", "PATH", "PREFER"]

NOTHING_ACCEPTED = 3

PATH = click.Path(path_type=Path)
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
