"""The difference between two methods, with an interval over images and seeds.

The images and the seeds are both samples: other photographs would give other differences, and so would other random
weights. The interval is a t interval. Its variance is the sum of three parts: the variance of the images' differences
(means over the seeds) divided by the number of images, and for each of the two methods the variance of its seeds' means
(over the images) divided by the number of seeds. The degrees of freedom are those of Welch and Satterthwaite. A method
without seeds, as bicubic, adds no part. With fewer than three seeds, or with one image, nothing can be said of their
variance: the result is then the range of the differences that the seeds gave, and is called a range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from scipy.special import stdtrit

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LEAST_SEEDS", "Difference", "Paired", "difference", "half_width", "paired"]

Kind: TypeAlias = Literal["interval", "range"]

LEAST_SEEDS = 3
_LEAST_IMAGES = 2
_CONFIDENCE = 0.95


class Difference(NamedTuple):
    """A mean difference with its bounds; ``kind`` says what the bounds are."""

    mean: float
    low: float
    high: float
    kind: Kind

    @property
    def resolved(self) -> bool:
        """Whether an interval excludes zero. A range resolves nothing."""
        return self.kind == "interval" and (self.low > 0 or self.high < 0)

    def __str__(self) -> str:
        if self.kind == "range" and self.low == self.high:
            return f"{self.mean:+.3f} (one value, no range)"
        return f"{self.mean:+.3f} ({self.kind} {self.low:+.3f} … {self.high:+.3f})"


def difference(
    a: NDArray[Any], b: NDArray[Any], *, seeded: tuple[bool, bool] = (True, True), paired: bool = False
) -> Difference:
    """The mean of ``a`` less that of ``b``, with a 95 % interval over images and seeds, or the range over seeds.

    Parameters
    ----------
    a, b : (seeds, images) ndarray
        A measure of the same images by two methods. The numbers of seeds may differ.
    seeded : (bool, bool)
        Whether each method depends on a seed. One that does not has one row.
    paired : bool
        Whether both are outputs of the same trainings, so that the differences of each seed are one sample.

    Examples
    --------
    >>> import numpy as np
    >>> print(difference(np.array([[30.0, 31.0], [30.2, 31.2]]), np.array([[29.0, 30.0]]), seeded=(True, False)))
    +1.100 (range +1.000 … +1.200)
    """
    mean = float(a.mean() - b.mean())
    of_seeds = [(a - b).mean(axis=1)] if paired else [rows.mean(axis=1) for rows in (a, b)]
    random = [values for values, depends in zip(of_seeds, seeded, strict=False) if depends]
    if a.shape[1] < _LEAST_IMAGES or any(len(values) < LEAST_SEEDS for values in random):
        least, most = (of_seeds[0].min(), of_seeds[0].max()) if paired else _extremes(*of_seeds)
        return Difference(mean, float(least), float(most), "range")
    samples = [a.mean(axis=0) - b.mean(axis=0), *random]
    parts = [(float(values.var(ddof=1)) / len(values), len(values) - 1) for values in samples if len(values) > 1]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return Difference(mean, mean, mean, "interval" if len(samples[0]) > 1 else "range")
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    half = float(stdtrit(freedom, 0.5 + _CONFIDENCE / 2)) * variance**0.5
    return Difference(mean, mean - half, mean + half, "interval")


class Paired(NamedTuple):
    """The mean difference over paired seeds, and half the width of its 95 % t interval, infinite for one seed."""

    mean: float
    half: float
    seeds: int

    @property
    def resolved(self) -> bool:
        """Whether the difference is larger than the half-width."""
        return abs(self.mean) > self.half

    def __str__(self) -> str:
        if self.seeds == 1:
            return f"{self.mean:+.3f} (one seed: a lead)"
        return f"{self.mean:+.3f} ± {self.half:.3f}" + ("" if self.resolved else ", not resolved")


def paired(a: NDArray[Any], b: NDArray[Any]) -> Paired:
    """The mean of ``a`` less ``b`` over seeds, each ``(seeds,)``: values of two methods in the order of the same seeds.

    The images are taken as given: a seed's value is a mean over the same images for both methods.

    Examples
    --------
    >>> import numpy as np
    >>> print(paired(np.array([30.1, 30.3, 30.2]), np.array([30.0, 30.1, 30.1])))
    +0.133 ± 0.143, not resolved
    """
    if a.shape != b.shape or not len(a):
        raise ValueError(f"b: got shape {b.shape}, expected that of a, {a.shape}, with a seed at least")
    return Paired(float((a - b).mean()), half_width(a - b, 0.5 + _CONFIDENCE / 2), len(a))


def half_width(values: NDArray[Any], quantile: float) -> float:
    """The distance from the mean of ``(n,)`` values to a quantile of its t distribution; infinite for one value."""
    count = len(values)
    return float("inf") if count < 2 else float(stdtrit(count - 1, quantile) * values.std(ddof=1)) / count**0.5


def _extremes(a: NDArray[Any], b: NDArray[Any]) -> tuple[float, float]:
    """The least and the largest difference of two means over seeds."""
    return float(a.min() - b.max()), float(a.max() - b.min())
