"""RCAN: groups of residual blocks with channel attention, and a tail without activation.

Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks", ECCV 2018,
doi:10.1007/978-3-030-01234-2_18, Eqs. 1 – 9.

Departures. The tail runs as one convolution at LR size (:mod:`d2c.tails`), and L1 is taken on [0, 1] and not on
[0, 255]. The publication trains ×3, ×4 and ×8 from the weights of ×2; here all scales start at random.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from d2c.networks.base.attention import ResidualGroup
from d2c.networks.base.released import Naming, count, read_released
from d2c.networks.base.residual import (
    MEANS,
    LinearTailNetwork,
    ResidualNet,
    authors_names,
    basicsr_names,
    tail_of,
)
from d2c.settings.config import NetworkConfig, PixelSettings, setting
from d2c.settings.presets import Preset

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import nn

    from d2c.networks.base.released import Weights

__all__ = ["RCANConfig", "RCANNetwork"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RCANConfig(NetworkConfig):
    """Structure of RCAN."""

    features: int = setting(64, "Feature channels.", at_least=1, at_most=1024)
    groups: int = setting(10, "Residual groups.", at_least=1, at_most=256)
    blocks: int = setting(20, "Residual channel attention blocks in a group.", at_least=1, at_most=256)
    reduction: int = setting(16, "Channel attention narrows n channels to max(1, n // reduction).", at_least=1)


# --- weights of the authors and of BasicSR ---------------------------------------------------------------------------

_AUTHORS_BLOCK = {"conv1": "body.0", "conv2": "body.2"} | {
    "attention.squeeze": "body.3.conv_du.0",
    "attention.excite": "body.3.conv_du.2",
}
_BASICSR_BLOCK = {"conv1": "rcab.0", "conv2": "rcab.2"} | {
    "attention.squeeze": "rcab.3.attention.1",
    "attention.excite": "rcab.3.attention.3",
}


def _config(state: Weights, *, head: str, group: str, block: str, tail: str) -> RCANConfig:
    features = state[head].shape[0]
    narrow = next(tensor.shape[0] for name, tensor in state.items() if re.search(r"(conv_du\.0|attention\.1)\.w", name))
    return RCANConfig(
        scale=tail_of(state, tail),
        features=features,
        groups=count(state, group),
        blocks=count(state, block),
        reduction=features // narrow,
    )


def _body(config: RCANConfig, block: str, conv: str, layers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Names of the groups; ``block`` and ``conv`` are where a group has its blocks and its last convolution."""
    for g in range(config.groups):
        yield f"body.{g}.conv", f"body.{g}.{conv.format(config.blocks)}"
        for b in range(config.blocks):
            yield from (
                (f"body.{g}.blocks.{b}.{ours}", f"body.{g}.{block}.{b}.{name}") for ours, name in layers.items()
            )


_NAMINGS = (
    Naming(
        "head.0.weight",
        lambda state: _config(
            state,
            head="head.0.weight",
            group=r"body\.(\d+)\.body",
            block=r"body\.0\.body\.(\d+)\.body",
            tail=r"tail\.0\.\d+\.weight",
        ),
        lambda config: [
            *authors_names(config.scale, config.groups),
            *_body(config, "body", "body.{}", _AUTHORS_BLOCK),
        ],
        MEANS,
    ),
    Naming(
        "conv_after_body.weight",
        lambda state: _config(
            state,
            head="conv_first.weight",
            group=r"body\.(\d+)\.",
            block=r"body\.0\.residual_group\.(\d+)\.",
            tail=r"upsample\.\d+\.weight",
        ),
        lambda config: [*basicsr_names(config.scale), *_body(config, "residual_group", "conv", _BASICSR_BLOCK)],
    ),
)


class RCANNetwork(LinearTailNetwork):
    """Groups of residual blocks with channel attention, and a tail without activation.

    The attention averages over the whole image, so each pixel depends on all others, and images are upscaled whole.
    """

    paper = "Zhang et al., doi:10.1007/978-3-030-01234-2_18"
    config = RCANConfig
    train = PixelSettings
    starts_anew = {"scale": "tail"}  # noqa: RUF012
    presets = {  # noqa: RUF012
        "paper": Preset(
            RCANConfig(),
            PixelSettings(batch=16, patch=48, lr_halve_steps=200_000, steps=1_000_000),
            "10 groups of 20 blocks",
        ),
        "tiny": Preset(
            RCANConfig(features=24, groups=2, blocks=2),
            PixelSettings(patch=24, lr=1e-3, ema=0.99, steps=600, log_every=25, save_every=100),
            "to see it work; a minute or two on a CPU",
        ),
    }

    def build(self, config: Any) -> nn.Module:
        groups = (ResidualGroup(config.features, config.reduction, config.blocks) for _ in range(config.groups))
        return ResidualNet(config.features, groups, config.scale)

    def released(self, source: Path) -> nn.Module:
        return read_released(self, source, _NAMINGS)
