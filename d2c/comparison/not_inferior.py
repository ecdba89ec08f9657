"""Whether a cheaper way of training loses no more than a margin: a test of non-inferiority over paired seeds.

Both ways are trained from each seed and measured on the same images, so a seed gives one loss: the mean PSNR of the
reference less that of the cheaper way. The cheaper way is not inferior if the upper 95 % limit of the mean loss, from a
t distribution, is below the margin. An absent difference shows nothing: few seeds have wide limits, and the answer is
then that it is undecided.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from d2c.comparison.intervals import half_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ENOUGH_SEEDS", "MARGIN_DB", "Loss", "loss_of"]

Answer: TypeAlias = Literal["not inferior", "inferior", "undecided"]

MARGIN_DB = 0.05
ENOUGH_SEEDS = 8
_CONFIDENCE = 0.95


class Loss(NamedTuple):
    """The mean loss in dB, its lower and its upper one-sided 95 % limit, and the number of seeds."""

    mean: float
    lower: float
    upper: float
    seeds: int

    @property
    def answer(self) -> Answer:
        """What follows. With fewer than :data:`ENOUGH_SEEDS` seeds nothing does."""
        if self.seeds < ENOUGH_SEEDS:
            return "undecided"
        return "not inferior" if self.upper < MARGIN_DB else "inferior" if self.lower > MARGIN_DB else "undecided"

    def __str__(self) -> str:
        limits = f"{self.lower:+.3f} … {self.upper:+.3f}" if self.seeds > 1 else "no limits"
        return f"{self.mean:+.3f} dB ({limits}), {self.seeds} seeds: {self.answer}"


def loss_of(reference: NDArray[Any], cheaper: NDArray[Any]) -> Loss:
    """The loss of the cheaper way.

    Parameters
    ----------
    reference, cheaper : (seeds, images) ndarray
        PSNR in dB of the same images by both ways; a row for each seed, in the same order.

    Examples
    --------
    >>> import numpy as np
    >>> reference = np.full((8, 2), 25.0)
    >>> cheaper = reference - np.array([[0.01], [0.0], [0.02], [-0.01], [0.0], [0.01], [0.03], [0.02]])
    >>> print(loss_of(reference, cheaper))
    +0.010 dB (+0.001 … +0.019), 8 seeds: not inferior
    """
    if reference.shape != cheaper.shape:
        raise ValueError(f"cheaper: got shape {cheaper.shape}, expected that of the reference, {reference.shape}")
    losses = (reference - cheaper).mean(axis=1)
    seeds, mean = len(losses), float(losses.mean())
    half = half_width(losses, _CONFIDENCE)
    return Loss(mean, mean - half, mean + half, seeds)
