"""What do tone curves that are not sRGB cost, and how much of it does ``align --tone`` win back?

    python -m benchmarks.accuracy.tone_curves --seeds 100..123 --work DIR --out benchmarks/results/tone-curves

Each scene is exposed once and developed under each curve, before rounding and JPEG of quality 95. None of the curves is
of the family that `d2crealsr tone` fits: a sigmoid on encoded values (S-curve), the same on luma alone with the colours
moved by as much (contrast), a film's toe and shoulder (filmic), a logarithm with raised black (flat), and HR and LR
with different curves of these (mixed). The file of `tone` comes from other scenes (--tone-seeds), which are tuning
seeds, and has one curve for HR and one for LR, as these files name no camera.

file: --tone with this file. It is used on all scenes, and so is --tone srgb for captures that are sRGB. Otherwise srgb
and auto are measured on the first eight scenes. fitted: the curve that was fitted to captures that are sRGB, which
the file leaves out because the scenes do not show that it is needed. known: the curve itself, to 16 numbers. No better
fit of curves can remove its errors, since rounding, JPEG and noise are those of captures under the curve. No curve of
single channels undoes contrast on luma, so it has no such row.

mean: true error in HR px, as in accuracy.alignment, over the scenes that have an estimate, and its interval of 95 %
(from, to); loss: its mean increase against the same scenes under sRGB with --tone srgb, and the interval (low, high).
good: mean error over the pairs that are accepted under sRGB, and the upper end of its interval (good to). rejected:
those of them that are rejected, or have no estimate; below: the upper end of the interval of 95 % of their share.

With --work, rows are kept as they come, and a second run goes on where the first one ended.
"""

from __future__ import annotations

import contextlib
import csv
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np

from benchmarks.accuracy.tone_styles import CURVES, CURVES_OF_CHANNELS, Light, contrast, known_name
from benchmarks.intervals import Mean, mean_of, of_share
from benchmarks.program import PATH, print_and_store, program, with_out, with_size, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import BenchScene
from benchmarks.seeds import parse_seeds, purpose_of
from d2crealsr import opencv
from d2crealsr.align import Alignment, align_pair
from d2crealsr.dataset.find_tone import find_tone
from d2crealsr.imaging.tone_family import curve_name
from d2crealsr.jobs import threads
from d2crealsr.simulate import SIZES, encode_capture
from d2crealsr.simulate.sensor import balanced_light
from d2crealsr.simulate.shoot import mosaics
from d2crealsr.store.files import write_bytes
from d2crealsr.store.tone_file import ToneFile, read_tone_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d2crealsr.simulate.settings import SizeName

_LEVELS = 1 << 18

_COMPARED = 8
"""Number of scenes on which other values of ``--tone`` are compared with the file."""


class Work(NamedTuple):
    """The folder of what is kept, the size of the scored captures, and what the files of tone curves are made from."""

    folder: Path
    size: SizeName
    tone_size: SizeName
    tone_seeds: range

    @property
    def _made_from(self) -> str:
        return f"{self.tone_size}-{self.tone_seeds[0]}..{self.tone_seeds[-1]}"

    @property
    def rows(self) -> Path:
        """Table of what is measured so far with these files."""
        return self.folder / f"{self.size}-by-{self._made_from}-rows.csv"

    def raw(self, curve: str) -> Path:
        """Captures from which the file of tone curves is made."""
        return self.folder / f"{self._made_from}-{curve}"

    def tone_file(self, curve: str) -> Path:
        """The file of tone curves."""
        return self.folder / f"{self._made_from}-{curve}.json"


_COLUMNS = ("seed", "kind", "curve", "tone", "status", "mean", "worst", "sigma_hr_px")


def captures(scene: BenchScene) -> dict[str, tuple[bytes, bytes]]:
    """Files of HR and LR under each curve."""
    *raw, session = mosaics(scene.recipe, scene.settings)
    light = [balanced_light(mosaic, shot) for mosaic, shot in zip(raw, (session.hr, session.lr), strict=True)]
    files: dict[tuple[int, Any], bytes] = {}
    for side in (0, 1):
        for curve in {both[side] for both in CURVES.values()}:
            files[side, curve] = encode_capture(_developed(light[side], curve), "jpg")
    return {name: (files[0, both[0]], files[1, both[1]]) for name, both in CURVES.items()}


def _developed(light: Light, curve: Callable[[Light], Light]) -> Light:
    """Stored values of linear light, rounded once after the curve. Curves of single channels are tabulated."""
    if curve is contrast:
        return np.round(255 * np.clip(curve(light), 0, 1)).astype(np.uint8)
    table = np.round(255 * np.clip(curve(np.linspace(0, 1, _LEVELS)), 0, 1)).astype(np.uint8)
    return table[np.round(light * np.float32(_LEVELS - 1)).astype(np.int32)]


def make_tone_files(work: Work) -> dict[str, ToneFile]:
    """A file of tone curves for each curve, from scenes that are not scored."""
    wanted = [name for name in CURVES if not work.tone_file(name).is_file()]
    for seed in work.tone_seeds if wanted else ():
        last = work.raw(wanted[-1]) / "lr" / f"{seed}.jpg"
        if not last.is_file():
            made = captures(BenchScene(seed=seed, size=work.tone_size))
            for name in wanted:
                for side, data in zip(("hr", "lr"), made[name], strict=True):
                    write_bytes(work.raw(name) / side / f"{seed}.jpg", data)
    for name in wanted:
        found = find_tone(work.raw(name), work.tone_file(name))
        click.echo(f"{name}: {', '.join(f'{camera} {curve.tone}' for camera, curve in found.curves.items())}", err=True)
    return {name: read_tone_file(work.tone_file(name)) for name in CURVES}


def tones(curve: str, file: ToneFile, *, compared: bool) -> dict[str, str]:
    """The curves of HR and LR with which captures under a curve are aligned, by what is given to ``--tone``."""
    hr, lr = file.curves["hr"], file.curves["lr"]
    found = {"srgb": "srgb"} if compared or curve == "srgb" else {}
    found |= {"auto": "auto"} if compared else {}
    found["file"] = _named(hr.tone, lr.tone)
    if curve in CURVES_OF_CHANNELS:
        found["known"] = _named(*map(known_name, CURVES[curve]))
    if curve == "srgb":
        middles = (curve_name(np.mean(camera.interval, axis=1)) for camera in (hr, lr))
        found["fitted"] = "/".join(middles)
    return found


def _named(hr: str, lr: str) -> str:
    return hr if hr == lr else f"{hr}/{lr}"


def measure(scene: BenchScene, tone_files: dict[str, ToneFile], *, compared: bool) -> list[Row]:
    """A row for each curve and value of ``--tone`` of a scene."""
    rows = []
    for name, files in captures(scene).items():
        hr, lr = (opencv.as_image(opencv.decode(data)) for data in files)
        found: dict[str, Row] = {}
        for setting, tone in tones(name, tone_files[name], compared=compared).items():
            found[tone] = found.get(tone) or _row(scene, hr, lr, tone)
            rows.append({"seed": scene.seed, "kind": scene.kind, "curve": name, "tone": setting} | found[tone])
    return rows


def _row(scene: BenchScene, hr: Any, lr: Any, tone: str) -> Row:
    found = align_pair(hr, lr, scale=scene.scale, tone=tone)
    if not isinstance(found, Alignment):
        return {"status": found.reason}
    error = scene.error_of(found.estimate.placement.mapping, scene.crop_of(found))
    status = "accepted" if found.accepted else ";".join(found.reasons)
    sigma = found.statistics.get("sigma_hr_px", float("nan"))
    return {"status": status, "mean": error.mean, "worst": error.maximum, "sigma_hr_px": sigma}


def _kept(path: Path) -> list[Row]:
    """The rows of earlier runs."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows: list[Row] = list(csv.DictReader(file))
    for row in rows:
        row |= {"seed": int(row["seed"])}
        row |= {name: float(row[name] or "nan") for name in ("mean", "worst", "sigma_hr_px")}
    return rows


def _lacking(rows: Sequence[Row], wanted: range) -> list[int]:
    """The seeds that are not measured; or with the file only, but now among the first, which are compared."""
    done = {row["seed"] for row in rows}
    compared = {row["seed"] for row in rows if row["tone"] == "auto"}
    return [seed for seed in wanted if seed not in (compared if seed in wanted[:_COMPARED] else done)]


def _of_seeds(rows: Sequence[Row], wanted: range) -> list[Row]:
    """The rows of a run on these seeds: of a cell the last one, and other values of --tone on the first scenes only."""
    last = {(row["seed"], row["curve"], row["tone"]): row for row in rows if row["seed"] in wanted}
    first = wanted[:_COMPARED]
    return [
        row
        for (seed, curve, tone), row in last.items()
        if seed in first or tone not in ("srgb", "auto") or (curve, tone) == ("srgb", "srgb")
    ]


def _append(path: Path, rows: Sequence[Row]) -> None:
    is_new = not path.is_file()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS, restval="")
        if is_new:
            writer.writeheader()
        writer.writerows(rows)


def summarise(rows: Sequence[Row]) -> list[Row]:
    """A row for each curve and value of ``--tone``."""
    plain = {row["seed"]: row for row in rows if (row["curve"], row["tone"]) == ("srgb", "srgb")}
    table = []
    for curve, setting in dict.fromkeys((row["curve"], row["tone"]) for row in rows):
        of_both = [row for row in rows if (row["curve"], row["tone"]) == (curve, setting)]
        pairs = np.array([(row["mean"], plain[row["seed"]]["mean"]) for row in of_both])
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        good = [row for row in of_both if plain[row["seed"]]["status"] == "accepted"]
        rejected = sum(row["status"] != "accepted" for row in good)
        of_good = _mean(np.array([row["mean"] for row in good if np.isfinite(row["mean"])]))
        table.append(
            {"curve": curve, "--tone": setting, "scenes": len(pairs)}
            | dict(zip(("mean", "from", "to"), _mean(pairs[:, 0]), strict=True))
            | {"p95": float(np.percentile(pairs[:, 0], 95)) if len(pairs) else float("nan")}
            | dict(zip(("loss", "low", "high"), _mean(pairs[:, 0] - pairs[:, 1]), strict=True))
            | {"good": of_good.mean, "good to": of_good.high}
            | {"rejected": rejected, "of": len(good), "below": of_share(rejected, len(good))[1]}
        )
    return table


def _mean(values: Light) -> Mean:
    """The mean and its interval; nan if no scene has an estimate."""
    return mean_of(values) if len(values) else Mean(float("nan"), float("nan"), float("nan"))


@program(__doc__)
@click.option("--seeds", default="100..123", show_default=True, help="A..B, B included; a seed is a scored scene.")
@click.option("--tone-seeds", default="7000..7011", show_default=True, help="Scenes of the file of tone curves.")
@with_size("half")
@click.option("--tone-size", type=click.Choice(list(SIZES)), default="half", show_default=True, help="Their size.")
@click.option("--work", type=PATH, help="Folder of captures, files of tone curves and rows, which are kept.")
@with_out
@with_small("Two mini scenes", seeds="0..1", tone_seeds="7000..7005", size="mini", tone_size="mini")
def main(seeds: str, tone_seeds: str, size: SizeName, tone_size: SizeName, work: Path | None, out: Path | None) -> None:
    wanted, others = parse_seeds(seeds), parse_seeds(tone_seeds)
    if set(wanted) & set(others):
        raise click.UsageError("--seeds and --tone-seeds overlap; the file must come from other scenes")
    said = f"{size} size, {purpose_of(wanted)} seeds {wanted[0]}..{wanted[-1]}; curves found from "
    said += f"{purpose_of(others)} seeds {others[0]}..{others[-1]}, {tone_size} size"
    threads.use_one_thread()
    with contextlib.ExitStack() as stack:
        folder = work or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        table, rows = _scored(Work(folder, size, tone_size, others), wanted)
    print_and_store(f"Tone curves, {said}. Errors in HR px.\n\n{table}", out, {"-scenes": rows})


def _scored(work: Work, wanted: range) -> tuple[str, list[Row]]:
    """The table of the result, the curves that were found, and the rows."""
    tone_files = make_tone_files(work)
    lacking = _lacking(_kept(work.rows), wanted)
    for scene in (BenchScene(seed=seed, size=work.size) for seed in lacking):
        rows = measure(scene, tone_files, compared=scene.seed in wanted[:_COMPARED])
        _append(work.rows, rows)
        click.echo(f"{scene.seed} {scene.kind}: " + _told(rows), err=True)
    rows = _of_seeds(_kept(work.rows), wanted)
    found = [
        f"{name}: {camera} {curve.tone}" for name, file in tone_files.items() for camera, curve in file.curves.items()
    ]
    table = text_table(summarise(rows), digits=4)
    return "\n\n".join([table, "Curves found", "\n".join(found)]), rows


def _told(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row['curve']}/{row['tone']} {row.get('mean', float('nan')):.4f}" for row in rows)


if __name__ == "__main__":
    main()
