"""The shape of a residual field: uniform, affine, radial or bent, or random if it is none of these.

There are five models. Each is a special case of the next, except for the last two, which are alternatives:

    nothing  ⊂  uniform  ⊂  affine (what a homography does, to second order)  ⊂  radial, bent

Radial adds ``(p − c)·r²`` about the centre of the HR frame. Bent adds second and third powers of the distance along the
direction that fits best. A model gives the field its name if it explains the field better than the previous model, by
more than noise would (F-test under robust weights) and by enough to matter.
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
"""Nominal probability that noise explains as much, below which a model is accepted. It is small because robust weights
favour the larger model. Of fields of noise with outliers, 1 in 400 (24 blocks) or none (54 blocks) is given a name."""
_NEGLIGIBLE_HR_PX = 0.05
_SHARE_THAT_MATTERS = 0.25
"""A model must add at least this length to the previous one, and this share of its own length (root mean squares)."""
_DIRECTIONS = 12
"""Number of directions of a bend that are tried, evenly spaced over 180 degrees."""
_ADVANTAGE = 4.0
"""Difference by which the information criterion of a bend must be below that of a lens, because the direction of the
bend was chosen, and because lens distortion is more common than bowed cards."""
_TUKEY = 4.685
_ROUNDS = 10
_SPARE = 20
"""Degrees of freedom that a fit of a model must leave."""


class Shape(NamedTuple):
    """The shape of a residual field, and the length of its pattern over the crop in HR px.

    ``hr_px`` is the root mean square length. For ``random`` it is a robust length of the whole field. ``worst_hr_px``
    is the largest length of the pattern, and 0 for ``random``. If no block has weight, the name is None and both are
    nan.
    """

    name: ResidualShape | None
    hr_px: float
    worst_hr_px: float

    @property
    def pattern_hr_px(self) -> float:
        """Root mean square length of the pattern over the crop; 0 if there is none."""
        return 0.0 if self.name in (None, "random") else self.hr_px


class _Fit(NamedTuple):
    """The field of a model over the crop, (M, 2) flattened, its weighted sum of squared residuals, and its terms.

    ``base`` values are those of the previous model under the same weights. ``noise`` is the mean square length of the
    field at each of the M points due to noise alone. ``numbers`` is the effective number of independent observations.
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
        """Probability that noise alone explains as much more as this model: the upper tail of the F distribution."""
        more, spare = self.terms - self.base_terms, self.numbers - self.terms
        if more < 1 or spare < _SPARE:
            return 1.0
        ratio = (self.base_unexplained - self.unexplained) / more / max(self.unexplained / spare, 1e-30)
        return float(special.fdtrc(more, spare, max(ratio, 0.0)))

    @property
    def evidence(self) -> float:
        """Bayesian information criterion. Of two models, the one with the smaller value is more likely."""
        return float(self.numbers * np.log(max(self.unexplained, 1e-30)) + self.terms * np.log(max(self.numbers, 2)))

    @property
    def hr_px(self) -> float:
        """Root mean square length of the model's field over the crop, less the part due to noise."""
        return float(np.sqrt(max(_length(self.field) ** 2 - float(self.noise.mean()), 0.0)))

    @property
    def shape(self) -> Shape:
        """The shape described by this model."""
        squares = np.sum(self.field.reshape(-1, 2) ** 2, axis=1) - self.noise
        return Shape(self.name, self.hr_px, float(np.sqrt(max(squares.max(), 0.0))))

    @property
    def matters(self) -> bool:
        """Whether its addition to the previous model is large enough to matter."""
        added = _length(self.field - self.base_field)
        return added >= max(_NEGLIGIBLE_HR_PX, _SHARE_THAT_MATTERS * _length(self.field))


def name_shape(field: ResidualField, crop: Crop, centre: Array | None = None) -> Shape:
    """Name the shape of a residual field.

    Parameters
    ----------
    field : ResidualField
    crop : Crop
        The part of LR that the field covers. Lengths are root mean squares over it.
    centre : (2,) ndarray, optional
        Position in LR px of the HR frame's centre, about which lens distortion is radial. By default the crop's centre.

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
    # Models can be compared only under the same weights.
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
    """Coordinates of the terms of a field: measured from the crop's centre, in half-diagonals of the crop."""

    middle: Array
    unit: float
    lens: Array

    @classmethod
    def of(cls, crop: Crop, centre: Array | None) -> _Frame:
        middle = np.array([crop.x + (crop.width - 1) / 2, crop.y + (crop.height - 1) / 2])
        return cls(middle, float(np.hypot(crop.width, crop.height)) / 2, middle if centre is None else centre)

    def terms(self, points_lr: Array) -> dict[str, Array]:
        """Columns of each group of terms at (N, 2) points, (2N, K), in which x and y of a point are adjacent."""
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
    """Fit a model with both lists of groups, and a model with the first list only, under the weights of the larger.

    ``robust`` are weights to use instead.
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
    """Weighted least squares: the coefficients, how many of them are determined, and the residual sum of squares."""
    root = np.sqrt(weights)
    solution, _, rank, _ = np.linalg.lstsq(design * root[:, None], target * root, rcond=1e-6)
    return np.asarray(solution, np.float64), int(rank), float(np.sum(weights * (target - design @ solution) ** 2))


def _biweight(left: Array, weights: Array) -> Array:
    """Tukey's weights for the residuals of a fit, the same for x and y of a block."""
    length = np.sqrt(np.sum(left.reshape(-1, 2) ** 2, axis=1))
    spread = _weighted_median(length, weights[::2]) / _MEDIAN_LENGTH
    return np.repeat(np.clip(1 - (length / (_TUKEY * max(spread, 1e-9))) ** 2, 0, None) ** 2, 2)


_MEDIAN_LENGTH = 1.1774
"""Median length of a vector with two standard normal components."""


def _weighted_median(values: Array, weights: Array) -> float:
    order = np.argsort(values)
    share = np.cumsum(weights[order]) - weights[order] / 2
    return float(np.interp(weights.sum() / 2, share, values[order]))


def _robust_length(shifts: Array, weights: Array) -> float:
    """Root mean square length of vectors, from their median length."""
    return float(np.sqrt(2)) * _weighted_median(np.linalg.norm(shifts, axis=1), weights) / _MEDIAN_LENGTH


def _length(field: Array) -> float:
    return float(np.sqrt(np.mean(np.sum(field.reshape(-1, 2) ** 2, axis=1))))
