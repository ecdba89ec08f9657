"""How long each method is trained: so many steps, so many crops, or so many seconds."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from d2c.errors import ConfigError
from d2c.networks.base.stage import PixelStage
from d2c.training.stages import asked_stages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2c.networks import Network
    from d2c.networks.base.stage import Stage

__all__ = ["Budget", "shares", "with_lengths"]

Kind: TypeAlias = Literal["steps", "crops", "seconds"]


@dataclass(frozen=True)
class Budget:
    """What each training may cost, in all its stages together."""

    kind: Kind
    amount: float

    @classmethod
    def parse(cls, text: str) -> Budget:
        """The budget that a text such as ``crops=20000`` names.

        Raises
        ------
        ConfigError
            When it names none.

        Examples
        --------
        >>> Budget.parse("crops=20000")
        Budget(kind='crops', amount=20000.0)
        """
        kind, _, amount = text.partition("=")
        try:
            number = float(amount.replace("_", ""))
        except ValueError:
            number = math.nan
        if kind not in get_args(Kind) or not 0 < number < 1e12 or (kind != "seconds" and number != int(number)):
            raise ConfigError(
                f"budget: got {text[:80]!r}, expected steps=N, crops=N or seconds=N with a number above 0; "
                "change --budget"
            )
        return cls(kind, number)  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.kind}={self.amount:g}" if self.amount < 1e6 else f"{self.kind}={self.amount:.0f}"

    def steps(self, batch: int, seconds_a_step: Sequence[float], parts: Sequence[float] = ()) -> int:
        """Steps of all stages together.

        Parameters
        ----------
        batch : int
            Crops in a step.
        seconds_a_step : sequence of float
            Seconds of a step of each stage; used if the budget is in seconds.
        parts : sequence of float
            The share of each stage in the steps; by default that of :class:`d2c.networks.base.stage.Stage`.
        """
        if self.kind == "steps":
            return max(1, int(self.amount))
        if self.kind == "crops":
            return max(1, round(self.amount / batch))
        parts = parts or shares([PixelStage] * len(seconds_a_step))
        mean = sum(part * seconds for part, seconds in zip(parts, seconds_a_step, strict=True))
        return max(len(parts), int(self.amount / max(mean, 1e-6)))


def shares(stages: Sequence[type[Stage]]) -> list[float]:
    """The share of each stage in the steps: that of every later stage is its own, and the first one has the rest.

    Examples
    --------
    >>> [round(share, 3) for share in shares([PixelStage, PixelStage])]
    [0.909, 0.091]
    """
    later = [kind.share for kind in stages[1:]]
    return [1 - sum(later), *later]


def with_lengths(network: Network, train: Any, stage: str, total: int) -> Any:
    """The training settings with ``total`` steps, divided among the stages that are trained."""
    stages = list(asked_stages(network, train, stage).values())
    later = [max(1, round(total * share)) for share in shares(stages)[1:]]
    steps = [max(1, total - sum(later)), *later]
    return dataclasses.replace(train, **{kind.lengths[0]: n for kind, n in zip(stages, steps, strict=True)})
