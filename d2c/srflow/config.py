"""The settings of SRFlow: its structure, its training, its sizes."""

from __future__ import annotations

from dataclasses import dataclass

from d2c.settings.config import (
    OPTIMISER,
    NetworkConfig,
    PixelSettings,
    SettingError,
    epochs_of,
    setting,
    steps_of,
)
from d2c.settings.presets import Preset

__all__ = ["MULTIPLE", "PRESETS", "SCALES", "SRFlowConfig", "SRFlowSettings"]

SCALES = (4, 8)
"""The scales of the publication."""

MULTIPLE = 2
"""LR sides are extended to multiples of it: the last level of the flow works at half the size of LR."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SRFlowConfig(NetworkConfig):
    """Structure of SRFlow: an encoder, which is RRDB, and a flow."""

    scale: int = setting(8, "HR pixels per LR pixel: 4 or 8.", at_least=1, at_most=64)
    features: int = setting(64, "Feature channels of the encoder.", at_least=1, at_most=1024)
    growth: int = setting(
        32, "Channels that each convolution of a dense block of the encoder adds.", at_least=1, at_most=1024
    )
    blocks: int = setting(23, "Residual-in-residual dense blocks of the encoder.", at_least=1, at_most=256)
    transitions: int = setting(
        2, "Steps without conditions at the start of each level of the flow.", at_least=0, at_most=64
    )
    flow_steps: int = setting(16, "Conditional steps of each level of the flow.", at_least=1, at_most=256)
    flow_features: int = setting(
        64, "Feature channels of the networks in a step of the flow.", at_least=1, at_most=1024
    )

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise SettingError(
                f"scale: got {self.scale}, expected 4 or 8: srflow has no published form at other scales",
                "change --scale, or --network",
            )
        NetworkConfig.__post_init__(self)

    @property
    def levels(self) -> int:
        """Levels of the flow; the last one works at half the size of LR."""
        return self.scale.bit_length()

    @property
    def taps(self) -> tuple[int, ...]:
        """Numbers, from 0, of the encoder's blocks whose outputs are conditions: of 23 blocks those of the publication.

        They are 1, 8, 15 and 22 at ×4 and 1, 3, 5 and 7 at ×8. Fewer blocks have their counterparts.
        """
        last = self.blocks - 1
        step = (last - 1) / 3 if self.scale == 4 else last / 11
        return tuple(sorted({min(last, max(0, round(1 + number * step))) for number in range(4)}))


@dataclass(frozen=True, kw_only=True, slots=True)
class SRFlowSettings(PixelSettings):
    """Training of SRFlow. What all networks have (rate, schedule, loss, clipping) is about the encoder's stage.

    ``warmup``, ``ema`` and the optimiser's other settings are for both stages.
    """

    epochs_flow: int = epochs_of("stage 2, the flow.", 20_000)
    steps_flow: int = steps_of("stage 2")
    lr_flow: float = setting(
        5e-4,
        "Learning rate at the start of stage 2; it is halved after 50, 75, 90 and 95 % of the steps.",
        at_least=0,
        group=OPTIMISER,
    )
    clip_norm_flow: float = setting(
        1.0, "Largest Euclidean norm of the gradient in stage 2; it cannot be 0.", at_least=1e-6, group=OPTIMISER
    )

    def __post_init__(self) -> None:
        PixelSettings.__post_init__(self)
        if self.precision != "fp32":
            raise SettingError(
                f"precision: got {self.precision}, expected fp32: the likelihood of srflow overflows in others",
                "leave out --precision",
            )


PRESETS = {
    "paper": Preset(
        SRFlowConfig(),
        SRFlowSettings(batch=16, patch=20, lr=2e-4, schedule="cosine", steps=200_000, steps_flow=200_000),
        "23 blocks of 64 features, 16 steps a level; the schedule is that of ×8",
    ),
    "tiny": Preset(
        SRFlowConfig(features=16, growth=8, blocks=1, transitions=0, flow_steps=1, flow_features=8),
        SRFlowSettings(
            patch=16, lr=3e-3, lr_flow=3e-3, ema=0.9, steps=300, steps_flow=300, log_every=25, save_every=100
        ),
        "to see it work; a few minutes on a CPU",
    ),
}
