"""What QA makes of captures whose colours or exposure are wrong, and what masking clipped HR pixels is worth.

    python -m benchmarks.accuracy.qa_light --seeds 100..159 --jobs 2 --cache scenes --out benchmarks/results/qa-light
    python -m benchmarks.accuracy.qa_light --class hr+1 --class hr-mono --seeds 0..19 --cache scenes

Every class is the same default captures with one change. Colours are changed in the finished capture, which is
compressed again as JPEG of quality 95: black and white, reduced saturation (towards JPEG's luma), exchanged channels,
and the colour matrix of another camera, in linear light. An exposure is changed before the sensor, by stops.

error: rms of the true mean error over the accepted pairs, in HR px, with clipped HR pixels masked and without; a dash
where no pair was accepted. predicted: rms of sigma_hr_px of the same pairs. colour: median and 95th percentile of
colour_difference over the aligned pairs, in CIELAB units.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from typing import TYPE_CHECKING, TypeAlias
from unittest import mock

import click
import numpy as np

from benchmarks.program import Run, over_scenes, program, with_cache, with_jobs, with_seeds, with_size, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import PLAIN, captures_of
from d2crealsr import opencv
from d2crealsr.align import align_pair
from d2crealsr.imaging import photometry
from d2crealsr.simulate import shoot
from d2crealsr.types import AlignmentFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.scenes import BenchScene
    from d2crealsr.types import Image

    Change: TypeAlias = Callable[[Image], Image]
    Shown: TypeAlias = tuple[Image, Image]

MATRICES = {
    "mild": ((1.12, -0.10, -0.02), (-0.05, 1.10, -0.05), (0.01, -0.12, 1.11)),
    "dull": ((0.88, 0.14, -0.02), (0.06, 0.88, 0.06), (0.00, 0.10, 0.90)),
    "strong": ((1.25, -0.20, -0.05), (-0.12, 1.20, -0.08), (0.02, -0.25, 1.23)),
    "raw": ((0.75, 0.20, 0.05), (0.12, 0.78, 0.10), (0.02, 0.22, 0.76)),
}
"""From the linear sRGB of one camera to that of another. Rows sum to 1, so grey stays grey. Two cameras that both
develop to sRGB differ by the mild or the dull one; one of them set to vivid colours, or to none of a camera's own
colour correction, by the others."""


def _stored(encoded: np.ndarray) -> Image:
    """Encoded values on [0, 1] as a camera would store them."""
    pixels = np.rint(255 * np.clip(encoded, 0, 1)).astype(np.uint8)
    return opencv.as_image(opencv.decode(opencv.encode_jpeg(pixels, 95)))


def with_saturation(image: Image, share: float) -> Image:
    """The picture with this share of its saturation; 0: black and white."""
    luma = photometry.encoded_luma(image)[..., None]
    return _stored(luma + share * (image / np.float32(255) - luma))


def with_channels(image: Image, order: tuple[int, int, int]) -> Image:
    """The picture with its channels in another order."""
    return opencv.as_image(np.ascontiguousarray(image[..., list(order)]))


def with_matrix(image: Image, name: str) -> Image:
    """The picture as a camera with another colour matrix would have developed it."""
    linear = photometry.to_linear(image, "srgb") @ np.array(MATRICES[name], np.float32).T
    return _stored(photometry.encode_clipped(linear, "srgb"))


CHANGES: dict[str, Change] = {
    "mono": lambda image: with_saturation(image, 0.0),
    "saturation-0.3": lambda image: with_saturation(image, 0.3),
    "saturation-0.5": lambda image: with_saturation(image, 0.5),
    "saturation-0.7": lambda image: with_saturation(image, 0.7),
    "red-blue": lambda image: with_channels(image, (2, 1, 0)),
    "red-green": lambda image: with_channels(image, (1, 0, 2)),
    **{f"matrix-{name}": functools.partial(with_matrix, name=name) for name in MATRICES},
}
"""Changes of one capture's colours by name."""

STOPS = {"hr+1/3": 1 / 3, "hr+2/3": 2 / 3, "hr+1": 1.0, "hr+1.5": 1.5, "hr+2": 2.0}
"""Overexposures of HR by name."""

GREY = "both-mono"
CLASSES = (PLAIN, GREY, *(f"{side}-{name}" for side in ("hr", "lr") for name in CHANGES), *STOPS)
EXTRA = ("lr-exposure-x4", "lr-psf", "chromatic-aberration", "halftone-133", "inkjet", "tilt")


def shown(scene: BenchScene, name: str, cache: Path | None) -> Shown:
    """The captures of a class."""
    if name in STOPS:
        session = scene.truth.session
        brighter = dataclasses.replace(session.hr, exposure=session.hr.exposure * 2 ** STOPS[name])
        made = shoot(scene.recipe, scene.settings, session=dataclasses.replace(session, hr=brighter))
        return _stored(made.hr / np.float32(255)), _stored(made.lr / np.float32(255))
    hr, lr = captures_of(scene, cache)
    side, _, change = name.partition("-")
    if name != PLAIN and side in ("hr", "both"):
        hr = CHANGES[change](hr)
    if name != PLAIN and side in ("lr", "both"):
        lr = CHANGES[change](lr)
    return hr, lr


def measure(scene: BenchScene, name: str, cache: Path | None) -> Row:
    """Align one scene of a class; where its exposure was changed, also without the mask of clipped HR pixels."""
    hr, lr = shown(scene, name, cache)
    start = time.perf_counter()
    row: Row = {"class": name, "seed": scene.seed, "kind": scene.kind, **_facts(scene, hr, lr)}
    row["seconds"] = round(time.perf_counter() - start, 2)
    if name in STOPS:
        with mock.patch.object(photometry, "reduced_clipping", return_value=None):
            row |= {f"{key}_unmasked": value for key, value in _facts(scene, hr, lr).items() if key in _NUMBERS[:3]}
    return row


_NUMBERS = ("error_mean", "error_max", "sigma_hr_px", "colour_difference", "colour_ratio", "hr_clipped_fraction")


def _facts(scene: BenchScene, hr: Image, lr: Image) -> Row:
    found = align_pair(hr, lr)
    nothing: Row = dict.fromkeys(_NUMBERS, float("nan"))
    if isinstance(found, AlignmentFailure):
        return {"status": "failed", "reasons": found.reason, **nothing}
    error = scene.error_of(found.estimate.placement.mapping, scene.crop_of(found))
    numbers: Row = {key: float(found.statistics[key]) for key in _NUMBERS if key in found.statistics}
    return {
        "status": "accepted" if found.accepted else "rejected",
        "reasons": ";".join(found.reasons),
        **nothing,
        **numbers,
        "error_mean": error.mean,
        "error_max": error.maximum,
    }


def summarise(rows: Sequence[Row]) -> list[Row]:
    """One row a class."""
    return [
        _summary(name, [row for row in rows if row["class"] == name])
        for name in dict.fromkeys(r["class"] for r in rows)
    ]


def _summary(name: str, rows: Sequence[Row]) -> Row:
    accepted = [row for row in rows if row["status"] == "accepted"]
    aligned = [row for row in rows if row["status"] != "failed"]
    both = [row for row in aligned if np.isfinite(row.get("error_mean_unmasked", np.nan))]
    reasons = [reason for row in rows for reason in row["reasons"].split(";") if reason]
    return {
        "class": name,
        "scenes": len(rows),
        "failed": len(rows) - len(aligned),
        "accepted": len(accepted),
        "colour": _spread(aligned, "colour_difference"),
        "share": _spread(aligned, "colour_ratio"),
        "HR clipped": _spread(aligned, "hr_clipped_fraction"),
        "error": _rms(accepted, "error_mean"),
        "predicted": _rms(accepted, "sigma_hr_px"),
        "masked": _rms(both, "error_mean"),
        "unmasked": _rms(both, "error_mean_unmasked"),
        "rejected for": ", ".join(f"{reason} {reasons.count(reason)}" for reason in dict.fromkeys(reasons)),
    }


def _rms(rows: Sequence[Row], name: str) -> str:
    values = np.array([row[name] for row in rows], float)
    return f"{np.sqrt(np.nanmean(values**2)):.3f}" if len(values) and np.isfinite(values).any() else "-"


def _spread(rows: Sequence[Row], name: str) -> str:
    values = np.array([row[name] for row in rows], float)
    values = values[np.isfinite(values)]
    return "{:.2f} {:.2f} {:.2f}".format(*np.percentile(values, [5, 50, 95])) if len(values) else "-"


def _told(row: Row) -> str:
    return f"{row['class']} {row['seed']} {row['status']} {row['reasons']} {row['seconds']:.1f} s"


@program(__doc__)
@over_scenes(
    *(with_seeds("0..19"), with_size("mini"), with_jobs, with_cache),
    with_small("A few scenes of three classes", classes=(PLAIN, "hr-mono", "hr+1"), seeds="0..1"),
)
@click.option(
    "--class", "classes", multiple=True, type=click.Choice(CLASSES + EXTRA), help="Only this class; repeatable."
)
def main(run: Run, classes: tuple[str, ...]) -> None:
    rows: list[Row] = []
    for name in classes or CLASSES:
        nuisance, change = (name, PLAIN) if name in EXTRA else (PLAIN, name)
        measured = functools.partial(measure, name=change, cache=run.cache)
        rows += [{**row, "class": name} for row in run.each(measured, run.scenes(nuisance=nuisance), told=_told)]
    run.store(f"Colours and exposure: {run.about}\n\n{text_table(summarise(rows), digits=0)}", rows)


if __name__ == "__main__":
    main()
