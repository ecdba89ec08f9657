"""Are small captures registered if one of the cameras was turned? Simulated ones, and photographs turned by arithmetic.

    python -m benchmarks.accuracy.small_and_turned --seeds 100..199 --out benchmarks/results/small-and-turned
    python -m benchmarks.accuracy.small_and_turned --photos FOLDER --seeds 100..119

Each seed is a scene under one megapixel at scale 2 or 3 whose LR camera is turned by 30 to 90 degrees to either side
(nuisance "rolled"); its frame is 600 to 1200 px wide. With --photos, HR is the middle 850x680 px of a photograph in the
folder, and LR the whole photograph, blurred, reduced by 1.8 to 3.2, turned likewise, with noise.

right: accepted, with a mean true error below .3 HR px; its share is given with the exact interval of Clopper and
Pearson at 95 %.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np

from benchmarks.intervals import of_share
from benchmarks.program import FOLDER, Run, over_scenes, program, with_jobs, with_seeds, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import BenchScene
from d2crealsr import opencv
from d2crealsr.align import Alignment, align_pair
from d2crealsr.errors import SettingsError
from d2crealsr.imaging import geometry, photometry
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.simulate import shoot
from d2crealsr.simulate.shoot import session_for
from d2crealsr.store.images import read_image
from d2crealsr.truth.mapping_error import mapping_error
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.types import Image

RIGHT_HR_PX = 0.3
_HR_OF_PHOTO = Size(850, 680)
_LR_BLUR = 0.6
"""Blur of LR made from a photograph, in LR px."""
_NOISE = 0.004
_SUFFIXES = (".png", ".jpg", ".jpeg")


class Turned(NamedTuple):
    """Two captures, where HR truly lies in LR, and what they are."""

    hr: Image
    lr: Image
    true: CaptureMapping
    scale: int
    facts: Row


def simulated(seed: int) -> Turned:
    """A small scene of the nuisance "rolled"."""
    rng = np.random.default_rng([seed, 3])
    width = 2 * int(rng.integers(300, 601))
    size = Size(width, 2 * (width // 3))
    scene = BenchScene(seed=seed, size="mini", nuisance="rolled", scale=2 + seed % 2)
    session = replace(session_for(scene.recipe, scene.settings), size=size)
    made = shoot(scene.recipe, scene.settings, session=session)
    true = CaptureMapping(H_hr_to_lr=made.truth.H_hr_to_lr, hr_size=size, lr_size=size)
    turn = session.lr.roll - session.hr.roll
    facts: Row = {"of": f"x{scene.scale}", "card": scene.recipe.generator, "turn_deg": turn}
    return Turned(made.hr, made.lr, true, scene.scale, facts)


def of_photo(seed: int, photos: Sequence[Path]) -> Turned:
    """A photograph and its turned, reduced copy."""
    rng, path = np.random.default_rng([seed, 4]), photos[seed % len(photos)]
    photo = read_image(path)
    whole, reduction = Size.of(photo), float(rng.uniform(1.8, 3.2))
    turn = float(rng.uniform(30, 90)) * float(rng.choice([-1, 1]))
    hr_size = Size(*(min(side, most) for side, most in zip(whole, _HR_OF_PHOTO, strict=True)))
    left, top = (whole.width - hr_size.width) // 2, (whole.height - hr_size.height) // 2
    c, s = abs(np.cos(np.radians(turn))), abs(np.sin(np.radians(turn)))
    lr_size = Size(
        int((whole.width * c + whole.height * s) / reduction), int((whole.width * s + whole.height * c) / reduction)
    )
    H_photo_to_lr = _turned(whole, lr_size, turn, reduction)
    light = opencv.blur(photometry.to_linear(photo, "srgb"), _LR_BLUR * reduction)
    lr = opencv.warp(light, geometry.inverse(H_photo_to_lr), lr_size, "linear", outside="zero")
    noisy = (lr + _NOISE * rng.standard_normal(lr.shape)).astype(np.float32)
    true = geometry.compose(H_photo_to_lr, geometry.translation(left, top))
    return Turned(
        opencv.as_image(np.ascontiguousarray(photo[top : top + hr_size.height, left : left + hr_size.width])),
        photometry.quantised(noisy, "srgb", np.dtype(np.uint8)),
        CaptureMapping(H_hr_to_lr=true, hr_size=hr_size, lr_size=lr_size),
        round(reduction),
        {"of": f"x{round(reduction)}", "card": path.name, "turn_deg": turn, "reduction": reduction},
    )


def _turned(source: Size, target: Size, turn_deg: float, reduction: float) -> geometry.Matrix:
    """The mapping that turns an image about its centre, reduces it, and puts it into the middle of another."""
    t = np.radians(turn_deg)
    turned = np.array([[np.cos(t), -np.sin(t), 0], [np.sin(t), np.cos(t), 0], [0, 0, reduction]])
    there, back = geometry.frame_centre(target), geometry.frame_centre(source)
    return geometry.compose(geometry.translation(*there), turned / reduction, geometry.translation(*-back))


def measure(seed: int, photos: Sequence[Path] = ()) -> Row:
    """One scene: what became of it, and its true error."""
    pair = of_photo(seed, photos) if photos else simulated(seed)
    row = {"seed": seed} | pair.facts | {"hr": "{}x{}".format(*Size.of(pair.hr))}
    found = align_pair(pair.hr, pair.lr, scale=pair.scale)
    if not isinstance(found, Alignment):
        return row | {"status": found.reason}
    row |= {"status": "accepted" if found.accepted else ";".join(found.reasons)}
    if found.crop.width * found.crop.height == 0:
        return row
    error = mapping_error(found.estimate.placement, pair.true)
    sigma = found.statistics.get("sigma_hr_px", float("nan"))
    return row | {"mean": error.mean, "worst": error.maximum, "rms": error.rms, "sigma_hr_px": sigma}


def is_right(row: Row) -> bool:
    """Whether a pair is accepted with a small error."""
    return bool(row["status"] == "accepted" and row["mean"] < RIGHT_HR_PX)


def summarise(rows: Sequence[Row]) -> list[Row]:
    """One row for all, and one for each scale."""
    groups = {"all": list(rows)}
    groups |= {scale: [row for row in rows if row["of"] == scale] for scale in sorted({row["of"] for row in rows})}
    return [{"scenes": name} | _summary(group) for name, group in groups.items()]


def _summary(rows: Sequence[Row]) -> Row:
    right = [row for row in rows if is_right(row)]
    accepted = [row for row in rows if row["status"] == "accepted"]
    low, high = of_share(len(right), len(rows))
    summary: Row = {"count": len(rows), "accepted": len(accepted), "right": len(right)}
    summary |= {"share": len(right) / len(rows), "from": low, "to": high}
    if accepted:
        true, predicted = (np.array([row[name] for row in accepted]) for name in ("rms", "sigma_hr_px"))
        summary |= {"mean": float(np.mean([row["mean"] for row in accepted]))}
        summary |= {"largest": float(np.max([row["mean"] for row in accepted]))}
        summary |= {"true/predicted": float(np.sqrt(np.mean(true**2) / np.mean(predicted**2)))}
    return summary


def _told(row: Row) -> str:
    error = row.get("mean", float("nan"))
    return f"{row['seed']} {row['card']} {row['of']} {row['turn_deg']:.0f}: {row['status']} {error:.3f}"


def _photos(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise SettingsError(f"photos: no {', '.join(_SUFFIXES)} in {folder.name}; change --photos")
    return found


@program(__doc__)
@over_scenes(with_seeds("100..199"), with_jobs, with_small("Two scenes", seeds="0..1"))
@click.option("--photos", type=FOLDER, help="Make the captures from the photographs of this folder.")
def main(run: Run, photos: Path | None) -> None:
    files = _photos(photos) if photos else []
    rows = run.each(functools.partial(measure, photos=files), run.wanted, told=_told)
    kind = "Photographs, turned and reduced" if photos else "Simulated scenes"
    failing = [row for row in rows if not is_right(row)]
    parts = [
        f"{kind}, {run.of_seeds}. Errors in HR px.",
        text_table(summarise(rows)),
        "Not right",
        text_table(failing, ("seed", "card", "of", "hr", "turn_deg", "status", "mean", "sigma_hr_px")),
    ]
    run.store("\n\n".join(parts), rows)


if __name__ == "__main__":
    main()
