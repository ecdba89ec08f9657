"""Check at low resolution, where scale and sharpness do not matter, whether the images of a pair show the same scene.

Both images are averaged over one grid of about 32×32 cells and correlated twice: as they are, and without their slow
changes of brightness, because two pictures are not the same merely because both have a bright sky. Each correlation is
divided by the one that the noise in both images would allow a true pair. Dark pictures are therefore not refused, and
smooth ones are still distinguished.

Results are stored beside the decoded images by the hashes of both files, so that every pair is checked only once.
"""

from __future__ import annotations

import contextlib
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from d2c.errors import DataError
from d2crealsr.store import ImageError, MachineError, files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from d2c.data.layouts import Pair
    from d2c.data.patches import PixelPair


__all__ = ["KEPT", "belongs", "check_belonging", "likeness"]

KEPT = "belonging.json"
"""File beside the decoded images in which the results are stored."""

_GRID = 32
_NAMED = 10
_NOISE_ROWS = 256

_LEAST = 0.7
"""Smallest accepted share of the correlation that a true pair would have. Its effect: docs/pairs-check.md."""

_TELLING = 0.45
"""Smallest expected correlation of a true pair for which the measured one is used."""

_SCATTER = 3.0
"""Number of standard errors by which noise may have lowered a correlation."""

_CONTRAST = (0.05, 3.0)
"""Images do not match if one has less than this share of the other's contrast, and the other has more than these
levels of 256."""


def likeness(hr: NDArray[Any], lr: NDArray[Any]) -> float:
    """Correlation of two images at low resolution, as a share of that expected of two images of one scene.

    Parameters
    ----------
    hr, lr : ndarray
        ``(s·h, s·w, 3)`` and ``(h, w, 3)``, 8 or 16 bit.

    Returns
    -------
    float
        About 1 for two images of one scene. 1 if neither shows anything that could be compared.
    """
    scale = hr.shape[0] // lr.shape[0]
    edges = [np.linspace(0, side, min(_GRID, side) + 1).round().astype(int) for side in lr.shape[:2]]
    grids = [_averages(lr, edges), _averages(hr, [scale * edge for edge in edges])]
    noise = [_noise(lr) * grids[0].size / (lr.size / 3), _noise(hr) * grids[1].size / (hr.size / 3)]
    low, high = sorted(float(grid.std()) for grid in grids)
    if high > _CONTRAST[1] and low < _CONTRAST[0] * high:
        return 0.0
    shares = [1.0]
    for part in (_without_mean, _without_trend):
        one, other = (part(grid) for grid in grids)
        powers = [float(np.mean(values * values)) for values in (one, other)]
        expected = math.prod(max(0.0, 1 - n / p) if p else 0.0 for n, p in zip(noise, powers, strict=True)) ** 0.5
        if expected > _TELLING:
            scatter = (1 - expected**2) / math.sqrt(one.size)
            got = float(np.mean(one * other)) / math.sqrt(math.prod(powers))
            shares.append((got + _SCATTER * scatter) / expected)
    return min(shares)


def belongs(found: float) -> bool:
    """Whether a value of :func:`likeness` is that of two images of one scene."""
    return found >= _LEAST


def check_belonging(
    pairs: Sequence[Pair], pixels: Sequence[PixelPair], digest: Callable[[Path], str], kept: Path | None
) -> None:
    """Make sure that the images of every pair show the same scene.

    Parameters
    ----------
    pairs : sequence of Pair
    pixels : sequence of PixelPair
        Their pixels, which are read on access. A pair that cannot be read is skipped; reading it later reports the
        error.
    digest : callable
        Returns the SHA-256 of an image file's content.
    kept : Path or None
        JSON file in which results are stored; None to store nothing.

    Raises
    ------
    DataError
        When images do not belong together; names the first ten such pairs.
    """
    known = _read(kept)
    found: dict[str, float] = {}
    wrong = []
    for place, pair in enumerate(pairs):
        try:
            key = f"{digest(pair.hr)}-{digest(pair.lr)}"
            if key not in found:
                images = pixels[place] if key not in known else None
                found[key] = round(likeness(np.asarray(images.hr), np.asarray(images.lr)), 4) if images else known[key]
        except (OSError, ImageError, DataError):
            continue
        if not belongs(found[key]):
            wrong.append(pair.title)
    if kept is not None and found.keys() - known.keys():
        with contextlib.suppress(MachineError):  # the results can be computed again
            files.write_text(kept, json.dumps(known | found, indent=0) + "\n")
    if wrong:
        names = ", ".join(wrong[:_NAMED]) + (f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else "")
        raise DataError(
            f"in {len(wrong)} of {len(pairs)} pairs HR and LR do not show one scene: {names}; "
            "correct the folders or the list, or give --trust-pairs where they are right all the same"
        )


def _averages(image: NDArray[Any], edges: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Mean brightness of each cell, in levels of 256."""
    sums: NDArray[Any] = np.zeros((len(edges[0]) - 1, len(edges[1]) - 1))
    for channel in range(3):
        rows = np.add.reduceat(image[..., channel], edges[0][:-1], axis=0, dtype=np.uint64)
        sums += np.add.reduceat(rows, edges[1][:-1], axis=1)
    areas = np.diff(edges[0])[:, None] * np.diff(edges[1])
    return np.asarray(sums / (3 * areas) * (255 / np.iinfo(image.dtype).max))


def _noise(image: NDArray[Any]) -> float:
    """Variance of the noise of a pixel's brightness, from second differences along some rows, in levels of 256."""
    rows = image[:: max(1, image.shape[0] // _NOISE_ROWS)].mean(axis=-1) * (255 / np.iinfo(image.dtype).max)
    if rows.shape[1] < 3:
        return 0.0
    differences = rows[:, 2:] - 2 * rows[:, 1:-1] + rows[:, :-2]
    return float(np.mean(differences * differences)) / 6 + 1 / 12  # the weights' squares, and rounding


def _without_mean(averages: NDArray[Any]) -> NDArray[Any]:
    return np.asarray((averages - averages.mean()).ravel())


def _without_trend(averages: NDArray[Any]) -> NDArray[Any]:
    """Averages after subtracting the quadratic surface that fits them best."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in averages.shape), indexing="ij")
    surface = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    fit = np.linalg.lstsq(surface, averages.ravel(), rcond=None)[0]
    return np.asarray(averages.ravel() - surface @ fit)


def _read(kept: Path | None) -> dict[str, float]:
    """Results of an earlier run; empty if the file is missing or damaged, as they can be computed again."""
    if kept is None:
        return {}
    try:
        found = json.loads(files.read_text(kept))
    except (OSError, ValueError, RecursionError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {key: value for key, value in pairs if isinstance(value, float)}
