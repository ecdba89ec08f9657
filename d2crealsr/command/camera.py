"""The commands between a camera and a folder of captures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from d2crealsr.command.options import JOBS, JSON, PATH, PREFER
from d2crealsr.errors import SettingsError
from d2crealsr.ui.interrupts import Interrupts
from d2crealsr.ui.json_text import json_text
from d2crealsr.ui.options import SettingsCommand
from d2crealsr.ui.program import Command
from d2crealsr.ui.terminal import echo, note

__all__ = ["cards", "ingest"]

_NO_SCENE = 3


@click.command(
    cls=Command,
    resumes=True,
    epilog="Exit code: 0 there are scenes, 3 there is none, 2 wrong use, 1 the machine failed.",
)
@click.argument("card", type=PATH, metavar="DCIM")
@click.option(
    "--out", type=PATH, required=True, metavar="CAPTURES", help="Folder of the captures; it is created if necessary."
)
@click.option(
    "--files",
    type=click.Choice(["copy", "hardlink", "symlink"]),
    default="copy",
    show_default=True,
    help="How frames get into CAPTURES.",
)
@click.option("--dry-run", is_flag=True, help="Print the table of all frames, and write nothing into CAPTURES.")
@click.option("--contact-sheet", type=PATH, metavar="IMAGE", help="Draw the frames of every scene into a .png or .jpg.")
@click.option(
    "--keep-private", is_flag=True, help="Keep serial numbers, names and GPS positions in the tables and in copies."
)
@click.option(
    "--watch",
    is_flag=True,
    help="Wait for frames, and say at once what each of them is and what to shoot again. Ctrl-C ends it.",
)
@PREFER
@JSON
@JOBS
def ingest(
    card: Path,
    out: Path,
    contact_sheet: Path | None,
    dry_run: bool,
    watch: bool,
    as_json: bool,
    jobs: int,
    **given: Any,
) -> int:
    """Sort the frames of a memory card into scenes for `align`.

    DCIM is a folder of frames from one or several cameras, in any order and under any names. The command finds out from
    the pictures which frames show the same card, and which of them is HR and which is LR at x2, x3, x4 or x8. Of
    several shots it takes the sharpest. CAPTURES gets the frames in hr/ and lr/, a manifest.csv with a row for each
    scene, and a frames.csv that says what became of each frame. DCIM is never changed. A second run adds what is new.
    A cards.csv in DCIM, as `cards` writes it, gives source and licence of marked cards.

    With --watch, DCIM is a folder into which frames come while you shoot, by a cable or by a program that copies them.

    \b
    Examples:
      d2crealsr ingest DCIM/ --out captures/ --dry-run --contact-sheet sheet.png
      d2crealsr ingest DCIM/ --out captures/
      d2crealsr align captures/ --out pairs/
    """
    from d2crealsr.command import ingested
    from d2crealsr.ingest.contact_sheet import check_sheet, draw_sheet
    from d2crealsr.ingest.rows import typed
    from d2crealsr.ingest.run import ingest as run

    options = {name: value for name, value in given.items() if value is not None}
    if watch and (dry_run or as_json or contact_sheet is not None):
        raise SettingsError("watch: it writes as frames come; leave out --dry-run, --json and --contact-sheet")
    if watch:
        return _watch(card, out, **options)
    if contact_sheet is not None:
        check_sheet(contact_sheet, card, out)
    with ingested.progress() as (on_frame, on_search):
        result = run(card, out, dry_run=dry_run, jobs=jobs, on_frame=on_frame, on_search=on_search, **options)
    for text in result.notes:
        note(text)
    if dry_run and not as_json:
        click.echo(ingested.table(result))
    if contact_sheet is not None:
        draw_sheet(contact_sheet, result)
        echo(f"written: {contact_sheet}", err=True)
    told = (
        json_text([typed(row) for row in result.rows])
        if as_json
        else ingested.summary(result, str(out), dry_run=dry_run)
    )
    click.echo(told)
    return 0 if result.total else _NO_SCENE


def _watch(card: Path, out: Path, **options: Any) -> int:
    """Watch until a signal comes; what was found is then written and summed up."""
    from d2crealsr.command import watched
    from d2crealsr.ingest.run import watching

    scenes = 0
    with Interrupts() as interrupts, interrupts.held(), watching(card, out, **options) as watch:
        watch.stopped = lambda: interrupts.asked
        for event in watch.events():
            for line in watched.lines(event, card, out):
                echo(line)
            scenes = getattr(event, "scenes", scenes)
        for text in watch.placing.notes:
            note(text)
    return 0 if scenes else _NO_SCENE


@click.command(cls=SettingsCommand, settings="d2crealsr.cards.settings:CardSettings")
@click.argument("photos", type=PATH)
@click.option(
    "--out", type=PATH, required=True, metavar="PDF", help="File of the cards; their table is written beside it."
)
def cards(photos: Path, out: Path, settings: dict[str, Any]) -> None:
    """Make cards to print from photographs, with marks that `ingest` recognises.

    PHOTOS is a folder of photographs. Each fills one card. Four marks with the number of its scene lie where the HR
    frame shows them, but outside of the default crop. The command warns if the print will hold less detail than the
    scale needs, and names photographs with too few pixels, too little texture or clipped areas. A table of the same
    name as the PDF says which card shows which photograph. A second run keeps the numbers of known photographs.

    \b
    Examples:
      d2crealsr cards photos/ --out cards.pdf
      d2crealsr cards photos/ --out cards.pdf --sheet A4 --width-mm 130 --dpi 600
    """
    from d2crealsr.cards.make import make_cards
    from d2crealsr.cards.settings import CardSettings
    from d2crealsr.command import carded
    from d2crealsr.ui.progress import ConsoleReporter

    chosen = CardSettings(**settings)
    with ConsoleReporter() as reporter:
        result = make_cards(photos, out, settings=chosen, on_card=reporter.images("drawing"))
    for problem in result.problems:
        note(problem)
    if warning := carded.warning(result, chosen):
        echo(f"Warning: {warning}", err=True)
    click.echo(carded.summary(result, str(out), chosen))
