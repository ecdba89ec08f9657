"""Which interpolation should publish the HR image? Position error, loss of contrast and time of each, measured.

Waves of known frequency are sampled at the positions of a typical mapping and compared with the waves themselves:

* position error: rms distance, in px, between where a wave lies and where the sampled one does, pixel by pixel, for a
  slow wave (16 px a period), where interpolation should be perfect;
* contrast: amplitude kept at half of the Nyquist frequency and at 70 % of it, and how much it varies over the image
  with the sub-pixel phase (max − min);
* time: milliseconds for 3456×2304 RGB float32 on one thread, median of five;
* where HR shrinks: contrast of a wave that the published grid can hold, and of two that it cannot, which should be 0.

    python -m benchmarks.accuracy.interpolation [--small]
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from benchmarks.measuring import seconds_of
from benchmarks.program import print_and_store, program, with_small
from benchmarks.result_tables import Row, text_table
from d2crealsr import opencv
from d2crealsr.imaging.warp import without_aliasing
from d2crealsr.types import Array, Matrix, Size

MAPPING = np.array([[0.9873, 0.0121, 31.37], [-0.0118, 0.9869, 17.81], [1.3e-7, -0.9e-7, 1.0]])
"""Published HR pixels → HR capture: 1.3 % of scale, .7° of roll, a little perspective."""

SHRINKS = (1.03, 1.1, 1.25, 1.6)
"""Capture px per published px; a pair is rejected from 1.25 on by default."""

Warp = Callable[[np.ndarray, Size], np.ndarray]


def methods() -> dict[str, Warp]:
    """Every candidate by name."""
    return {
        "linear": lambda image, size: opencv.warp(image, MAPPING, size, "linear"),
        "cubic, a = -.75 (OpenCV)": lambda image, size: opencv.warp(image, MAPPING, size, "cubic"),
        "Lanczos4 (OpenCV)": lambda image, size: opencv.warp(image, MAPPING, size, "lanczos4"),
        "cubic, a = -.5 (numpy)": lambda image, size: _separable(image, size, _keys),
        "cubic B-spline (SciPy)": lambda image, size: _spline(image, size),
    }


def _positions(size: Size, mapping: Matrix = MAPPING) -> Array:
    x, y = np.meshgrid(np.arange(size.width, dtype=np.float64), np.arange(size.height, dtype=np.float64))
    return _project(mapping, np.stack([x, y], axis=-1))


def _project(H: Matrix, points: Array) -> Array:
    return np.asarray((points @ H[:2, :2].T + H[:2, 2]) / (points @ H[2, :2] + H[2, 2])[..., None])


def _keys(t: Array) -> Array:
    """Keys' cubic convolution (1981, doi:10.1109/TASSP.1981.1163711) with a = −½."""
    t = np.abs(t)
    return np.where(t < 1, (1.5 * t - 2.5) * t * t + 1, np.where(t < 2, ((-0.5 * t + 2.5) * t - 4) * t + 2, 0))


def _separable(image: np.ndarray, size: Size, kernel: Callable[[Array], Array]) -> np.ndarray:
    p = _positions(size)
    base = np.floor(p).astype(int)
    out = np.zeros((size.height, size.width, *image.shape[2:]), np.float32)
    for j in range(-1, 3):
        row = np.clip(base[..., 1] + j, 0, image.shape[0] - 1)
        weight_y = kernel(p[..., 1] - base[..., 1] - j)
        for i in range(-1, 3):
            column = np.clip(base[..., 0] + i, 0, image.shape[1] - 1)
            weight = (weight_y * kernel(p[..., 0] - base[..., 0] - i)).astype(np.float32)
            out += image[row, column] * (weight[..., None] if image.ndim == 3 else weight)
    return out


def _spline(image: np.ndarray, size: Size) -> np.ndarray:
    p = _positions(size)
    channels = image[..., None] if image.ndim == 2 else image
    out = [ndimage.map_coordinates(channels[..., c], [p[..., 1], p[..., 0]], order=3) for c in range(channels.shape[2])]
    return np.stack(out, axis=-1).reshape(size.height, size.width, *image.shape[2:])


def _waves(
    size: Size, source: Size, cycles_per_px: float, mapping: Matrix = MAPPING
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A wave on the source's grid, and cosine and sine of it at the positions asked for."""
    x = np.arange(source.width)
    image = np.tile(0.5 + 0.4 * np.cos(2 * np.pi * cycles_per_px * x), (source.height, 1)).astype(np.float32)
    angle = 2 * np.pi * cycles_per_px * _positions(size, mapping)[..., 0]
    return image, np.cos(angle), np.sin(angle)


def position_error(warp: Warp, size: Size, source: Size) -> float:
    """Rms displacement in px of a slow wave where it crosses its mean; a loss of contrast does not show there."""
    cycles = 1 / 16
    image, cosine, sine = _waves(size, source, cycles)
    error = warp(image, size) - (0.5 + 0.4 * cosine)
    steep = np.abs(cosine) < 0.1
    displacement = error[steep] / (-0.4 * 2 * np.pi * cycles * sine[steep])
    return float(np.sqrt(np.mean(displacement**2)))


def contrast(warp: Warp, size: Size, source: Size, cycles: float, mapping: Matrix = MAPPING) -> tuple[float, float]:
    """Amplitude kept, and how much it varies between windows of 16 px."""
    image, cosine, sine = _waves(size, source, cycles, mapping)
    wave = warp(image, size) - 0.5
    windows = [ndimage.uniform_filter(wave * part, 16)[16:-16, 16:-16] * 2 / 0.4 for part in (cosine, sine)]
    amplitude = np.hypot(*windows)
    return float(amplitude.mean()), float(np.percentile(amplitude, 99) - np.percentile(amplitude, 1))


def shrinking(shrink: float, size: Size) -> list[Row]:
    """With and without the low pass: contrast of a wave of .35 cycles per published px, and of two that alias.

    These are a quarter and three quarters of the way from the published grid's limit to the capture's.
    """
    source = Size(*(int(side * shrink * 1.1) for side in size))
    mapping = MAPPING.copy()
    mapping[:2, :2] *= shrink / MAPPING[0, 0]
    limit = 0.5 / shrink
    waves = (0.35 / shrink, *(limit + share * (0.5 - limit) for share in (0.25, 0.75)))

    def plain(image: np.ndarray, size: Size) -> np.ndarray:
        return opencv.warp(image, mapping, size, "cubic")

    def filtered(image: np.ndarray, size: Size) -> np.ndarray:
        return plain(without_aliasing(image, shrink), size)

    rows: list[Row] = []
    for name, warp in (("cubic", plain), ("low pass, cubic", filtered)):
        kept = [contrast(warp, size, source, cycles, mapping)[0] for cycles in waves]
        columns = dict(zip(("contrast .35", "alias 1/4", "alias 3/4"), kept, strict=True))
        rows.append({"capture px per published px": f"{shrink:g}", "method": name, **columns})
    return rows


def milliseconds(warp: Warp, size: Size, source: Size, runs: int) -> float:
    """Median time of a warp of RGB float32."""
    image = np.random.default_rng(0).random((source.height, source.width, 3), dtype=np.float32)
    return 1000 * float(np.median([seconds_of(lambda: warp(image, size), time.perf_counter) for _ in range(runs)]))


@program(__doc__)
@with_small("A small image and one run", exposed=True)
def main(small: bool) -> None:
    opencv.use_one_thread()
    size, source = (Size(300, 200), Size(360, 260)) if small else (Size(600, 400), Size(660, 460))
    timed, timed_source = (size, source) if small else (Size(3456, 2304), Size(3520, 2400))
    rows: list[Row] = []
    for name, warp in methods().items():
        row: Row = {"method": name, "position px": f"{position_error(warp, size, source):.4f}"}
        for cycles in (0.25, 0.35):
            mean, varies = contrast(warp, size, source, cycles)
            row[f"contrast {cycles:g}"] = f"{mean:.3f} ±{varies / 2:.3f}"
        runs = 1 if small or "numpy" in name or "SciPy" in name else 5
        rows.append(row | {"ms": round(milliseconds(warp, timed, timed_source, runs))})
    shrunk = [row for shrink in SHRINKS for row in shrinking(shrink, size)]
    print_and_store(f"{text_table(rows)}\n\n{text_table(shrunk)}", None)


if __name__ == "__main__":
    main()
