"""How near simulated postcards come to real pairs: how hard they are, how much detail HR has, how LR follows from it.

    python -m benchmarks.training.postcards --work WORK --photos PHOTOS --city100 CITY100

The captures of `simulate --recipe postcards` are aligned by `d2crealsr align` and split. For each layout, and for the
five kinds of card without that recipe, the table has PSNR-Y and SSIM of bicubic interpolation, the share of HR's power
that lies beyond LR's Nyquist frequency, and the transfer from HR to LR: how much of a wave in HR is left in LR, at
four frequencies. The pairs of City100 (real optics; LR reduced by 4) have the same columns at ×4. Bicubic interpolation
of the published D2CRealSR test set has 27.74 dB and .822.

The last column is what the best linear filter of 9×9 LR px gains over bicubic interpolation on the test pairs. It is
fitted to the training pairs by least squares, so that it depends on no seed. Without --photos the photographs in
scikit-image are used. Without --city100 that row is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import numpy as np

from benchmarks.program import FOLDER, PATH, print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from benchmarks.training.least_squares import filtered, fitted, luma
from benchmarks.training.spectra import spectrum
from benchmarks.training.training_sets import TEST, city100_x4, simulated
from d2c.data.layouts import find_pairs, with_split
from d2c.inference.bicubic import bicubic
from d2c.metrics import quality, to_uint8, y_basicsr
from d2crealsr.store import read_image
from d2crealsr.store.tables import read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from d2c.data.layouts import Pair

SEED = 901
"""Seed of the simulated scenes; it is in neither range of seeds.py, as nothing is chosen on them."""

FREQUENCIES = (0.1, 0.2, 0.3, 0.4)
"""Frequencies of the transfer in cycles per LR px; LR's Nyquist frequency is .5."""

_BAND = 0.05


def beyond_nyquist(hr: NDArray[np.floating], scale: int) -> float:
    """The share of HR's power at frequencies that LR cannot carry."""
    power = np.abs(spectrum(hr)[0]) ** 2
    rows, columns = (np.abs(np.fft.fftfreq(side)) > 0.5 / scale for side in hr.shape)
    return float(power[rows[:, None] | columns].sum() / power.sum())


def transfer(lr: NDArray[np.floating], hr: NDArray[np.floating], scale: int) -> list[float]:
    """How much of a wave in HR is left in LR at :data:`FREQUENCIES`: the cross spectrum over HR's power, real part."""
    low, frequency = spectrum(lr)
    fine = np.fft.fftshift(spectrum(hr)[0])
    top, left = (hr.shape[axis] // 2 - lr.shape[axis] // 2 for axis in (0, 1))
    same = np.fft.ifftshift(fine[top : top + lr.shape[0], left : left + lr.shape[1]]) / scale**2
    same *= _half_pixel(lr.shape, scale)
    found = []
    for centre in FREQUENCIES:
        ring = np.abs(frequency - centre) < _BAND
        found.append(float((low[ring] * same[ring].conj()).real.sum() / (np.abs(same[ring]) ** 2).sum()))
    return found


def _half_pixel(shape: tuple[int, ...], scale: int) -> NDArray[np.complex128]:
    """The phase between pixel centres: the first LR px lies (scale − 1)/2 HR px beyond the first HR px, both ways."""
    offset = (scale - 1) / 2 / scale
    rows, columns = (np.fft.fftfreq(side) for side in shape)
    return np.exp(2j * np.pi * offset * (rows[:, None] + columns))


def measured(pair: Pair, scale: int) -> dict[str, Any]:
    """The figures of one pair."""
    lr, hr = read_image(pair.lr), read_image(pair.hr)
    found = quality(bicubic(lr, hr.shape[1], hr.shape[0]), to_uint8(hr), scale, "basicsr-y")
    lumas = y_basicsr(to_uint8(lr)), y_basicsr(to_uint8(hr))
    return {
        "psnr_db": found.psnr,
        "ssim": found.ssim,
        "beyond": beyond_nyquist(lumas[1], scale),
        "transfer": transfer(*lumas, scale),
    }


def filter_gain(train: Sequence[Pair], test: Sequence[Pair], scale: int) -> float:
    """Mean gain in PSNR-Y of the best linear filter over bicubic interpolation, in dB."""
    filters = fitted(((_luma(pair.lr), _luma(pair.hr)) for pair in train), scale)
    gains = []
    for pair in test:
        lr, hr = _luma(pair.lr), _luma(pair.hr)
        inner = (slice(scale, -scale), slice(scale, -scale))
        plain = np.clip(bicubic(lr, hr.shape[1], hr.shape[0]), 0, 255)
        errors = [float(((image - hr)[inner] ** 2).mean()) for image in (plain, filtered(lr, filters, scale))]
        gains.append(10 * np.log10(errors[0] / errors[1]))
    return float(np.mean(gains))


def _luma(path: Path) -> NDArray[np.float32]:
    return luma(read_image(path))


def row_of(name: str, pairs: Sequence[Pair], scale: int, gain: float) -> Row:
    """The means over some pairs."""
    rows = [measured(pair, scale) for pair in pairs]
    psnr = [row["psnr_db"] for row in rows]
    left = np.mean([row["transfer"] for row in rows], axis=0)
    return {
        "pairs_of": name,
        "scale": scale,
        "pairs": len(rows),
        "bicubic_db": float(np.mean(psnr)),
        "spread_db": float(np.std(psnr)),
        "ssim": float(np.mean([row["ssim"] for row in rows])),
        "hr_beyond_nyquist": float(np.mean([row["beyond"] for row in rows])),
        **{f"transfer_{frequency}": float(value) for frequency, value in zip(FREQUENCIES, left, strict=True)},
        "filter_gain_db": gain,
    }


def rows_of(folder: Path, scale: int, kinds: dict[str, str], name: str) -> list[Row]:
    """Rows of the kinds of card in a pairs folder, and of all of them together."""
    pairs = find_pairs(folder)
    train, test = (with_split(pairs, part, folder) for part in ("train", "test"))
    gain = filter_gain(train, test, scale)
    found = sorted(set(kinds.values()), key=list(kinds.values()).index)
    rows = [row_of(f"{name}, {kind}", chosen, scale, np.nan) for kind in found if (chosen := _of(pairs, kinds, kind))]
    return [*rows, row_of(f"{name}, all", pairs, scale, gain)]


def _of(pairs: Sequence[Pair], kinds: dict[str, str], kind: str) -> list[Pair]:
    return [pair for pair in pairs if kinds[pair.name] == kind]


def _kinds(raw: Path) -> dict[str, str]:
    """The kind of card of each scene of a folder of captures."""
    header, rows = read_rows(raw / "manifest.csv")
    return {row[header.index("scene")]: row[header.index("generator")] for row in rows}


@program(__doc__)
@click.option("--work", type=PATH, required=True, help="Holds the captures and the pairs.")
@click.option("--photos", type=FOLDER, help="Folder of photographs to print.  [default: those in scikit-image]")
@click.option("--city100", type=FOLDER, help="Folder of City100 (001H.PNG, 001L.PNG, …).")
@click.option(
    "--scenes", type=click.IntRange(6), default=45, show_default=True, help="Simulated scenes of each recipe."
)
@with_small("Six scenes", scenes=6)
@with_out
def main(work: Path, photos: Path | None, city100: Path | None, scenes: int, out: Path | None) -> None:
    rows: list[Row] = []
    for recipe, name in (("postcards", "postcards"), (None, "five kinds of card")):
        where = work / f"{recipe or 'kinds'}-{scenes}"
        made = simulated(
            where,
            scale=8,
            size="mini",
            scenes=scenes,
            seed=SEED,
            test=max(1, scenes // TEST),
            photos=photos,
            recipe=recipe,
        )
        rows += rows_of(made.folder, 8, _kinds(where / "raw"), name)
    if city100 is not None:
        folder = city100_x4(city100, work / "city100").folder
        rows += rows_of(folder, 4, {}, "City100")
    said = (
        "bicubic_db, ssim: PSNR-Y and SSIM (basicsr-y) of bicubic interpolation; D2CRealSR's test set: 27.74 and .822\n"
        "spread_db: standard deviation over the pairs\n"
        "hr_beyond_nyquist: share of HR's power at frequencies beyond LR's Nyquist frequency\n"
        "transfer_F: what is left in LR of a wave in HR, at F cycles per LR px\n"
        "filter_gain_db: gain of the best linear filter of 9x9 LR px, fitted to the training pairs, on the test pairs"
    )
    print_and_store(f"{said}\n\n{text_table(rows)}", out, {"": rows})


if __name__ == "__main__":
    main()
