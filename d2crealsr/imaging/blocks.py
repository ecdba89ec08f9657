"""Measure the displacement that remains between HR, degraded to look like LR, and LR, block by block.

Each block has a shift, a gain and an offset of its own. The measurement therefore does not repeat the assumptions of
the estimate, which are a homography and a smooth illumination over the whole crop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from d2crealsr.imaging import geometry
from d2crealsr.types import ResidualField, Size

if TYPE_CHECKING:
    from collections.abc import Callable

    from d2crealsr.types import Array, Crop

__all__ = ["measure"]

Float32 = NDArray[np.float32]

_ROUNDS = 4
_SETTLED_LR_PX = 0.001
_SAME_SLOPES_LR_PX = 0.1
"""The slopes are computed again only after a step in which some block moved further than this."""
_SINGULAR = 1e12
"""Condition number beyond which the texture of a block does not determine a shift."""
_TRUSTED_SHARE = 0.25
"""Smallest share of trusted pixels with which a block is used."""
_HALF_X, _HALF_Y = np.array([0.5, 0.0]), np.array([0.0, 0.5])
_TILES = 4
"""Tiles along each side of a block. The residuals of a fit are assumed to be independent only between tiles: small
differences of brightness and content leave waves, which displace a block more than noise of equal strength."""
_TRUSTED_HR_PX = 0.2
"""Standard error of a block's shift at which its weight is one half, in HR px."""
_USELESS_HR_PX = 1.0
"""Standard error from which on a block has the weight 0, in HR px."""


class _Blocks(NamedTuple):
    """``rows`` × ``columns`` equal blocks of a crop, each ``height`` × ``width`` LR px, beginning at (left, top)."""

    left: int
    top: int
    rows: int
    columns: int
    height: int
    width: int

    @property
    def positions(self) -> Array:
        """Pixel centres in the crop, (rows·columns, height·width, 2)."""
        right, bottom = self.left + self.columns * self.width, self.top + self.rows * self.height
        return self.of(geometry.pixel_centres(Size(right, bottom)))

    @property
    def tiles(self) -> Array:
        """1 for the tile in which a pixel of a block lies and 0 for the others, (height·width, tiles)."""
        row, column = np.indices((self.height, self.width)).reshape(2, -1)
        tile = row * _TILES // self.height * _TILES + column * _TILES // self.width
        belongs: Array = (tile[:, None] == np.arange(_TILES**2)).astype(np.float64)
        return belongs

    def of(self, image: Array) -> Array:
        """The pixels of each block in an image of the crop, (rows·columns, height·width, …)."""
        right, bottom = self.left + self.columns * self.width, self.top + self.rows * self.height
        inner, rest = image[self.top : bottom, self.left : right], image.shape[2:]
        parts = inner.reshape(self.rows, self.height, self.columns, self.width, *rest).swapaxes(1, 2)
        return parts.reshape(self.rows * self.columns, self.height * self.width, *rest)


class _Placed(NamedTuple):
    """Positions of the blocks' pixels in HR, (B, n, 2), and their movement per LR px of shift in x and in y, (B, 1, 2).

    Within a block, and for the shifts that occur, the mapping is linear to a good approximation.
    """

    positions: Array
    per_x: Array
    per_y: Array

    @classmethod
    def of(cls, p_lr: Array, lr_to_hr: Callable[[Array], Array]) -> _Placed:
        centre = p_lr.mean(axis=1, keepdims=True)
        moves = (lr_to_hr(centre + half) - lr_to_hr(centre - half) for half in (_HALF_X, _HALF_Y))
        return cls(lr_to_hr(p_lr), *moves)

    def shifted(self, x: Array, y: Array) -> Array:
        """The positions after a shift of each block by (x, y) LR px, where x and y are (B,) or scalars."""
        moved = np.empty_like(self.positions)
        x, y = np.reshape(x, (-1, 1)), np.reshape(y, (-1, 1))
        for axis in range(2):  # much faster than along both coordinates of each position
            moved[..., axis] = self.positions[..., axis] + x * self.per_x[..., axis] + y * self.per_y[..., axis]
        return moved


def measure(
    predicted_at: Callable[[Array], Float32],
    lr_to_hr: Callable[[Array], Array],
    observed: Float32,
    valid: NDArray[np.bool_],
    crop: Crop,
    *,
    margin_lr_px: int,
    scale: int,
) -> ResidualField:
    """Measure the shift that remains in each block of a crop, by least squares for shift, gain and offset.

    Parameters
    ----------
    predicted_at : callable
        Returns the values that HR predicts for LR at positions (..., 2) of the HR capture.
    lr_to_hr : callable
        The mapping to measure, from positions in the LR capture to positions in the HR capture.
    observed : (crop.height, crop.width) ndarray
        The values of LR in the crop.
    valid : (crop.height, crop.width) ndarray
        False where LR is not trusted.
    crop : Crop
        The part of the LR capture to measure.
    margin_lr_px : int
        Width of the border that is left out.
    scale : int

    Returns
    -------
    ResidualField
        Shifts are positive where HR has the content further right or down than LR.

    References
    ----------
    B. D. Lucas, T. Kanade, "An Iterative Image Registration Technique with an Application to Stereo Vision", 1981.
    """
    blocks = _blocks(Size(crop.width, crop.height), margin_lr_px)
    p_lr = blocks.positions + np.array([crop.x, crop.y])
    target, trusted = blocks.of(observed.astype(np.float64)), blocks.of(valid.astype(np.float64))
    shift, error, zncc = _fit_blocks(predicted_at, _Placed.of(p_lr, lr_to_hr), target, trusted, blocks.tiles)
    weights = np.where(error * scale < _USELESS_HR_PX, 1 / (1 + (error * scale / _TRUSTED_HR_PX) ** 2), 0.0)
    return ResidualField(points_lr=p_lr.mean(axis=1), shifts_hr_px=shift * scale, weights=weights, zncc=zncc)


def _blocks(size: Size, margin: int) -> _Blocks:
    """Equal blocks of about 24 LR px (smaller in small crops) that cover a crop except for a margin."""
    side = int(np.clip(min(size) // 5, 12, 24))
    columns, rows = (max(1, round((length - 2 * margin) / side)) for length in size)
    width, height = (max(1, length - 2 * margin) // n for length, n in zip(size, (columns, rows), strict=True))
    left, top = (size.width - columns * width) // 2, (size.height - rows * height) // 2
    return _Blocks(left, top, rows, columns, height, width)


def _fit_blocks(
    predicted_at: Callable[[Array], Float32], placed: _Placed, target: Array, trusted: Array, tiles: Array
) -> tuple[Array, Array, Array]:
    """Shift (B, 2) of HR against each LR block and its standard error (B,), in LR px, and the correlation (B,).

    The model ``lr(x) ≈ gain·hr(x + shift) + offset`` is fitted to the trusted pixels (1; others are 0) until no block
    moves any more. A block that does not determine a shift has an infinite error and a correlation of 0.
    """
    # 1. Use only blocks with enough trusted pixels that are not all equal.
    count = trusted.sum(axis=1)
    mean = np.sum(trusted * target, axis=1) / np.maximum(count, 1)
    spread = np.sum(trusted * (target - mean[:, None]) ** 2, axis=1)
    enough = (count >= _TRUSTED_SHARE * target.shape[1]) & (spread > 0)
    shift = np.zeros((len(target), 2))
    slopes, moved = [], np.inf
    # 2. Gauss–Newton. With the present shift s and a small step d, the model is linear in its four unknowns:
    #    lr(x) ≈ (gain·d)·∇hr(x + s) + gain·hr(x + s) + offset.
    for _ in range(_ROUNDS):
        x, y = shift.T
        value = predicted_at(placed.shifted(x, y))
        if moved > _SAME_SLOPES_LR_PX:
            slopes = [
                predicted_at(placed.shifted(x + dx, y + dy)) - predicted_at(placed.shifted(x - dx, y - dy))
                for dx, dy in (_HALF_X, _HALF_Y)
            ]
        design = np.stack([*slopes, value, np.ones_like(value)], axis=2).astype(np.float64)
        weighted = design * trusted[..., None]
        normal = weighted.swapaxes(1, 2) @ design
        # Blocks without a solution get the unit matrix, so that all can be solved at once; `solvable` excludes them.
        normal[~enough] = np.eye(4)
        solvable = enough & (np.linalg.cond(normal) < _SINGULAR)
        normal[~solvable] = np.eye(4)
        solution = np.linalg.solve(normal, np.einsum("bni,bn->bi", weighted, target)[..., None])[..., 0]
        solvable &= solution[:, 2] > 0
        gain = np.where(solvable, solution[:, 2], 1.0)
        step = np.where(solvable[:, None], solution[:, :2] / gain[:, None], 0.0)
        shift += np.clip(step, -1, 1)
        moved = float(np.abs(step).max())
        if moved < _SETTLED_LR_PX:
            break
    # 3. The residuals of the last step give the standard error of the shift and the share of LR that is explained.
    left = trusted * (target - np.einsum("bni,bi->bn", design, solution))
    unexplained = np.sum(left**2, axis=1)
    variance = _variance(
        design * left[..., None],
        np.asarray(np.linalg.inv(normal), np.float64),
        unexplained / np.maximum(count - 4, 1),
        tiles,
    )
    error = np.where(solvable, np.sqrt(np.maximum(variance, 0)) / gain, np.inf)
    zncc = np.sqrt(np.clip(1 - unexplained / np.maximum(spread, 1e-30), 0, 1))
    zncc = np.where(solvable, zncc, np.where(enough, 0.0, np.nan))
    return np.where(solvable[:, None], shift, 0.0), error, zncc


def _variance(scores: Array, inverse: Array, left: Array, tiles: Array) -> Array:
    """Variance (B,) of a block's shift, the sum for x and y, before division by the gain.

    It is the larger of two estimates: that for independent noise, and White's estimate clustered by tiles (the
    sandwich), which alone would be too uncertain. ``scores`` (B, n, 4) are the design times the residuals, and ``left``
    (B,) is the mean square of the residuals.
    """
    of_noise = left * (inverse[:, 0, 0] + inverse[:, 1, 1])
    moved_by = np.einsum("nk,bni->bki", tiles, scores, optimize=True) @ inverse[:, :, :2]
    count = tiles.shape[1]
    of_tiles = np.sum(moved_by**2, axis=(1, 2)) * count / (count - scores.shape[2])
    larger: Array = np.maximum(of_noise, of_tiles)
    return larger
