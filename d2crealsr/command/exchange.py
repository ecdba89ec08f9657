"""The commands that exchange pairs with other tools."""

from __future__ import annotations

import functools
import importlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from d2crealsr.command.options import JOBS, NOTHING_ACCEPTED, PAIRS, PATH
from d2crealsr.ui.options import Switch
from d2crealsr.ui.program import Command
from d2crealsr.ui.terminal import echo, note
from d2crealsr.ui.text import counted

if TYPE_CHECKING:
    from d2crealsr.dataset.exports import PairExport
    from d2crealsr.dataset.exports.export_pairs import HowWritten

__all__ = ["export", "import_"]

_PAIR_EXPORTS = "d2crealsr.dataset.exports:PAIR_EXPORTS"


class _PairExportName(click.ParamType):  # type: ignore[type-arg]  # generic in newer versions of click only
    """The name of a line of the table of exports, which is imported when a name is given."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> PairExport:
        """The export with this name."""
        exports = _pair_exports()
        if value not in exports:
            self.fail(f"got {value!r}, expected one of {', '.join(exports)}", param, ctx)
        return exports[value]

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin so, for the completion of the shell."""
        return [CompletionItem(name) for name in _pair_exports() if name.startswith(incomplete)]


def _pair_exports() -> dict[str, PairExport]:
    module, name = _PAIR_EXPORTS.split(":")
    return {each.name: each for each in getattr(importlib.import_module(module), name)}


@click.command(cls=Command, resumes=True, layouts=_PAIR_EXPORTS)
@PAIRS
@click.option("--layout", type=_PairExportName(), required=True, help="One of the layouts below.")
@click.option(
    "--out",
    type=PATH,
    required=True,
    metavar="DIR",
    help="Folder of the export. It must be new, empty, or that of an earlier export of PAIRS in this layout.",
)
@click.option(
    "--files",
    type=click.Choice(["copy", "hardlink", "symlink"]),
    default="copy",
    show_default=True,
    help="Copy the images, or link to those in PAIRS.",
)
@click.option(
    "--sub-images",
    type=click.IntRange(min=1),
    metavar="PX",
    help="Cut pairs into sub-images of this side, in HR pixels, that overlap by half (basicsr).",
)
def export(pairs: Path, layout: PairExport, out: Path, files: HowWritten, sub_images: int | None) -> None:
    """Write accepted pairs in a layout that other tools read.

    PAIRS is pairs/ by default. Accepted pairs are exported, each in its split, except for those that a reviewer left
    out. A second run adds what is new and removes what is no longer accepted; files that no export wrote stay. The
    layouts below have train and 4 as examples of a split and a scale.

    \b
    Examples:
      d2crealsr export pairs/ --layout basicsr --out basicsr/
      d2crealsr export pairs/ --layout imagefolder --out hub/ --files hardlink
    """
    from d2crealsr.command import console
    from d2crealsr.dataset.exports.export_pairs import export_pairs

    with console.quiet_counter("exporting") as listener:
        result = export_pairs(pairs, out, layout=layout, files=files, sub_images=sub_images, on_file=listener)
    if result.left_out:
        note(f"left out by a reviewer: {counted(result.left_out, 'accepted pair')}")
    if (unsplit := result.splits.get("", 0)) < sum(result.splits.values()) and unsplit:
        note(f"{counted(unsplit, 'pair')} without a split; d2crealsr split {shlex.quote(str(pairs))} gives them one")
    counts = ", ".join(f"{count} {split or 'without a split'}" for split, count in sorted(result.splits.items()))
    echo(f"{counted(sum(result.splits.values()), 'pair')} in {out} ({counts})")
    echo(f"files:  {result.written} written, {result.unchanged} unchanged, {result.removed} removed")


@click.command(
    name="import",
    cls=Command,
    resumes=True,
    layouts="d2crealsr.store.layouts:PAIR_LAYOUTS",
    epilog="Exit code: 0 pairs are imported, 3 none is, 2 wrong use or no known layout.",
)
@click.argument("folder", type=PATH, metavar="DIR")
@click.option(
    "--out", type=PATH, required=True, metavar="PAIRS", help="Folder of the pairs; it is created if necessary."
)
@click.option("--scale", type=click.IntRange(1, 16), metavar="N", help="Import only pairs of this scale.")
@click.option(
    "--audit/--no-audit", cls=Switch, default=True, show_default=True, help="Measure how well the pairs are aligned."
)
@JOBS
def import_(folder: Path, out: Path, scale: int | None, audit: bool, jobs: int) -> int:
    """Bring existing pairs into a pairs folder.

    DIR is a folder of pairs, laid out in one of the ways below; it may be an export. All its pairs are accepted, with
    the split that DIR states, except for those that a reviewer left out. They are measured as by `audit`, and the
    manifest has the results. Nothing in DIR is modified.

    \b
    Examples:
      d2crealsr import RealSR/Canon --out pairs/ --scale 4
      d2crealsr import basicsr/ --out pairs/ --no-audit
    """
    from d2crealsr.command import console
    from d2crealsr.importing import import_pairs

    run = functools.partial(import_pairs, folder, out, scale=scale, measure=audit, jobs=jobs)
    if audit:
        with console.audit_progress() as on_pair:
            result = run(on_pair=on_pair)
    else:
        with console.quiet_counter("importing") as on_image:
            result = run(on_image=on_image)
    for text in result.notes:
        note(text)
    for line in result.left_out:
        echo(f"left out: {line}")
    for line in result.findings:
        echo(f"imported, but {line}")
    there = result.imported + result.unchanged
    made = f"{result.imported} imported, {result.unchanged} unchanged"
    echo(f"{counted(there, 'pair')} of scale {result.scale} in {out} ({made})")
    if not there:
        return NOTHING_ACCEPTED
    echo(f"next:   d2crealsr report {shlex.quote(str(out))}")
    return 0
