"""The commands that judge pairs: by their truth, by their images alone, and by their own tables."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click

from d2crealsr.command.options import JOBS, JSON, NOTHING_ACCEPTED, PAIRS, PATH
from d2crealsr.ui.json_text import json_text
from d2crealsr.ui.options import SettingsCommand
from d2crealsr.ui.program import Command
from d2crealsr.ui.terminal import echo, note
from d2crealsr.ui.text import counted

__all__ = ["audit", "validate", "verify"]

_FINDINGS = 4


@click.command(cls=Command, epilog="Exit code: 0 clean, 3 nothing was measured, 4 findings.")
@PAIRS
@click.option("--truth", type=PATH, required=True, metavar="CSV", help="The truth.csv of the simulated captures.")
@click.option("--csv", type=PATH, metavar="FILE", help="Write the table to this file as well.")
@JSON
@JOBS
def validate(pairs: Path, truth: Path, csv: Path | None, as_json: bool, jobs: int) -> int:
    """Measure the true error of pairs from simulated captures, in HR px.

    PAIRS is pairs/ by default; it must have been made from simulated captures.

    \b
    Examples:
      d2crealsr validate pairs/ --truth raw/truth.csv
    """
    from d2crealsr.command import console
    from d2crealsr.store.files import write_text
    from d2crealsr.store.outputs import check_tables
    from d2crealsr.truth.validate import COLUMNS
    from d2crealsr.truth.validate import validate as run

    check_tables([(csv, "a table of validate", COLUMNS)], [pairs, truth])
    with console.quiet_counter("comparing") as listener:
        result = run(pairs, truth, jobs=jobs, on_scene=listener)
    click.echo(json_text(result.as_dict()) if as_json else console.validation_summary(result))
    if csv is not None:  # last: whatever becomes of the file, the table has been printed
        write_text(csv, result.table.to_csv(index=False))
    return _FINDINGS if result.findings else 0 if result.measured else NOTHING_ACCEPTED


@click.command(
    cls=SettingsCommand,
    settings="d2crealsr.audit.pair:AuditSettings",
    layouts="d2crealsr.store.layouts:PAIR_LAYOUTS",
    epilog="Exit code: 0 clean, 3 nothing was measured, 4 findings, 2 wrong use or no known layout.",
)
@click.argument("folder", type=PATH, metavar="DIR")
@click.option("--scale", type=click.IntRange(1, 16), metavar="N", help="Measure only pairs of this scale.")
@click.option("--out", type=PATH, metavar="CSV", help="Write the table to this file as well.")
@click.option("--fields", type=PATH, metavar="CSV", help="Write the residual fields, block by block, to this file.")
@JSON
@JOBS
def audit(
    folder: Path,
    scale: int | None,
    out: Path | None,
    fields: Path | None,
    as_json: bool,
    jobs: int,
    settings: dict[str, Any],
) -> int:
    """Measure how well existing pairs are aligned.

    DIR is a folder of pairs, laid out in one of the ways below. HR has the size of LR or is a whole number of times
    larger. Nothing in DIR is modified.

    \b
    Examples:
      d2crealsr audit RealSR/Canon/Test/4
      d2crealsr audit pairs/ --out audit.csv --jobs 0
    """
    from d2crealsr.audit.folder import COLUMNS, EARLIER_COLUMNS, FIELD_COLUMNS
    from d2crealsr.audit.folder import audit as run
    from d2crealsr.audit.pair import AuditSettings
    from d2crealsr.command import console
    from d2crealsr.command.audited import audit_summary
    from d2crealsr.store.files import write_text
    from d2crealsr.store.outputs import check_tables

    tables = [(out, "a table of audit", COLUMNS), (fields, "residual fields of audit", FIELD_COLUMNS)]
    check_tables(tables, [folder], earlier=[EARLIER_COLUMNS])
    with console.audit_progress() as listener:
        result = run(folder, scale=scale, settings=AuditSettings(**settings), jobs=jobs, on_pair=listener)
    for text in result.notes:
        note(text)
    click.echo(json_text(result.as_dict()) if as_json else audit_summary(result))
    for path, table in ((out, result.table), (fields, result.fields)):
        if path is not None:
            write_text(path, table.to_csv(index=False, float_format="%.6g"))
    return _FINDINGS if result.findings else 0 if result.measured else NOTHING_ACCEPTED


@click.command(cls=Command, epilog="Exit code: 0 clean, 4 findings, 2 no pairs folder.")
@PAIRS
@click.option("--captures", is_flag=True, help="Compare the captures with their recorded hashes as well.")
@click.option(
    "--accept-edits",
    is_flag=True,
    help="Before the check, accept edits of the tables: check their columns, and record their checksums.",
)
@JSON
@JOBS
def verify(pairs: Path, captures: bool, accept_edits: bool, as_json: bool, jobs: int) -> int:
    """Check that the files of a pairs folder are those that its tables describe.

    PAIRS is pairs/ by default. The command compares checksums, hashes and sizes, checks the columns of the tables, and
    looks for rows without files and files without rows. It prints one line for each finding. Without --accept-edits it
    changes nothing.

    \b
    Examples:
      d2crealsr verify pairs/ --jobs 0
      d2crealsr verify pairs/ --accept-edits
    """
    from d2crealsr.command import console
    from d2crealsr.dataset import verify as verifying

    if accept_edits:
        accepted = verifying.accept_edits(pairs)
        told = f"accepted: {', '.join(accepted)}" if accepted else "no table was changed since it was written"
        echo(told, err=as_json)
    with console.quiet_counter("checking") as listener:
        result = verifying.verify(pairs, captures=captures, jobs=jobs, on_scene=listener)
    if as_json:
        click.echo(json_text(dataclasses.asdict(result)))
        return _FINDINGS if result.findings else 0
    for finding in result.findings:
        echo(str(finding))
    found = counted(len(result.findings), "finding") if result.findings else "clean"
    echo(f"{counted(result.scenes, 'scene')}, {result.accepted} accepted: {found}")
    return _FINDINGS if result.findings else 0
