"""The command ``demo``: the main job on photographs that are installed with the toolkit, in place of a camera."""

from __future__ import annotations

import importlib.util
import os
import shlex
from pathlib import Path

import click

from d2crealsr.command.options import NOTHING_ACCEPTED, PATH
from d2crealsr.errors import LayoutError
from d2crealsr.ui.program import Command
from d2crealsr.ui.terminal import echo, note
from d2crealsr.ui.versions import how_to_install

__all__ = ["RECIPE", "demo"]

RECIPE = Path(__file__).with_name("demo.csv")
"""Scenes of the demo: postcards of photographs, in groups that share none. The group with a cup of coffee is the test
split, because no other group has only three accepted scenes."""

_TEST = 3
_CUT_SHORT, _BYTES = "hr/021.jpg", 40_000


@click.command(
    cls=Command,
    resumes=True,
    epilog="Exit code: 0 it is done, 2 wrong use, 1 the machine failed, 130 interrupted, 143 terminated.",
)
@click.option(
    "--out",
    type=PATH,
    default=Path("d2crealsr-demo"),
    show_default=True,
    metavar="DIR",
    help="Folder of the demo; it is created if necessary.",
)
def demo(out: Path) -> int:
    """Go through the main steps without a camera, on simulated captures.

    The captures show photographs that are installed with the toolkit. DIR gets captures in raw/, one of which is cut
    short as by a full memory card; the aligned and split pairs in pairs/; their true errors in errors.csv; and a report
    in pairs/report, if the extra for it is installed. It takes about a minute, and every step prints the command that
    does it.

    \b
    Examples:
      d2crealsr demo
      d2crealsr demo --out /tmp/demo
    """
    from d2crealsr.command import console
    from d2crealsr.dataset.build import build
    from d2crealsr.dataset.split import split
    from d2crealsr.simulate import SimulateSettings, simulate
    from d2crealsr.store.files import write_text
    from d2crealsr.store.outputs import check_tables
    from d2crealsr.truth.validate import COLUMNS, validate

    raw, pairs, errors = out / "raw", out / "pairs", out / "errors.csv"
    _refuse_others(out)
    check_tables([(errors, "a table of validate", COLUMNS)])
    _say("simulate", "--manifest", RECIPE, "--out", raw, "--size", "mini")
    with console.counter("simulating", None) as on_scene:
        simulate(raw, settings=SimulateSettings(size="mini"), manifest=RECIPE, jobs=0, on_scene=on_scene)
    os.truncate(raw / _CUT_SHORT, _BYTES)

    _say("align", raw, "--out", pairs)
    with console.build_progress() as on_event:
        built = build(raw, pairs, jobs=0, on_event=on_event)
    click.echo(console.build_summary(built, str(pairs)))
    if not built.accepted:
        return NOTHING_ACCEPTED

    _say("split", pairs, "--test", _TEST)
    click.echo(console.split_summary(split(pairs, test=_TEST)))

    _say("validate", pairs, "--truth", raw / "truth.csv", "--csv", errors)
    with console.quiet_counter("comparing") as on_pair:
        checked = validate(pairs, raw / "truth.csv", jobs=0, on_scene=on_pair)
    click.echo(console.validation_summary(checked))
    write_text(errors, checked.table.to_csv(index=False))

    _report(pairs)
    told = "" if out == Path("d2crealsr-demo") else f" {shlex.quote(str(out))}"
    echo(f"next:   d2c demo{told} trains a small network on these pairs (this needs PyTorch)")
    return 0


def _refuse_others(out: Path) -> None:
    """Raise LayoutError if the folder has pairs or captures itself, since those of the demo are in folders below it."""
    from d2crealsr.store.ownership import holdings

    for holding, example in holdings(out).items():
        if holding in ("pairs", "captures"):
            raise LayoutError(
                f"{out}: holds {holding} ({example.name}), among which the demo would write its own; "
                "give another folder with --out"
            )


def _report(pairs: Path) -> None:
    """Make the report, or say what it needs."""
    from d2crealsr.command import console

    if importlib.util.find_spec("jinja2") is None or importlib.util.find_spec("matplotlib") is None:
        note(f"there is no report, because its extra is not installed; run: {how_to_install('report')}")
        return
    from d2crealsr.report import make_report

    _say("report", pairs)
    with console.report_progress() as on_pair:
        echo(f"open:   {make_report(pairs, jobs=0, on_pair=on_pair).page}")


def _say(*command: object) -> None:
    echo(f"\n$ d2crealsr {shlex.join(map(str, command))}")
