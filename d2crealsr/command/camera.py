"""The commands between a camera and a folder of captures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from d2crealsr.command.options import JOBS, PATH
from d2crealsr.ui.program import Command
from d2crealsr.ui.terminal import echo

__all__ = ["ingest"]

_NO_SCENE = 3


@click.command(
    cls=Command,
    resumes=True,
    epilog="Exit code: 0 there are scenes, 3 there is none, 2 wrong use, 1 the machine failed.",
)
@click.argument("card", type=PATH, metavar="DCIM")
@click.option(
    "--out", type=PATH, required=True, metavar="RAW", help="Folder of the captures; it is created if necessary."
)
@click.option(
    "--files",
    type=click.Choice(["copy", "hardlink", "symlink"]),
    default="copy",
    show_default=True,
    help="How frames get into RAW.",
)
@click.option("--dry-run", is_flag=True, help="Print the table of all frames, and write nothing into RAW.")
@click.option("--contact-sheet", type=PATH, metavar="PNG", help="Draw the frames of every scene into this file.")
@click.option(
    "--keep-private", is_flag=True, help="Keep serial numbers, names and GPS positions in the tables and in copies."
)
@JOBS
def ingest(card: Path, out: Path, contact_sheet: Path | None, dry_run: bool, **options: Any) -> int:
    """Sort the frames of a memory card into scenes for `align`.

    DCIM is the folder of a camera's frames, in any order and under any names, and may come from several cameras. Which
    frames show one card, and which is HR and which LR at x2, x3, x4 or x8, is found out from the pictures. Of several
    shots the sharpest is taken. RAW gets the frames in hr/ and lr/, a manifest.csv with a row for each scene, and a
    frames.csv that says what became of each frame. DCIM is never changed. A second run adds what is new.

    \b
    d2crealsr ingest /media/card/DCIM --out raw/ --dry-run --contact-sheet sheet.png
    d2crealsr ingest /media/card/DCIM --out raw/
    d2crealsr align raw/ --out pairs/
    """
    from d2crealsr.command import ingested
    from d2crealsr.ingest.contact_sheet import check_sheet, draw_sheet
    from d2crealsr.ingest.run import ingest as run

    if contact_sheet is not None:
        check_sheet(contact_sheet)
    with ingested.progress() as (on_frame, on_search):
        result = run(card, out, dry_run=dry_run, on_frame=on_frame, on_search=on_search, **options)
    for note in result.notes:
        echo(f"Note: {note}", err=True)
    if dry_run:
        click.echo(ingested.table(result))
    if contact_sheet is not None:
        draw_sheet(contact_sheet, result)
        echo(f"written: {contact_sheet}", err=True)
    click.echo(ingested.summary(result, str(out), dry_run=dry_run))
    return 0 if result.total else _NO_SCENE
