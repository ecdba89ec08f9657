"""Named sizes of D2C-SR with their schedules: that of the paper, that of the released code, and two smaller ones."""

from __future__ import annotations

from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.settings.presets import Preset

__all__ = ["PRESETS"]

_GAIN = 40.0
"""Gain at the convergence net's input for presets that do not use the paper's (docs/adr/0012)."""

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
        "about the paper's 0.91 M parameters; hours on one GPU",
    ),
    "tiny": Preset(
        D2CConfig(features=16, groups=1, blocks=1, borders="composed", convergence_features=16, convergence_gain=_GAIN),
        TrainConfig(patch=24, lr=1e-3, ema=0.99, steps=600, steps_convergence=150, log_every=25, save_every=100),
        "to see it work; a minute or two on a CPU",
    ),
}
