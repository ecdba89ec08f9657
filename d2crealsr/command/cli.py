"""The command ``d2crealsr``: parse, call, print, exit code. What is called is imported when it is called."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click
from rich_click import option_panel

from d2crealsr.command.camera import cards, ingest
from d2crealsr.command.checks import audit, validate, verify
from d2crealsr.command.demo import demo
from d2crealsr.command.exchange import export, import_
from d2crealsr.command.exports import ExportCommand
from d2crealsr.command.options import JOBS, NOTHING_ACCEPTED, PAIRS, PATH, PREFER
from d2crealsr.command.toned import tone
from d2crealsr.ui.options import SettingsCommand, is_given
from d2crealsr.ui.program import Program
from d2crealsr.ui.terminal import echo, note
from d2crealsr.ui.text import counted
from d2crealsr.ui.versions import version

__all__ = ["main"]


@click.group(cls=Program, memory_advice="use fewer --jobs, or a machine with more")
@click.version_option(version(), prog_name="d2crealsr")
def main() -> None:
    """Build a real-world super-resolution dataset from your own photographs.

    Printed pictures (cards) are photographed twice: zoomed in (HR, high resolution) and zoomed out (LR, low
    resolution). The commands find where HR lies in LR, and publish pairs of images that match pixel by pixel.

    \b
    Examples:
      d2crealsr demo                             all steps, without a camera
      d2crealsr align captures/ --out pairs/     captures to aligned pairs
      d2crealsr split pairs/                     training and test scenes
    """


@main.command(
    cls=SettingsCommand,
    resumes=True,
    settings="d2crealsr.settings:AlignSettings",
    layouts="d2crealsr.store.captures:RAW_LAYOUTS",
    epilog="Exit code: 0 some scenes are accepted, 3 none is, 2 wrong use, 1 the machine failed, 130 interrupted, "
    "143 terminated.",
)
@option_panel("Folders and records", options=["out", "licence", "citation"])
@option_panel("What is done again, and what may be lost", options=["force", "prune", "allow_loss"])
@option_panel("Captures", options=["prefer"])
@option_panel("Decisions by hand", options=["accept", "points"])
@option_panel("How the work is run", options=["jobs", "backend", "scheduler", "max_megapixels"])
@click.argument("raw", type=PATH, metavar="CAPTURES")
@click.option(
    "--out", type=PATH, required=True, metavar="PAIRS", help="Folder of the pairs; it is created if necessary."
)
@JOBS
@click.option(
    "--backend",
    type=click.Choice(["loky", "dask"]),
    default="loky",
    show_default=True,
    help="What runs the jobs: processes of this machine (loky) or a dask cluster.",
)
@click.option(
    "--scheduler",
    metavar="ADDR",
    help="Address of a dask scheduler, tcp://host:8786, whose workers see the same folders.  [default: one is started]",
)
@click.option("--force", is_flag=True, help="Do every scene again.")
@click.option("--prune", is_flag=True, help="Remove scenes from PAIRS that CAPTURES no longer contains.")
@click.option(
    "--allow-loss", is_flag=True, help="Remove pairs that changed settings no longer accept, however many they are."
)
@click.option(
    "--accept",
    type=PATH,
    metavar="FILE",
    help="CSV file with the columns scene,decision,note. Rejected scenes whose decision is accept are published "
    "nevertheless.",
)
@click.option(
    "--points",
    type=PATH,
    metavar="FILE",
    help="CSV file with the columns scene,hr_x,hr_y,lr_x,lr_y: four or more corresponding points for each scene in "
    "which registration finds nothing by itself. The report helps to collect them.",
)
@PREFER
@click.option(
    "--max-megapixels",
    type=click.IntRange(1, 1073),
    metavar="N",
    default=200,
    show_default=True,
    help="Largest capture that is read, in millions of pixels. A larger one is refused before it is decoded.",
)
@click.option("--licence", metavar="TEXT", help="Terms under which the pictures may be used, for dataset.json.")
@click.option("--citation", metavar="TEXT", help="How the dataset should be cited, for dataset.json.")
def align(raw: Path, out: Path, max_megapixels: int, settings: dict[str, Any], **options: Any) -> int:
    """Align captures and publish the good pairs.

    CAPTURES is a folder of photographs, laid out in one of the ways below, or a CSV file that lists them. A second run
    works only on scenes that are missing, or whose captures, settings or version changed. An option that is not given
    keeps the value with which PAIRS was made; if a value changes, the run first prints what follows from it. Pairs that
    the new settings no longer accept are kept, unless they are few or --allow-loss is given.

    \b
    Examples:
      d2crealsr align captures/ --out pairs/ --jobs 0
      d2crealsr align captures/ --out pairs/ --scale 4 --crop max
      d2crealsr align captures/ --out pairs/ --backend dask
    """
    from d2crealsr.command import console
    from d2crealsr.dataset.build import build

    options["max_pixels"] = max_megapixels * 1_000_000
    with console.build_progress(debug=is_given("debug")) as listener:
        result = build(raw, out, settings=settings, on_event=listener, **options)
    for text in result.notes:
        note(text)
    click.echo(console.build_summary(result, str(out)))
    return 0 if result.accepted else NOTHING_ACCEPTED


@main.command()
@PAIRS
@click.option(
    "--test",
    type=click.IntRange(min=0),
    metavar="N",
    help="Number of scenes in the test split.  [default: the smaller of 15 and 15 % of the scenes, at least 1; in a "
    "folder that is split already, as many as it has]",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random choice of scenes.")
@click.option("--resplit", is_flag=True, help="Discard earlier splits and start over.")
@click.option(
    "--decisions",
    type=PATH,
    metavar="FILE",
    help="CSV file with the columns scene,decision,note, as the report exports it. Scenes whose decision is reject are "
    "left out.",
)
def split(pairs: Path, test: int | None, seed: int, resplit: bool, decisions: Path | None) -> None:
    """Assign accepted scenes to training and test.

    PAIRS is pairs/ by default. Scenes of one group are never separated, and earlier splits stay. A scene that a
    reviewer rejected stays left out, also in later runs without --decisions, until a file says accept for it.

    \b
    Examples:
      d2crealsr split pairs/
      d2crealsr split pairs/ --test 15 --seed 1
      d2crealsr split pairs/ --test 15 --decisions decisions.csv
    """
    from d2crealsr.command import console
    from d2crealsr.dataset import split as splitting

    result = splitting.split(pairs, test=test, seed=seed, resplit=resplit, decisions=decisions)
    for text in result.notes:
        note(text)
    click.echo(console.split_summary(result))


@main.command(
    cls=SettingsCommand,
    resumes=True,
    settings="d2crealsr.simulate.settings:SimulateSettings",
    names={"nuisances": "--nuisance", "image_format": "--format"},
)
@click.option(
    "--out", type=PATH, required=True, metavar="CAPTURES", help="Folder of the captures; it is created if necessary."
)
@click.option("--manifest", type=PATH, metavar="CSV", help="Recipe of the scenes, in the form of data_manifest.csv.")
@click.option(
    "--photos", type=PATH, metavar="DIR", help="Folder of your own photographs, which the simulated cards show."
)
@click.option(
    "--recipe",
    type=click.Choice(["postcards"]),
    help="postcards: cards show photographs alone, and none is in two groups.  [default: five kinds of card alternate, "
    "of which some show dead leaves or text]",
)
@JOBS
def simulate(out: Path, settings: dict[str, Any], **given: Any) -> None:
    """Render simulated captures whose alignment is known.

    CAPTURES gets captures for `align`, and truth.csv, with which `validate` measures the true error of the pairs.

    \b
    Examples:
      d2crealsr simulate --out raw/ --size mini --scenes 8
      d2crealsr simulate --out raw/ --manifest data_manifest.csv
      d2crealsr simulate --out raw/ --recipe postcards --photos photos/
    """
    from d2crealsr.command import console
    from d2crealsr.simulate import SimulateSettings
    from d2crealsr.simulate import simulate as run

    chosen = SimulateSettings(**settings)
    notes: list[str] = []
    with console.counter("simulating", None if given["manifest"] else chosen.scenes) as listener:
        truth = run(out, settings=chosen, on_scene=listener, note=notes.append, **given)
    for text in notes:
        note(text)
    echo(f"{counted(len(truth), 'scene')} in {out}, with the truth in {out / 'truth.csv'}")
    echo(f"next:   d2crealsr align {shlex.quote(str(out))} --out pairs/ --scale {chosen.scale}")


@main.command(cls=ExportCommand)
@option_panel("What is printed", options=["where", "sort", "columns", "--format", "--json"])
@PAIRS
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Rows to print: COLUMN OPERATOR VALUE [and …], with = != < <= > >= ~ (contains) !~. May be repeated.",
)
@click.option(
    "--sort",
    multiple=True,
    metavar="COLUMN",
    help="Sort by this column, with -COLUMN in descending order. May be repeated.",
)
@click.option("--columns", metavar="A,B,…|all", help="Columns to print.  [default: the essential ones]")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="Form of the printed table.",
)
@click.option("--json", "kind", flag_value="json", help="The same as --format json.")
def summary(
    pairs: Path,
    where: tuple[str, ...],
    sort: tuple[str, ...],
    columns: str | None,
    kind: str,
    **folders: Path | None,
) -> None:
    """Print the main numbers of a pairs folder, and a table of its scenes.

    PAIRS is pairs/ by default. With --columns all, the table has all columns of the manifest.

    \b
    Examples:
      d2crealsr summary pairs/ --sort -residual_p95_hr_px
      d2crealsr summary pairs/ --where 'reasons ~ clipped' --columns scene,message
      d2crealsr summary pairs/ --columns all --format json
    """
    from d2crealsr.command import console
    from d2crealsr.dataset import summary as summing
    from d2crealsr.dataset.exports import EXPORTS
    from d2crealsr.store.changes import refuse_if_changed

    if any(folders.values()):
        refuse_if_changed(pairs)
    names = summing.ESSENTIAL if columns is None else [name.strip() for name in columns.split(",") if name.strip()]
    found = summing.summarise(pairs, where=where, sort=sort, columns=names)
    if kind == "csv":  # as it is for a program, harmless for a terminal
        (echo if sys.stdout.isatty() else click.echo)(summing.as_csv(found).removesuffix("\n"))
    else:
        click.echo(summing.as_json(found) if kind == "json" else console.summary_table(found))
    for each in EXPORTS:
        if (folder := folders[each.name]) is not None:
            for path in each.write(pairs, folder):
                echo(f"written: {path}", err=True)


@main.command(resumes=True)
@PAIRS
@click.option("--out", type=PATH, metavar="DIR", help="Folder of the report.  [default: PAIRS/report]")
@JOBS
def report(pairs: Path, out: Path | None, jobs: int) -> None:
    """Make a report to look at in a browser.

    PAIRS is pairs/ by default. The report is a folder whose index.html opens from disk in any browser, without a
    network. A second run draws only what changed. The report exports your decisions as a CSV file for
    `split --decisions` and `align --accept`.

    \b
    Examples:
      d2crealsr report pairs/
      d2crealsr report pairs/ --out report/ --jobs 0
    """
    from d2crealsr.command import console
    from d2crealsr.report import make_report

    with console.report_progress() as listener:
        result = make_report(pairs, out, jobs=jobs, on_pair=listener)
    echo(f"{counted(result.drawn, 'pair')} drawn, {result.unchanged} unchanged")
    echo(f"open:   {result.page}")


for command in (audit, cards, demo, export, import_, ingest, tone, validate, verify):
    main.add_command(command)
