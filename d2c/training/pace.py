"""Predict from the first steps how long a run will take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from d2c.networks.base.count import parameters

if TYPE_CHECKING:
    from d2c.networks import Network, NetworkConfig

__all__ = ["Pace", "duration", "projection"]

_STEPS = 20
_WARM_UP = 5
_DAY = 86_400


class Pace:
    """Measures the first steps of a process and predicts the duration of the run."""

    def __init__(self, first: int, network: Network, config: NetworkConfig) -> None:
        self.first, self.began = first, 0.0
        self.network, self.config = network, config

    def note(self, done: int, total: int) -> str | None:
        """The prediction, returned once after enough steps. The first few steps warm up and do not count."""
        seen = done - self.first
        if seen == _WARM_UP:
            self.began = time.perf_counter()
        if seen != _STEPS:
            return None
        seconds = (time.perf_counter() - self.began) / (_STEPS - _WARM_UP)
        return projection(seconds, total, self.network, self.config)


def projection(seconds_a_step: float, steps: int, network: Network, config: NetworkConfig) -> str:
    """A sentence on the duration of the steps. Above a day it names presets with at most half the parameters."""
    seconds = seconds_a_step * steps
    text = f"{seconds_a_step:.2f} s a step: about {duration(seconds)} for all {steps:,} steps at this pace"
    if seconds <= _DAY:
        return text
    most = parameters(network, config) // 2
    smaller = [name for name, preset in network.sizes().items() if parameters(network, preset.model) <= most]
    return f"{text}; smaller presets: {', '.join(smaller) or 'none'}"


def duration(seconds: float) -> str:
    """A duration as text for people."""
    if seconds > 2 * _DAY:
        return f"{seconds / _DAY:.0f} days"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
