"""The command ``tone``, and its output: the curve of each camera, what supports it, and what to do next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from d2crealsr.command.options import PATH
from d2crealsr.settings import AlignSettings
from d2crealsr.ui.program import Command
from d2crealsr.ui.terminal import echo
from d2crealsr.ui.text import counted

if TYPE_CHECKING:
    from pathlib import Path

    from d2crealsr.store.tone_file import CameraCurve, ToneFile

__all__ = ["tone"]

_SCALE = AlignSettings().scale


@click.command(cls=Command)
@click.argument("raw", type=PATH, metavar="CAPTURES")
@click.option(
    "--out",
    type=PATH,
    required=True,
    metavar="JSON",
    help="File of the curves, whose name ends in .json. One that this command wrote is replaced.",
)
@click.option(
    "--scale",
    type=click.IntRange(2, 16),
    metavar="N",
    default=_SCALE,
    show_default=True,
    help="HR pixels per LR pixel of the captures.",
)
def tone(raw: Path, out: Path, **options: Any) -> None:
    """Find the tone curves of the cameras, for `align --tone`.

    A picture style, a film simulation or a flat profile changes the tone curve, and pairs are then aligned less
    accurately. CAPTURES is a folder of captures or a CSV file that lists them, as for `align`. A dozen of its scenes
    are aligned once, and those curves are fitted to all of them with which HR predicts LR best. Each camera that the
    files name gets a curve of its own; if they name none, HR and LR get one each. If the scenes show no departure from
    sRGB, the curve is sRGB.

    \b
    Examples:
      d2crealsr tone captures/ --out tone.json
      d2crealsr align captures/ --out pairs/ --tone tone.json
    """
    from d2crealsr.command import console
    from d2crealsr.dataset.find_tone import find_tone

    with console.counter("finding the tone curves", None) as listener:
        found = find_tone(raw, out, on_scene=listener, **options)
    for line in _summary(found, str(raw), str(out)):
        echo(line)


def _summary(found: ToneFile, raw: str, out: str) -> list[str]:
    """What was found, in lines."""
    lines = [counted(len(found.scenes), "scene")]
    lines += [f"  {camera}: {_told(curve)}" for camera, curve in found.curves.items()]
    before, after = (f"{255 * misfit:.2f}" for misfit in (found.misfit_before, found.misfit_after))
    if any(curve.tone != "srgb" for curve in found.curves.values()):
        lines.append(f"  LR differs from its prediction by {after} of 255 levels, with sRGB by {before}")
        scale = f" --scale {found.scale}" if found.scale != _SCALE else ""
        captures, file = shlex.quote(raw), shlex.quote(out)
        lines += [f"written: {out}", f"next:   d2crealsr align {captures} --out pairs/{scale} --tone {file}"]
    else:
        lines.append(f"written: {out}; align needs no --tone")
    return lines


def _told(curve: CameraCurve) -> str:
    """The curve of a camera, and what supports it."""
    from d2crealsr.dataset.find_tone import FEWEST_SCENES

    if curve.tone == "srgb" and curve.scenes < FEWEST_SCENES:
        return f"srgb: {counted(curve.scenes, 'scene')} by this camera cannot show another, {FEWEST_SCENES} needed"
    share = f"{curve.improved} of {counted(curve.scenes, 'scene')}"
    if curve.tone == "srgb":
        return f"srgb: the scenes do not show a departure from it (another curve predicts {share} better: too few)"
    return f"{curve.tone} (better than srgb in {share} that it was not fitted to)"
