"""Named settings: the paper's, the released code's, and two smaller ones."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

from d2c.errors import ConfigError
from d2c.settings.config import D2CConfig, TrainConfig

__all__ = ["PRESETS", "Preset", "preset", "scaled_down"]


class Preset(NamedTuple):
    """A model and how it is trained. ``doc`` says for whom."""

    model: D2CConfig
    train: TrainConfig
    doc: str


_GAIN = 40.0
"""Gain at the convergence net's input where it is not the paper's (docs/adr/0012): chosen on validation pairs."""

PRESETS: dict[str, Preset] = {
    "paper": Preset(
        D2CConfig(),
        TrainConfig(),
        "the paper's structure and schedule; for GPUs",
    ),
    "released": Preset(
        D2CConfig(convergence_bias=False, convergence_relu=True),
        TrainConfig(
            joint=True,
            weight_decay=1e-8,
            alpha=2e-5,
            alpha_halve_epochs=2000,
            margin=5e-5,
            margin_siblings=2e-5,
            triplet_after=200,
            triplet_period=1000,
            triplet_length=200,
        ),
        "the released code's structure, schedule and triplet strength (there too weak to be seen)",
    ),
    "small": Preset(
        D2CConfig(features=32, groups=2, blocks=1, convergence_features=32),
        TrainConfig(patch=48, lr=2e-4, steps=40_000, steps_convergence=8_000, log_every=100),
        "the paper's 0.91 M parameters; hours on one GPU",
    ),
    "tiny": Preset(
        D2CConfig(features=16, groups=1, blocks=1, borders="composed", convergence_features=16, convergence_gain=_GAIN),
        TrainConfig(patch=24, lr=1e-3, ema=0.99, steps=600, steps_convergence=150, log_every=25, save_every=100),
        "to see it work; a minute or two on a CPU",
    ),
}


def preset(name: str) -> Preset:
    """The preset of that name."""
    if name not in PRESETS:
        raise ConfigError(f"preset: got {name!r}, expected one of {', '.join(PRESETS)}; change --preset")
    return PRESETS[name]


def scaled_down(chosen: Preset, factor: int) -> Preset:
    """The preset for a smaller machine: steps or epochs, and the area of a patch, divided by ``factor``.

    The learning rate's and the triplet's periods shrink with the epochs; the model stays what it is.
    """
    if factor < 1:
        raise ConfigError(f"scale-down: got {factor}, expected at least 1")
    train = chosen.train
    counts = ("epochs", "epochs_convergence", "steps", "steps_convergence", "lr_halve_epochs", "alpha_halve_epochs")
    changes: dict[str, Any] = {name: max(1, getattr(train, name) // factor) for name in counts if getattr(train, name)}
    changes |= {name: max(1, getattr(train, name) // factor) for name in ("validate_every", "save_every", "log_every")}
    changes |= {name: getattr(train, name) // factor for name in ("triplet_after", "triplet_period")}
    changes["triplet_length"] = -(-train.triplet_length // factor)
    changes["patch"] = max(8, round(train.patch / math.sqrt(factor)))
    return chosen._replace(train=dataclasses.replace(train, **(changes if factor > 1 else {})))
