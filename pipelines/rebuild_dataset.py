"""From a list of captures to a validated dataset: simulate (if you have no camera), align, split, validate.

    python pipelines/rebuild_dataset.py --manifest data_manifest.csv --out dataset --jobs 0
    python pipelines/rebuild_dataset.py --captures captures/ --out dataset

Each step does only what is missing, so you can stop the program at any time and start it again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from d2crealsr.command import console
from d2crealsr.dataset.build import build
from d2crealsr.dataset.split import split
from d2crealsr.errors import D2CRealSRError
from d2crealsr.settings import AlignSettings
from d2crealsr.simulate import SIZES, SimulateSettings, simulate
from d2crealsr.simulate.settings import SizeName
from d2crealsr.store.files import write_text
from d2crealsr.truth.validate import validate

PATH = click.Path(path_type=Path)
SIMULATE, ALIGN = SimulateSettings(), AlignSettings()


@click.command(help=(__doc__ or "").replace("\n\n    ", "\n\n\b\n    "))
@click.option("--out", type=PATH, required=True, help="Holds raw/ (if simulated), pairs/ and errors.csv afterwards.")
@click.option("--captures", type=PATH, help="Captures you have, as `d2crealsr align` takes them; nothing is simulated.")
@click.option("--manifest", type=PATH, help="Recipe of the scenes to simulate; else --scenes are drawn.")
@click.option(
    "--size", type=click.Choice(list(SIZES)), default=SIMULATE.size, show_default=True, help="Simulated size."
)
@click.option("--scenes", type=int, default=SIMULATE.scenes, show_default=True, help="Scenes to draw.")
@click.option("--scale", type=int, default=ALIGN.scale, show_default=True, help="HR pixels per LR pixel.")
@click.option("--test", type=int, help="Scenes in the test split.  [default: as of d2crealsr split]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the simulation and of the split.")
@click.option("--jobs", type=int, default=1, show_default=True, help="Scenes at a time; 0: one a core.")
def main(
    out: Path,
    captures: Path | None,
    manifest: Path | None,
    size: SizeName,
    scenes: int,
    scale: int,
    test: int | None,
    seed: int,
    jobs: int,
) -> None:
    """Connect the steps, each of which is a function of the library."""
    raw, pairs = captures or out / "raw", out / "pairs"
    if captures is None:
        click.echo(f"simulate -> {raw}")
        settings = SimulateSettings(size=size, scenes=scenes, scale=scale, seed=seed)
        with console.counter("simulating", None if manifest else scenes) as listener:
            simulate(raw, settings=settings, manifest=manifest, jobs=jobs, on_scene=listener)

    click.echo(f"align -> {pairs}")
    with console.build_progress() as progress:
        built = build(raw, pairs, settings=AlignSettings(scale=scale), jobs=jobs, on_event=progress)
    click.echo(console.build_summary(built, str(pairs)))
    if not built.accepted:
        sys.exit(3)

    click.echo(f"split -> {pairs}/manifest.csv")
    drawn = split(pairs, test=test, seed=seed)
    for note in drawn.notes:
        click.echo(f"Note: {note}", err=True)
    click.echo(console.split_summary(drawn))

    truth = (raw if raw.is_dir() else raw.parent) / "truth.csv"
    if not truth.exists():
        return
    click.echo(f"validate -> {out}/errors.csv")
    result = validate(pairs, truth, jobs=jobs)
    write_text(out / "errors.csv", result.table.to_csv(index=False))
    click.echo(console.validation_summary(result))
    click.echo(f'\nThe table: pd.read_csv("{out}/errors.csv", dtype={{"scene": str}})')
    if result.findings:
        sys.exit(4)


if __name__ == "__main__":
    try:
        main()
    except D2CRealSRError as error:
        sys.exit(f"Error: {error}")
