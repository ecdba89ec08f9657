"""Why do refinement and the blocks of `audit` disagree by some hundredths of a pixel on real pairs of scale 1?

    python -m benchmarks.accuracy.refinement_and_blocks --pairs DIR --out benchmarks/results/refinement-and-blocks

DIR has pairs of photographs of one size, such as City100. The truth is not known, but the two measurements can be led
into one another. Refinement minimises the weighted residuals of all pixels under one mapping, one blur and a smooth
illumination. A block has a shift, a gain and an offset of its own, and its weight is at most 1, whatever its texture.
From refinement's own residuals and slopes, shifts are computed in blocks of 24 px in four ways: with refinement's
illumination or with gain and offset of each block, and weighted by their texture or as `audit` does. With the first
choice twice, refinement's result must come back.

Fields are described by a homography and k1 (nine numbers), root mean square over the blocks in px. field: what the
blocks of `audit` leave after refinement; the next four columns: what is left of this field without the one of each way.
k1: by refinement, and by the blocks of the published pair. Colours: for red, green and blue alone, with gain and offset
of each block. blue x, y: mean shift of blue against green. rest: root mean square on an axis, beyond the nine numbers;
common: root of what red and blue have in common of it, with the sign of their covariance. They share no pixel of the
sensor, so a displacement of the content is in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click
import numpy as np

from benchmarks.program import FOLDER, print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from d2crealsr.errors import ImageError
from d2crealsr.imaging import degrade, geometry, photometry
from d2crealsr.imaging.comparison import LrCrop
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.jobs import threads
from d2crealsr.registration.gauss_newton import Fit, gauss_newton
from d2crealsr.registration.prediction import FIELD, Parameters, Predictor
from d2crealsr.registration.refine import covered, with_brightness
from d2crealsr.store.images import read_image
from d2crealsr.store.layouts import find_pair_folder
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.lr_part import LrPart
    from d2crealsr.store.layouts import ImagePair
    from d2crealsr.types import Array, Image, ResidualField

_TONE, _BLOCK = "srgb", 24
_SOFTENING_PX, _SETTLED_PX = 0.7, 0.004
"""As in refinement."""
_TRUSTED_PX, _USELESS_PX = 0.2, 1.0
"""Standard errors at which a block of `audit` has half its weight, and none."""
_CORRELATED = 3.0
"""Factor on the standard errors of blocks, because the residuals of neighbouring pixels are correlated."""


class Shifts(NamedTuple):
    """Shifts (B, 2) of blocks at positions in HR, their information (B, 2, 2), and their weight as in `audit` (B,)."""

    at: Array
    shift: Array
    information: Array
    weight: Array


class Fitted(NamedTuple):
    """A refined pair: what predicts LR, the part of LR that is predicted, and the fit."""

    predictor: Predictor
    part: LrPart
    fit: Fit


def _terms(at: Array, size: Size) -> Array:
    """Movement of points by the nine numbers, (B, 2, 9), in px."""
    unit = geometry.UnitFrame.of(size)
    points = unit.of_points(at)
    by_lens = -points * np.sum(points**2, axis=1, keepdims=True)
    moves = np.concatenate([geometry.homography_terms(*points.T, *points.T), by_lens[..., None]], axis=2)
    scaled: Array = moves * unit.length
    return scaled


def nine_numbers(at: Array, shift: Array, information: Array, size: Size) -> Array:
    """Homography and k1 whose field fits weighted shifts best: the factors of :func:`_terms`."""
    terms = _terms(at, size)
    matrix = np.einsum("bik,bij,bjl->kl", terms, information, terms)
    right = np.einsum("bik,bij,bj->k", terms, information, shift)
    large = np.sqrt(np.diag(matrix))
    numbers: Array = np.linalg.solve(matrix / np.outer(large, large) + 1e-10 * np.eye(9), right / large) / large
    return numbers


def _equal(weights: Array) -> Array:
    return weights[:, None, None] * np.eye(2)


def refined(hr: LinearReduced, lr: Image, start: CaptureMapping, sigma: float) -> Fitted:
    """Refinement at scale 1, with all that it knew at its end."""
    part = covered(hr, lr, start, sigma, _TONE)
    if part is None:
        raise ImageError("too_small", "the pair is too small to refine")
    blur = float(np.hypot(sigma, _SOFTENING_PX))
    part = part.softened(_SOFTENING_PX).compared_with(hr, start, blur)
    predictor = Predictor(hr, _TONE)
    begin = with_brightness(Parameters(start, blur, np.ones(3), np.zeros(FIELD), 0.0), predictor, part)
    fit = gauss_newton(predictor, part, begin, begin, "radial", _SETTLED_PX)
    if fit is None:
        raise ImageError("too_small", "refinement of the pair diverges")
    return Fitted(predictor, part, fit)


def shifts(slopes: Array, residual: Array, weight: Array, own: Sequence[Array], block: Array, at: Array) -> Shifts:
    """Shifts of blocks by least squares, each block with factors of its own on the columns ``own``.

    Parameters
    ----------
    slopes : (N, 2) ndarray
    residual, weight : (N,) ndarray
    block : (N,) ndarray
        The number of each pixel's block.
    at : (N, 2) ndarray
        Positions of the pixels in HR.
    """
    count = int(block.max()) + 1
    columns = np.column_stack([slopes, residual, *own]).astype(np.float64)

    def products(a: Array, b: Array) -> Array:
        pairs = [[np.bincount(block, weight * x * y, count) for y in b.T] for x in a.T]
        return np.moveaxis(np.array(pairs), -1, 0)

    if own:
        among = np.linalg.pinv(products(columns[:, 3:], columns[:, 3:]), rcond=1e-9, hermitian=True)
        factors = among @ products(columns[:, 3:], columns[:, :3])
        columns[:, :3] -= np.einsum("nk,nkj->nj", columns[:, 3:], factors[block])
    information = products(columns[:, :2], columns[:, :2])
    usual = np.trace(information, axis1=1, axis2=2).mean()
    inverse = np.linalg.inv(information + 1e-6 * usual * np.eye(2))
    shift = (inverse @ products(columns[:, :2], columns[:, 2:3]))[..., 0]
    left = columns[:, 2] - np.sum(columns[:, :2] * shift[block], axis=1)
    pixels = np.bincount(block, minlength=count)
    noise = np.bincount(block, weight * left**2, count) / np.maximum(np.bincount(block, weight > 0, count) - 2, 1)
    error = _CORRELATED * np.sqrt(noise * np.trace(inverse, axis1=1, axis2=2))
    audited = np.where(error < _USELESS_PX, 1 / (1 + (error / _TRUSTED_PX) ** 2), 0.0)
    middle = np.column_stack([np.bincount(block, x, count) for x in at.T]) / pixels[:, None]
    return Shifts(middle, shift, information, audited)


def measure(pair: ImagePair) -> Row:
    """The row of a pair."""
    hr, lr = read_image(pair.hr), read_image(pair.lr)
    size, source = Size.of(hr), degrade.reduced(hr, 1, _TONE)
    as_published = CaptureMapping(H_hr_to_lr=np.eye(3), hr_size=size, lr_size=Size.of(lr))
    before, sigma = _audited(source, lr, Crop(0, 0, *Size.of(lr)), as_published)
    k1_of_blocks = nine_numbers(before.points_lr, before.shifts_hr_px, _equal(before.weights), size)[8]
    found = refined(source, lr, as_published, sigma)
    mapping = found.fit.parameters.mapping
    after, _ = _audited(source, lr, found.part.crop, mapping)
    at = mapping.lr_to_hr(after.points_lr)
    row: Row = {"scene": pair.scene, "k1": mapping.k1_hr, "k1 of blocks": float(k1_of_blocks)}
    return row | _ways(found, at, after, size) | _colours(found, size)


def _audited(source: LinearReduced, lr: Image, crop: Crop, mapping: CaptureMapping) -> tuple[ResidualField, float]:
    """The blocks of `audit` under a mapping, and LR's blur."""
    lr_crop, look = LrCrop.of(lr, crop, _TONE, scale=1).with_look(source, mapping)
    return lr_crop.residuals(look, mapping), look.sigma_hr_px


def _pixels(found: Fitted) -> tuple[Array, Array]:
    """The number of the block of each pixel, and its position in HR."""
    positions = found.part.positions.reshape(-1, 2)
    column, row = (positions // _BLOCK).astype(int).T
    block = np.unique(row * (column.max() + 1) + column, return_inverse=True)[1]
    return block, found.fit.parameters.mapping.lr_to_hr(positions)


def _ways(found: Fitted, at: Array, after: ResidualField, size: Size) -> Row:
    """The field that `audit` finds, and what is left of it without the field of each way."""
    terms = _terms(at, size)
    field = terms @ nine_numbers(at, after.shifts_hr_px, _equal(after.weights), size)
    block, in_hr = _pixels(found)
    system = found.fit.system
    slopes = system.jacobian[[2, 5]].T / found.predictor.unit.length
    luma = found.predictor.luma(found.fit.parameters, found.part)
    row: Row = {"field": _rms(field)}
    for light, own in (("one light", ()), ("own light", (np.ones_like(luma), luma))):
        ways = shifts(slopes, system.residual, system.weight, own, block, in_hr)
        for weighted, information in (("texture", ways.information), ("audit", _equal(ways.weight))):
            numbers = nine_numbers(ways.at, ways.shift, information, size)
            row[f"{light}, {weighted}"] = _rms(field - terms @ numbers)
    return row


def _colours(found: Fitted, size: Size) -> Row:
    """What blue shows against green, and what red and blue have in common beyond the nine numbers."""
    block, in_hr = _pixels(found)
    linear = np.maximum(found.predictor.linear(found.fit.parameters, found.part), 1e-4)
    predicted = photometry.encode_with_slope(linear, _TONE)[0]
    observed = photometry.encode_with_slope(np.maximum(found.part.rgb, 1e-4), _TONE)[0]
    trusted = found.part.trusted.ravel().astype(np.float64)
    by_colour: list[Shifts] = []
    for channel in range(3):
        seen = predicted[..., channel]
        slopes = np.column_stack([np.gradient(seen, axis=axis).ravel() for axis in (1, 0)])
        residual = (observed[..., channel] - seen).ravel()
        by_colour.append(shifts(slopes, residual, trusted, (np.ones(seen.size), seen.ravel()), block, in_hr))
    red, green, blue = by_colour
    both = blue.weight * green.weight
    apart = both @ (blue.shift - green.shift) / both.sum()
    rest = [
        one.shift - _terms(one.at, size) @ nine_numbers(one.at, one.shift, _equal(one.weight), size)
        for one in by_colour
    ]
    row: Row = {"blue x": float(apart[0]), "blue y": float(apart[1])}
    row["rest of green"] = _axis(green.weight**2, rest[1], rest[1])
    return row | {"common": _axis(red.weight * blue.weight, rest[0], rest[2])}


def _axis(weight: Array, a: Array, b: Array) -> float:
    """Root of the weighted mean product of two fields on an axis, with its sign."""
    product = float(weight @ np.sum(a * b, axis=1) / weight.sum()) / 2
    return float(np.copysign(np.sqrt(abs(product)), product))


def _rms(field: Array) -> float:
    return float(np.sqrt(np.mean(np.sum(field**2, axis=1))))


@program(__doc__)
@click.option("--pairs", required=True, type=FOLDER, help="Folder of pairs of one size, such as City100.")
@click.option("--scenes", type=click.IntRange(1), help="Only the first so many pairs.")
@with_out
@with_small("One pair", scenes=1)
def main(pairs: Path, scenes: int | None, out: Path | None) -> None:
    threads.use_one_thread()
    rows: list[Row] = []
    for pair in find_pair_folder(pairs, scale=1).pairs[:scenes]:
        rows.append(measure(pair))
        click.echo(", ".join(f"{name} {value}" for name, value in rows[-1].items()), err=True)
    numbers = [name for name in rows[0] if name != "scene"]
    middle: list[Row] = [
        {"scene": name} | {key: float(of([row[key] for row in rows])) for key in numbers}
        for name, of in (("median", np.median), ("mean", np.mean), ("deviation", np.std))
    ]
    about = f"Refinement and blocks at scale 1, {len(rows)} pairs. Px of the pairs."
    print_and_store(f"{about}\n\n{text_table(rows + middle, digits=4)}", out)


if __name__ == "__main__":
    main()
