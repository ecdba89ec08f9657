"""The shape of a residual field: uniform, affine, radial, bent, or random, where none of these is there.

Five models, each a special case of a later one but for the last two, which stand side by side:

    nothing  ⊂  uniform  ⊂  affine (what a homography does, to second order)  ⊂  radial, bent

Radial adds ``(p − c)·r²`` about the HR frame's centre, bent adds second and third powers of the distance along one
direction, whichever fits best. A model is called by its name when it explains the field better than the one before by
more than noise does (F-test under robust weights), and by enough to matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from d2crealsr.store.shapes import ResidualShape
    from d2crealsr.types import Array, Crop, ResidualField

__all__ = ["Shape", "name_shape"]

_SIGNIFICANCE = 3e-5
"""Nominal chance with which noise would explain as much, below which a model is believed. It is strict because robust
weights flatter the larger model: of fields of noise with outliers it names 1 in 400 (24 blocks) and none (54)."""
_NEGLIGIBLE_HR_PX = 0.05
_SHARE_THAT_MATTERS = 0.25
"""A model must add this much to the one before, and this share of all that it describes, root mean square lengths."""
_DIRECTIONS = 12
"""Directions of a bend that are tried, evenly over half a turn."""
_ADVANTAGE = 4.0
"""By how much less a bend's information criterion must be than a lens': its direction was chosen, and lenses are more
common than bowed cards."""
_TUKEY = 4.685
_ROUNDS = 10
_SPARE = 20
"""Degrees of freedom that a fit of a model must leave."""


class Shape(NamedTuple):
    """A residual field's shape, and how long in HR px what it describes is over the crop.

    ``hr_px`` is the root mean square length. ``random`` describes all of the field: its length is that of the blocks,
    robustly. ``worst_hr_px`` is the largest length of a pattern, 0 for ``random``. The name is empty and both are nan
    where no block says anything.
    """

    name: ResidualShape | None
    hr_px: float
    worst_hr_px: float

    @property
    def pattern_hr_px(self) -> float:
        """Root mean square length of the pattern over the crop, 0 where there is none."""
        return 0.0 if self.name in (None, "random") else self.hr_px


class _Fit(NamedTuple):
    """A model's field over the crop, (M, 2) flattened, its weighted sum of squares left, and its number of terms.

    ``base`` is the same of the model before, under the same weights. ``noise`` is the mean square length that noise
    alone gives the field at each of the M points, ``numbers`` how many independent ones the weights are worth.
    """

    name: ResidualShape
    field: Array
    unexplained: float
    terms: int
    base_field: Array
    base_unexplained: float
    base_terms: int
    numbers: float
    noise: Array
    weights: Array

    @property
    def chance(self) -> float:
        """How likely noise alone explains as much more as this model does: the F distribution's upper tail."""
        more, spare = self.terms - self.base_terms, self.numbers - self.terms
        if more < 1 or spare < _SPARE:
            return 1.0
        ratio = (self.base_unexplained - self.unexplained) / more / max(self.unexplained / spare, 1e-30)
        return float(special.fdtrc(more, spare, max(ratio, 0.0)))

    @property
    def evidence(self) -> float:
        """Bayesian information criterion: the model of two with the smaller one is the likelier."""
        return float(self.numbers * np.log(max(self.unexplained, 1e-30)) + self.terms * np.log(max(self.numbers, 2)))

    @property
    def hr_px(self) -> float:
        """Root mean square length of the model's field over the crop, less what noise adds to it."""
        return float(np.sqrt(max(_length(self.field) ** 2 - float(self.noise.mean()), 0.0)))

    @property
    def shape(self) -> Shape:
        """The shape that this model is."""
        squares = np.sum(self.field.reshape(-1, 2) ** 2, axis=1) - self.noise
        return Shape(self.name, self.hr_px, float(np.sqrt(max(squares.max(), 0.0))))

    @property
    def matters(self) -> bool:
        """Whether what it adds to the model before is worth a name."""
        added = _length(self.field - self.base_field)
        return added >= max(_NEGLIGIBLE_HR_PX, _SHARE_THAT_MATTERS * _length(self.field))


def name_shape(field: ResidualField, crop: Crop, centre: Array | None = None) -> Shape:
    """Name the shape of a residual field.

    Parameters
    ----------
    field : ResidualField
    crop : Crop
        The part of LR that it covers; lengths are root mean squares over it.
    centre : (2,) ndarray, optional
        Where the HR frame's centre lies in LR, in LR px; a lens' distortion is radial about it. By default the crop's.

    Returns
    -------
    Shape

    Examples
    --------
    >>> from d2crealsr.types import Crop, ResidualField
    >>> x, y = (side.ravel() for side in np.meshgrid(np.arange(8, 216, 16.0), np.arange(8, 144, 16.0)))
    >>> points = np.stack([x, y], axis=1)
    >>> noise = np.random.default_rng(0).normal(0, 0.1, points.shape)
    >>> def named(shifts):
    ...     field = ResidualField(
    ...         points_lr=points, shifts_hr_px=shifts + noise, weights=np.ones(len(x)), zncc=np.ones(len(x))
    ...     )
    ...     return name_shape(field, Crop(0, 0, 216, 144)).name
    >>> named(np.zeros_like(points)), named(np.full_like(points, 0.3)), named(0.01 * (points - 70))
    ('random', 'uniform', 'affine')
    """
    used = field.weights > 0
    if not used.any():
        return Shape(None, float("nan"), float("nan"))
    frame = _Frame.of(crop, centre)
    blocks = frame.terms(field.points_lr[used])
    everywhere = frame.terms(_grid(crop))
    target, weights = field.shifts_hr_px[used].ravel(), np.repeat(field.weights[used], 2)

    def fitted(name: ResidualShape, smaller: list[str], added: list[str], robust: Array | None = None) -> _Fit:
        return _fitted(name, blocks, everywhere, target, weights, (smaller, added), robust)

    affine = ["uniform", "affine"]
    curved = fitted("radial", affine, ["radial"])
    # Two models can be compared under the same weights only.
    bends = [fitted("bent", affine, [f"bent {n}"], curved.weights) for n in range(_DIRECTIONS)]
    best = min(range(_DIRECTIONS), key=lambda n: bends[n].unexplained)
    tried = 1
    if bends[best].evidence + _ADVANTAGE < curved.evidence:
        curved, tried = fitted("bent", affine, [f"bent {best}"]), _DIRECTIONS
    if curved.matters and curved.chance * tried < _SIGNIFICANCE:
        return curved.shape
    for fit in (fitted("affine", ["uniform"], ["affine"]), fitted("uniform", [], ["uniform"])):
        if fit.matters and fit.chance < _SIGNIFICANCE:
            return fit.shape
    return Shape("random", _robust_length(field.shifts_hr_px[used], field.weights[used]), 0.0)


class _Frame(NamedTuple):
    """Coordinates in which a field's terms are written: from the crop's centre, in its half-diagonals."""

    middle: Array
    unit: float
    lens: Array

    @classmethod
    def of(cls, crop: Crop, centre: Array | None) -> _Frame:
        middle = np.array([crop.x + (crop.width - 1) / 2, crop.y + (crop.height - 1) / 2])
        return cls(middle, float(np.hypot(crop.width, crop.height)) / 2, middle if centre is None else centre)

    def terms(self, points_lr: Array) -> dict[str, Array]:
        """Columns of each group of terms at (N, 2) points, (2N, K): x and y of a point follow each other."""
        x, y = ((points_lr - self.middle) / self.unit).T
        lens_x, lens_y = ((points_lr - self.lens) / self.unit).T
        r2 = lens_x**2 + lens_y**2
        zero, one = np.zeros_like(x), np.ones_like(x)
        groups = {
            "uniform": _columns((one, zero), (zero, one)),
            "affine": _columns((x, zero), (y, zero), (zero, x), (zero, y), (x * x, x * y), (x * y, y * y)),
            "radial": _columns((lens_x * r2, lens_y * r2)),
        }
        for number in range(_DIRECTIONS):
            angle = np.pi * number / _DIRECTIONS
            t = np.cos(angle) * x + np.sin(angle) * y
            groups[f"bent {number}"] = _columns((t**2, zero), (zero, t**2), (t**3, zero), (zero, t**3))
        return groups


def _columns(*fields: tuple[Array, Array]) -> Array:
    return np.stack([np.stack(field, axis=1).ravel() for field in fields], axis=1)


def _grid(crop: Crop) -> Array:
    """Points over the crop, in LR px, (N, 2)."""
    x, y = np.meshgrid(crop.x + np.linspace(0, crop.width - 1, 19), crop.y + np.linspace(0, crop.height - 1, 13))
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _fitted(
    name: ResidualShape,
    blocks: dict[str, Array],
    everywhere: dict[str, Array],
    target: Array,
    weights: Array,
    groups: tuple[list[str], list[str]],
    robust: Array | None,
) -> _Fit:
    """A model of two lists of groups against one of the first list alone, both under the larger model's weights.

    ``robust`` are other weights to use instead.
    """
    smaller, larger = groups[0], groups[0] + groups[1]
    design = _joined(blocks, larger, target)
    if robust is None:
        robust = weights
        for _ in range(_ROUNDS):
            solution = _solved(design, target, robust)[0]
            robust = weights * _biweight(target - design @ solution, weights)
    solution, rank, left = _solved(design, target, robust)
    base, base_rank, base_left = _solved(_joined(blocks, smaller, target), target, robust)
    places = next(iter(everywhere.values()))[:, 0]
    shown = _joined(everywhere, larger, places)
    numbers = float(robust.sum() ** 2 / max(float((robust**2).sum()), 1e-30))
    covariance = np.linalg.pinv(design.T @ (design * robust[:, None]), rcond=1e-12) * left / max(numbers - rank, 1.0)
    return _Fit(
        name=name,
        field=shown @ solution,
        unexplained=left,
        terms=rank,
        base_field=_joined(everywhere, smaller, places) @ base,
        base_unexplained=base_left,
        base_terms=base_rank,
        numbers=numbers,
        noise=np.einsum("ni,ij,nj->n", shown, covariance, shown).reshape(-1, 2).sum(axis=1),
        weights=robust,
    )


def _joined(terms: dict[str, Array], groups: list[str], like: Array) -> Array:
    return np.concatenate([np.empty((len(like), 0)), *(terms[group] for group in groups)], axis=1)


def _solved(design: Array, target: Array, weights: Array) -> tuple[Array, int, float]:
    """Weighted least squares: the coefficients, how many the blocks can fix, and the sum of squares left."""
    root = np.sqrt(weights)
    solution, _, rank, _ = np.linalg.lstsq(design * root[:, None], target * root, rcond=1e-6)
    return np.asarray(solution, np.float64), int(rank), float(np.sum(weights * (target - design @ solution) ** 2))


def _biweight(left: Array, weights: Array) -> Array:
    """Tukey's weights of what a fit leaves, both numbers of a block alike."""
    length = np.sqrt(np.sum(left.reshape(-1, 2) ** 2, axis=1))
    spread = _weighted_median(length, weights[::2]) / _MEDIAN_LENGTH
    return np.repeat(np.clip(1 - (length / (_TUKEY * max(spread, 1e-9))) ** 2, 0, None) ** 2, 2)


_MEDIAN_LENGTH = 1.1774
"""Median length of a vector whose two parts are normal with deviation 1."""


def _weighted_median(values: Array, weights: Array) -> float:
    order = np.argsort(values)
    share = np.cumsum(weights[order]) - weights[order] / 2
    return float(np.interp(weights.sum() / 2, share, values[order]))


def _robust_length(shifts: Array, weights: Array) -> float:
    """Root mean square length of vectors, from their median length."""
    return float(np.sqrt(2)) * _weighted_median(np.linalg.norm(shifts, axis=1), weights) / _MEDIAN_LENGTH


def _length(field: Array) -> float:
    return float(np.sqrt(np.mean(np.sum(field.reshape(-1, 2) ** 2, axis=1))))
