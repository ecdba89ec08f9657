"""How far is a pair aligned at scale 1, where its captures are shifted by a fraction of a pixel everywhere?

    python -m benchmarks.accuracy.same_scale --seeds 100..163 --out benchmarks/results/same-scale

Each seed makes two pairs with exact truth. "rendered": two shots of one card by the simulator's cameras, Bayer filter
and noise included, that differ by a shift. "moved": the simulator's noise-free picture of the card as HR, and as LR the
same picture blurred, moved by a Fourier shift, with noise of its own. HR is the sharper image of both. Shifts are drawn
from -1.5 to 1.5 px on each axis.

True error: as in accuracy.alignment. pixels: mean shift of the published pixels, measured without the mapping (rendered
pairs only). true/predicted: rms true error over rms predicted standard error. bound: rms of the least possible standard
error by the noise of both captures (accuracy.noisy_bound).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks.accuracy.noisy_bound import NoisyPair, bound
from benchmarks.program import Run, over_scenes, program, with_jobs, with_seeds, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.scenes import BenchScene
from d2crealsr.align import Alignment, align_pair
from d2crealsr.imaging import geometry, photometry
from d2crealsr.imaging.geometry import CaptureMapping
from d2crealsr.simulate import shoot
from d2crealsr.simulate.photographs import wheel_library
from d2crealsr.simulate.recipe import stream
from d2crealsr.simulate.render import Grid, Sampling, light_on
from d2crealsr.simulate.sensor import BASE_EXPOSURE, FULL_WELL, READ_NOISE
from d2crealsr.simulate.shoot import lay_card, printed, session_for
from d2crealsr.truth.mapping_error import crop_grid, mapping_error
from d2crealsr.truth.shift import fourier_shift, linear_luma, measure_shift
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.simulate import Scene, Session
    from d2crealsr.types import Array, Image

SIZE = Size(600, 400)
LARGEST_SHIFT_PX = 1.5
_PSF_HR, _PSF_LR = (0.6, 0.8), (0.9, 1.3)
_NOISE = 0.004
"""Standard deviation of the noise of moved pairs, in linear light."""
_RGGB = np.array([0.25, 0.5, 0.25])
"""Share of the sensor's pixels that measure each colour."""


class _Drawn(NamedTuple):
    """A shift of LR's content in px, and the blur of both shots in px."""

    shift: Array
    psf_hr: float
    psf_lr: float


class SamePair(NamedTuple):
    """Two captures of one scale, where HR truly lies in LR, and what the ideal observer knows of them."""

    hr: Image
    lr: Image
    true: CaptureMapping
    known: NoisyPair


def _drawn(seed: int) -> _Drawn:
    rng = np.random.default_rng([seed, 1])
    return _Drawn(rng.uniform(-1, 1, 2) * LARGEST_SHIFT_PX, float(rng.uniform(*_PSF_HR)), float(rng.uniform(*_PSF_LR)))


def rendered(seed: int) -> Scene:
    """Two shots of one card that differ by a shift, a blur, their light and their noise."""
    scene, drawn = BenchScene(seed=seed, size="mini", scale=1), _drawn(seed)
    session = replace(session_for(scene.recipe, scene.settings), size=SIZE, zoom=1.0)
    hr = replace(session.hr, tilt_x=0.0, tilt_y=0.0, roll=0.0, psf_sigma=drawn.psf_hr)
    aim_x, aim_y = (hr.shift_x, hr.shift_y) - drawn.shift / SIZE
    lr = replace(session.lr, tilt_x=0.0, tilt_y=0.0, roll=0.0, psf_sigma=drawn.psf_lr)
    lr = replace(lr, shift_x=float(aim_x), shift_y=float(aim_y))
    return shoot(scene.recipe, scene.settings, session=replace(session, hr=hr, lr=lr))


def moved(seed: int, picture: Image) -> SamePair:
    """A picture and its moved, blurred copy."""
    drawn, rng = _drawn(seed), np.random.default_rng([seed, 2])
    size = Size.of(picture)
    linear = photometry.to_linear(picture, "srgb")
    planes = [ndimage.gaussian_filter(linear[..., c], _more_blur(drawn)) for c in range(3)]
    x, y = (float(part) for part in drawn.shift)
    still = np.stack([fourier_shift(plane, (x, y)) for plane in planes], axis=-1)

    def shot(light: NDArray[np.floating[Any]]) -> Image:
        noisy = (light + _NOISE * rng.standard_normal(light.shape)).astype(np.float32)
        return photometry.quantised(noisy, "srgb", np.dtype(np.uint8))

    H = geometry.translation(x, y)
    known = NoisyPair(
        light=still, variance=np.full(still.shape, _NOISE**2), ratio=1.0, blur=_more_blur(drawn), share=np.ones(3)
    )
    return SamePair(shot(linear), shot(still), CaptureMapping(H_hr_to_lr=H, hr_size=size, lr_size=size), known)


def _more_blur(drawn: _Drawn) -> float:
    """Blur that makes HR as soft as LR, in px."""
    return float(np.sqrt(drawn.psf_lr**2 - drawn.psf_hr**2))


def _known(seed: int, session: Session) -> NoisyPair:
    """What the ideal observer knows of two shots by the simulator's cameras."""
    scene, lr = BenchScene(seed=seed, size="mini", scale=1), session.lr
    card = printed(scene.recipe, session, wheel_library())
    table = lay_card(card, session, stream("desk", scene.recipe.capture_seed, seed))
    whole = Grid(left=-0.5, top=-0.5, pitch=1.0, width=SIZE.width, height=SIZE.height)
    light = light_on(whole, table, session.cameras[1], lr.psf_sigma, None, Sampling(3, 1))
    full, full_hr = (FULL_WELL * BASE_EXPOSURE * shot.exposure for shot in (lr, session.hr))
    variance, variance_hr = ((light * all_of_it + READ_NOISE**2) / all_of_it**2 for all_of_it in (full, full_hr))
    ratio = float(np.mean(variance_hr / variance))
    return NoisyPair(light=light, variance=variance, ratio=ratio, blur=_more_blur(_drawn(seed)), share=_RGGB)


def measure(seed: int) -> list[Row]:
    """A row for each of a seed's pairs."""
    scene = rendered(seed)
    true = CaptureMapping(H_hr_to_lr=scene.truth.H_hr_to_lr, hr_size=SIZE, lr_size=SIZE)
    facts: Row = {"seed": seed, "card": BenchScene(seed=seed, size="mini", scale=1).kind}
    rows = []
    for name, pair in (
        ("rendered", SamePair(scene.hr, scene.lr, true, _known(seed, scene.truth.session))),
        ("moved", moved(seed, scene.reference)),
    ):
        row, found = _row(pair)
        if name == "rendered" and found is not None:
            row["pixels"] = _shift_of_pixels(found, scene)
        rows.append({"pairs": name} | facts | row)
    return rows


def _row(pair: SamePair) -> tuple[Row, Alignment | None]:
    found = align_pair(pair.hr, pair.lr, scale=1)
    if not isinstance(found, Alignment):
        return {"status": found.reason}, None
    published = found.estimate.placement
    error = mapping_error(published, pair.true)
    shift = pair.true.H_hr_to_lr[:2, 2]
    return {
        "status": "accepted" if found.accepted else ";".join(found.reasons),
        "shift_x": float(shift[0]),
        "shift_y": float(shift[1]),
        "mean": error.mean,
        "worst": error.maximum,
        "rms": error.rms,
        "sigma_hr_px": found.statistics.get("sigma_hr_px", float("nan")),
        "bound": bound(pair.known, pair.true, pair.true.lr_to_hr(crop_grid(published.crop))),
    }, found


def _shift_of_pixels(found: Alignment, scene: Scene) -> float:
    """Length of the mean shift of the published pixels against the noise-free picture, in px."""
    left, top = scene.truth.reference_origin
    margin = 12
    x, y = left + margin - found.crop.x, top + margin - found.crop.y
    height, width = (side - 2 * margin for side in scene.reference.shape[:2])
    published = linear_luma(found.hr[y : y + height, x : x + width])
    shift = measure_shift(published, linear_luma(scene.reference), (float(margin), float(margin)))
    return float(np.linalg.norm(shift.field.coefficients[0]))


def summarise(rows: Sequence[Row]) -> list[Row]:
    """One row for each kind of pair, and for each kind of card of the rendered ones."""
    table = []
    for name in dict.fromkeys(row["pairs"] for row in rows):
        of_kind = [row for row in rows if row["pairs"] == name]
        table.append(_summary(name, of_kind))
        if name == "rendered":
            cards = dict.fromkeys(row["card"] for row in of_kind)
            table += [_summary(f"{name}, {card}", [r for r in of_kind if r["card"] == card]) for card in cards]
    return table


def _summary(name: str, rows: Sequence[Row]) -> Row:
    good = [row for row in rows if row["status"] == "accepted"]
    summary: Row = {"pairs": name, "scenes": len(rows), "accepted": len(good)}
    if not good:
        return summary
    means, rms, sigma = (np.array([row[column] for row in good]) for column in ("mean", "rms", "sigma_hr_px"))
    predicted = float(np.sqrt(np.mean(sigma**2)))
    return summary | {
        "mean": float(means.mean()),
        "p95": float(np.percentile(means, 95)),
        "largest": float(means.max()),
        "pixels": float(np.mean([row.get("pixels", float("nan")) for row in good])),
        "rms true": float(np.sqrt(np.mean(rms**2))),
        "rms predicted": predicted,
        "true/predicted": float(np.sqrt(np.mean(rms**2))) / predicted,
        "bound": float(np.sqrt(np.mean([row.get("bound", float("nan")) ** 2 for row in good]))),
    }


def _told(rows: Sequence[Row]) -> str:
    told = (f"{row['pairs']} {row['status']} {row.get('mean', float('nan')):.4f}" for row in rows)
    return f"{rows[0]['seed']} {rows[0]['card']}: {'; '.join(told)}"


@program(__doc__)
@over_scenes(with_seeds("100..163"), with_jobs, with_small("Two seeds", seeds="0..1"))
def main(run: Run) -> None:
    rows = [row for of_seed in run.each(measure, run.wanted, told=_told) for row in of_seed]
    title = f"Pairs of scale 1, 600x400, {run.of_seeds}. Accepted pairs; errors in px."
    run.store(f"{title}\n\n{text_table(summarise(rows), digits=4)}", rows)


if __name__ == "__main__":
    main()
