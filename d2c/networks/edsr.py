"""EDSR: a wide residual body at LR size and a tail without activation.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017,
doi:10.1109/CVPRW.2017.151, Fig. 3.

Departures. The tail runs as one convolution at LR size (:mod:`d2c.tails`). L1 is taken on [0, 1] and not on [0, 255],
a factor on gradients that Adam cancels. The publication trains ×3 and ×4 from the weights of ×2; here ×2, ×3, ×4 and
×8 start at random, unless ``--weights`` names others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from d2c.networks.base.released import Naming, count, read_released
from d2c.networks.base.residual import (
    MEANS,
    LinearTailNetwork,
    ResidualBlock,
    ResidualNet,
    authors_names,
    basicsr_names,
    tail_of,
)
from d2c.settings.config import NetworkConfig, PixelSettings, setting
from d2c.settings.presets import Preset
from d2c.tails.tail import HALO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from d2c.networks.base.released import Weights

__all__ = ["EDSRConfig", "EDSRNetwork"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EDSRConfig(NetworkConfig):
    """Structure of EDSR."""

    features: int = setting(256, "Feature channels.", at_least=1, at_most=4096)
    blocks: int = setting(32, "Residual blocks.", at_least=1, at_most=1024)
    residual_scale: float = setting(0.1, "Factor on the residual of each block.", at_least=0, at_most=1)


# --- weights of the authors and of BasicSR ---------------------------------------------------------------------------


def _config(state: Weights, *, head: str, blocks: int, tail: str) -> EDSRConfig:
    """The files do not say the factor on residuals; it belongs to the width."""
    features = state[head].shape[0]
    share = 0.1 if features >= 256 else 1.0
    return EDSRConfig(scale=tail_of(state, tail), features=features, blocks=blocks, residual_scale=share)


def _body(config: EDSRConfig, first: str, second: str) -> Iterator[tuple[str, str]]:
    for i in range(config.blocks):
        yield f"body.{i}.conv1", f"body.{i}.{first}"
        yield f"body.{i}.conv2", f"body.{i}.{second}"


_NAMINGS = (
    Naming(
        "head.0.weight",
        lambda state: _config(
            state, head="head.0.weight", blocks=count(state, r"body\.(\d+)\.body"), tail=r"tail\.0\.\d+\.weight"
        ),
        lambda config: [*authors_names(config.scale, config.blocks), *_body(config, "body.0", "body.2")],
        MEANS,
    ),
    Naming(
        "conv_after_body.weight",
        lambda state: _config(
            state, head="conv_first.weight", blocks=count(state, r"body\.(\d+)\.conv1"), tail=r"upsample\.\d+\.weight"
        ),
        lambda config: [*basicsr_names(config.scale), *_body(config, "conv1", "conv2")],
    ),
)


_SCHEDULE: dict[str, Any] = {"batch": 16, "patch": 48, "lr_halve_steps": 200_000, "steps": 300_000}


class EDSRNetwork(LinearTailNetwork):
    """A wide residual body and a tail without activation."""

    paper = "Lim et al., doi:10.1109/CVPRW.2017.151"
    config = EDSRConfig
    train = PixelSettings
    starts_anew = {"scale": "tail"}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "paper": Preset(EDSRConfig(), PixelSettings(**_SCHEDULE), "32 blocks of 256 features"),
        "baseline": Preset(
            EDSRConfig(features=64, blocks=16, residual_scale=1.0),
            PixelSettings(**_SCHEDULE),
            "the publication's small form: 16 blocks of 64 features",
        ),
        "tiny": Preset(
            EDSRConfig(features=24, blocks=6, residual_scale=1.0),
            PixelSettings(patch=24, lr=1e-3, ema=0.99, steps=600, log_every=25, save_every=100),
            "to see it work; a minute or two on a CPU",
        ),
    }

    def build(self, config: Any) -> nn.Module:
        return ResidualNet(
            config.features,
            (ResidualBlock(config.features, config.residual_scale) for _ in range(config.blocks)),
            config.scale,
        )

    def released(self, source: Path) -> nn.Module:
        return read_released(self, source, _NAMINGS)

    def reach_of(self, config: Any) -> int:
        return int(1 + 2 * config.blocks + 1 + HALO)
