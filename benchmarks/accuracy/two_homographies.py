"""Exact truth on real optics: HR is aligned with its LR moved by one known homography, and moved by another.

    python -m benchmarks.accuracy.two_homographies --pairs DIR --out benchmarks/results/two-homographies

DIR has pairs of photographs of one size, such as City100. Where HR truly lies in such an LR is not known. So LR is
moved by two known homographies H1 and H2 and reduced, and HR is aligned with both. M2 after the inverse of M1 takes the
one LR to the other through HR. It must be H2·H1⁻¹, whatever the unknown mapping is. The homographies are drawn as two
shots of one card differ: turned by up to 1.5°, shrunk by up to 3 %, leaning by up to 1.5 % from side to side, moved by
up to 12 px. LR is interpolated in linear light by a B-spline of order 5 and reduced by means of blocks. Rows "HR" are a
control, in which HR takes the place of LR: there agreement and shared are errors too, because the truth is known.

Means over the grid of the crop, in HR px. exact: error of the way through HR, which has a part of both estimates;
single: exact/√2, the error of one estimate if the two err independently. What both have in common, such as an error
that is fixed to HR, is not in it. shared: this common part, which contains how well the authors aligned the pair.
agreement: how far an estimate is from the authors' alignment; own: how far from `align --scale 1` of the same pair.
true/predicted: rms of exact over rms of the standard error by both sigma_hr_px. The interval is that of the mean exact
over images.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.intervals import mean_of
from benchmarks.program import FOLDER, print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from d2crealsr.align import Alignment, align_pair
from d2crealsr.imaging import geometry, photometry
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.jobs import threads
from d2crealsr.store.images import read_image
from d2crealsr.store.layouts import find_pair_folder
from d2crealsr.truth.mapping_error import MappingError, crop_grid
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d2crealsr.store.layouts import ImagePair
    from d2crealsr.types import Array, Image, Matrix

_TURN_DEG, _SHRINK, _LEAN, _SHIFT_PX = 1.5, 0.03, 0.015, 12.0
_SPLINE = 5
"""Order of the B-spline. Its positions are not quantised, and it keeps contrast at all sub-pixel phases alike."""


class Moved(NamedTuple):
    """An LR capture, and the homography from the pixels of the image it was made of to its own."""

    lr: Image
    H: Matrix


def drawn(scene: str, number: int, size: Size) -> Matrix:
    """A homography about the middle of an image, by which two shots of one card may differ."""
    rng = np.random.default_rng([zlib.crc32(scene.encode()), number])
    turn = np.deg2rad(_TURN_DEG) * rng.uniform(-1, 1)
    cosine, sine = (1 - _SHRINK * rng.uniform()) * np.array([np.cos(turn), np.sin(turn)])
    lean = _LEAN * rng.uniform(-1, 1, 2) / size
    about = np.array([[cosine, -sine, 0], [sine, cosine, 0], [*lean, 1.0]])
    middle = geometry.frame_centre(size)
    back = geometry.translation(*(middle + _SHIFT_PX * rng.uniform(-1, 1, 2)))
    return geometry.compose(back, about, geometry.translation(*-middle))


def moved_light(image: Image, H: Matrix) -> NDArray[np.float32]:
    """An image in linear light, moved by a homography of its pixels; beyond its border it is mirrored."""
    light = photometry.to_linear(image, "srgb")
    size = Size.of(image)
    x, y = np.moveaxis(geometry.project(geometry.inverse(H), geometry.pixel_centres(size)), -1, 0)
    planes = [
        ndimage.map_coordinates(light[..., channel], [y, x], order=_SPLINE, mode="mirror") for channel in range(3)
    ]
    return np.stack(planes, axis=-1)


def reduced(light: NDArray[np.float32], H: Matrix, scale: int) -> Moved:
    """The means of blocks as a camera of fewer pixels stores them, and the homography to its pixels."""
    height, width = (side // scale for side in light.shape[:2])
    blocks = light[: height * scale, : width * scale].reshape(height, scale, width, scale, 3)
    lr = photometry.quantised(blocks.mean(axis=(1, 3), dtype=np.float32), "srgb", np.dtype(np.uint8))
    return Moved(lr, geometry.compose(geometry.inverse(geometry.scaling(scale)), H))


def compared(hr: Image, both: Sequence[Moved], scale: int, own: CaptureMapping | None) -> Row:
    """Align HR with both captures and compare; ``own`` is where HR lies in LR before it is moved, if that was found."""
    found = [align_pair(hr, moved.lr, scale=scale) for moved in both]
    first, second = found
    if not (isinstance(first, Alignment) and isinstance(second, Alignment)):
        return {"status": "no estimate"}
    reasons = sorted({*first.reasons, *second.reasons})
    p_lr = crop_grid(first.crop)
    ways = [first.estimate.placement.mapping, second.estimate.placement.mapping]
    error = _error(ways, both, p_lr, scale)
    p_hr = geometry.project(geometry.inverse(both[0].H), p_lr)
    off = [_off(way, moved, p_hr, p_hr) for way, moved in zip(ways, both, strict=True)]
    row: Row = {"status": ";".join(reasons) or "accepted", "exact": error.mean, "p95": error.p95, "rms": error.rms}
    row["predicted"] = float(np.hypot(*(one.statistics["sigma_hr_px"] for one in (first, second))))
    row |= {"shared": _length(sum(off) / 2), "agreement": float(np.mean([_length(one) for one in off]))}
    if own is not None:
        off = [_off(way, moved, p_hr, own.hr_to_lr(p_hr)) for way, moved in zip(ways, both, strict=True)]
        row["own"] = float(np.mean([_length(one) for one in off]))
    return row


def _error(ways: Sequence[CaptureMapping], both: Sequence[Moved], p_lr: Array, scale: int) -> MappingError:
    """How far the way from the first capture to the second through HR is from the known one."""
    known = geometry.compose(both[1].H, geometry.inverse(both[0].H))
    through = ways[1].hr_to_lr(ways[0].lr_to_hr(p_lr))
    return MappingError.of(scale * (through - geometry.project(known, p_lr)))


def _off(way: CaptureMapping, moved: Moved, p_hr: Array, p_image: Array) -> Array:
    """Where an estimate finds HR's content that lies at ``p_image`` in the unmoved image, minus where it lies in HR."""
    off: Array = way.lr_to_hr(geometry.project(moved.H, p_image)) - p_hr
    return off


def _length(displaced: Array) -> float:
    return float(np.linalg.norm(displaced, axis=1).mean())


def measure(pair: ImagePair, scale: int, draws: int) -> list[Row]:
    """A row for each couple of homographies by which LR is moved, and one for HR in the place of LR."""
    hr, lr = read_image(pair.hr), read_image(pair.lr)
    as_it_is = align_pair(hr, lr, scale=1)
    own = as_it_is.estimate.placement.mapping if isinstance(as_it_is, Alignment) else None
    rows = []
    for source, image, couple in (*(("LR", lr, draw) for draw in range(draws)), ("HR", hr, 0)):
        homographies = [drawn(pair.scene, 2 * couple + which, Size.of(image)) for which in (0, 1)]
        both = [reduced(moved_light(image, H), H, scale) for H in homographies]
        row = compared(hr, both, scale, own if source == "LR" else None)
        rows.append({"moved": source, "scene": pair.scene, "couple": couple} | row)
    return rows


def summarise(rows: Sequence[Row]) -> list[Row]:
    """Two rows for LR and two for the control: over all estimates and over the accepted ones."""
    table = []
    for source in dict.fromkeys(row["moved"] for row in rows):
        mine = [row for row in rows if row["moved"] == source]
        accepted = [row for row in mine if row["status"] == "accepted"]
        table.append(_summary(source, "all", [row for row in mine if "exact" in row], len(mine)))
        table.append(_summary(source, "accepted", accepted, len(mine)))
    return table


def _summary(source: str, name: str, rows: Sequence[Row], of: int) -> Row:
    summary: Row = {"moved": source, "estimates": name, "n": len(rows), "of": of}
    if not rows:
        return summary
    by_image = [
        float(np.mean([row["exact"] for row in rows if row["scene"] == scene]))
        for scene in dict.fromkeys(row["scene"] for row in rows)
    ]
    exact, rms, predicted = (np.array([row[key] for row in rows]) for key in ("exact", "rms", "predicted"))
    middle = mean_of(by_image)
    summary |= {"exact": middle.mean, "low": middle.low, "high": middle.high, "median": float(np.median(exact))}
    summary |= {"largest": float(exact.max()), "single": middle.mean / float(np.sqrt(2))}
    for key in ("shared", "agreement", "own"):
        summary[key] = float(np.mean([row.get(key, float("nan")) for row in rows]))
    return summary | {"true/predicted": float(np.sqrt(np.mean(rms**2) / np.mean(predicted**2)))}


@program(__doc__)
@click.option("--pairs", required=True, type=FOLDER, help="Folder of pairs of one size, such as City100.")
@click.option("--scale", type=click.IntRange(1, 8), default=4, show_default=True, help="Reduction of the moved image.")
@click.option("--draws", type=click.IntRange(1), default=2, show_default=True, help="Couples of homographies an image.")
@click.option("--scenes", type=click.IntRange(1), help="Only the first so many pairs.")
@with_out
@with_small("One pair and one couple of homographies", scenes=1, draws=1)
def main(pairs: Path, scale: int, draws: int, scenes: int | None, out: Path | None) -> None:
    threads.use_one_thread()
    rows: list[Row] = []
    for pair in find_pair_folder(pairs, scale=1).pairs[:scenes]:
        new = measure(pair, scale, draws)
        click.echo(f"{pair.scene}: {', '.join(_told(row) for row in new)}", err=True)
        rows += new
    images = len({row["scene"] for row in rows})
    about = f"Two known homographies at x{scale}: {images} images, {draws} couples each. Errors in HR px."
    print_and_store(f"{about}\n\n{text_table(summarise(rows))}", out, {"-scenes": rows})


def _told(row: Row) -> str:
    return f"{row['moved']} {row.get('exact', float('nan')):.3f} {row['status']}"


if __name__ == "__main__":
    main()
