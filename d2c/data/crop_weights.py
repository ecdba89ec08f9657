"""Weigh crops by how well their pair is aligned there, as residuals.csv and manifest.csv of a pairs folder tell it.

The weight of a crop is ``1 / (1 + e² / u²)``. Its squared error e² is the mean squared displacement of the blocks in it
plus the square of the predicted error of the pair; u is a quarter of an LR pixel, up to which misalignment costs
training little (docs/training-evidence.md). If a displacement e disturbs HR as noise of the variance e² would, and what
a network cannot know of a well aligned HR has the variance u², these are the weights of least squares.

A weight is a share of the crops and not a factor of the loss, so it means the same for every network and every loss,
and no step is spent on crops that hardly count.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from d2c.errors import ConfigError
from d2crealsr.store.pairs import has_table, load_parts, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from d2c.data.layouts import Pair

__all__ = ["CropWeights", "check_measured", "crop_weights", "digest", "said"]

_HARMLESS_LR_PX = 0.25
_ENOUGH = 1.0
"""Sum of the confidences of the blocks in a crop, below which the whole pair's blocks speak for it."""
_LARGEST_HR_PX = 1e6
_PLACES = 7
"""Crops along each side for which the weight of a pair is computed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CropWeights:
    """The blocks of a pair, and the weights of its crops that follow from them.

    Attributes
    ----------
    size : (int, int)
        Width and height of LR.
    patch : int
        Side of a crop in LR px.
    blocks : (B, 4) array of float64
        Of each block: x and y of its centre in LR px of the published image, its squared displacement as a share of
        u², and its confidence.
    predicted : float
        The square of the predicted error of the pair, as a share of u².
    """

    size: tuple[int, int]
    patch: int
    blocks: NDArray[np.float64]
    predicted: float

    def at(self, x: int, y: int) -> float:
        """The weight of the crop whose first LR pixel is (x, y), as a share of the largest one in this pair."""
        return min(1.0, self._weight(x, y) / self._largest)

    @cached_property
    def mean(self) -> float:
        """The mean weight of the pair's crops, above 0 and at most 1."""
        return float(np.mean(self._sampled))

    @cached_property
    def _largest(self) -> float:
        return float(np.max(self._sampled))

    @cached_property
    def _sampled(self) -> list[float]:
        xs, ys = (np.linspace(0, side - self.patch, _PLACES).astype(int) for side in self.size)
        return [self._weight(int(x), int(y)) for y in ys for x in xs]

    @cached_property
    def _whole(self) -> float:
        """Mean squared displacement over the pair."""
        squares, confidence = self.blocks[:, 2], self.blocks[:, 3]
        return float(squares @ confidence / confidence.sum()) if confidence.sum() else 0.0

    def _weight(self, x: int, y: int) -> float:
        centre = np.array([x, y]) + (self.patch - 1) / 2
        inside = np.all(np.abs(self.blocks[:, :2] - centre) <= self.patch / 2, axis=1)
        squares, confidence = self.blocks[inside, 2], self.blocks[inside, 3]
        known = confidence.sum()
        error = float(squares @ confidence / known) if known >= _ENOUGH else self._whole
        return 1 / (1 + error + self.predicted)


def crop_weights(pairs: Sequence[Pair], folders: Mapping[str, Path | None], patch: int) -> list[CropWeights]:
    """The weights for pairs, of which ``folders`` has the dataset by the source of the pair.

    A pair without measured blocks weighs by its predicted error alone, and without that one it has the weight 1.

    Raises
    ------
    ConfigError
        When a dataset has no measured errors.
    LayoutError, TableError
        When the manifest is missing, or a table violates the format (:mod:`d2crealsr.errors`).
    """
    sources = dict.fromkeys(pair.source for pair in pairs)
    check_measured(folders[source] for source in sources)
    found: dict[str, CropWeights] = {}
    for source in sources:
        own = {pair.name: pair for pair in pairs if pair.source == source}
        folder = folders[source]
        assert folder is not None
        blocks = _blocks(folder, own)
        if not any(map(len, blocks.values())):
            raise ConfigError(
                f"weigh-pairs: {folder}/residuals.csv has no block of a pair to train on; leave --weigh-pairs out, or "
                "measure the pairs: d2crealsr import without --no-audit"
            )
        rows = read_manifest(folder, ["scene", "lr_x", "lr_y", "sigma_hr_px"]).set_index("scene").fillna(0)
        for name, pair in own.items():
            x, y, sigma = map(float, rows.loc[name].to_numpy())
            sigma = min(sigma, _LARGEST_HR_PX)
            unit = (_HARMLESS_LR_PX * pair.scale) ** 2
            placed = np.array(blocks[name], np.float64).reshape(-1, 4)
            placed[:, :2] -= x, y
            placed[:, 2] /= unit
            found[pair.key] = CropWeights(size=pair.lr_size, patch=patch, blocks=placed, predicted=sigma**2 / unit)
    return [found[pair.key] for pair in pairs]


def check_measured(folders: Iterable[Path | None]) -> None:
    """Raise :class:`ConfigError` for the first dataset that has no table of measured errors."""
    for folder in folders:
        if folder is None or not (folder.is_dir() and has_table(folder, "residuals.csv")):
            raise ConfigError(
                f"weigh-pairs: {folder} has no residuals.csv with measured errors; leave --weigh-pairs out, or give "
                "the pairs folder of d2crealsr align, or one in which d2crealsr import has measured these pairs"
            )


def _blocks(folder: Path, own: Mapping[str, Pair]) -> dict[str, list[tuple[float, float, float, float]]]:
    """Of each pair's blocks the centre, the squared displacement in HR px², and the confidence, which is above 0."""
    found: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in own}
    for frame in load_parts(folder, "residuals.csv"):
        for scene, x, y, dx, dy, weight in frame[_COLUMNS].itertuples(index=False):
            if scene in found and weight > 0 and math.isfinite(dx + dy):
                found[scene].append((x, y, min(math.hypot(dx, dy), _LARGEST_HR_PX) ** 2, weight))
    return found


_COLUMNS = ["scene", "lr_x", "lr_y", "dx_hr_px", "dy_hr_px", "weight"]


def digest(weights: Sequence[CropWeights]) -> str:
    """SHA-256 of everything that the weights follow from."""
    hashed = hashlib.sha256()
    for each in weights:
        hashed.update(repr((each.size, each.patch, each.predicted)).encode() + each.blocks.tobytes())
    return hashed.hexdigest()


def said(pairs: Sequence[Pair], weights: Sequence[CropWeights], note: Callable[[str], None]) -> None:
    """Say how the pairs weigh, and which one weighs least."""
    means = [each.mean for each in weights]
    least = int(np.argmin(means))
    note(
        f"weights of the pairs by their measured errors (1: none): {min(means):.2f} to {max(means):.2f}, mean "
        f"{np.mean(means):.2f}; {pairs[least].title} is drawn least"
    )
    unknown = [pair.title for pair, each in zip(pairs, weights, strict=True) if not len(each.blocks)]
    if unknown:
        count = f"{len(unknown)} pair{'' if len(unknown) == 1 else 's'}"
        note(f"{count} without measured blocks, which weigh by their predicted error alone: {', '.join(unknown[:3])}")
