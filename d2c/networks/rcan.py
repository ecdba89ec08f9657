"""RCAN: groups of residual blocks with channel attention, and a tail without activation.

Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks", ECCV 2018,
doi:10.1007/978-3-030-01234-2_18, Eqs. 1 – 9.

Departures. The tail runs as one convolution at LR size (:mod:`d2c.tails`), and L1 is taken on [0, 1] and not on
[0, 255]. The publication trains ×3, ×4 and ×8 from the weights of ×2; here all scales start at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from d2c.networks.base.attention import ResidualGroup
from d2c.networks.base.residual import LinearTailNetwork, ResidualNet
from d2c.settings.config import NetworkConfig, TrainSettings, setting
from d2c.settings.presets import Preset

if TYPE_CHECKING:
    from torch import nn

__all__ = ["RCANConfig", "RCANNetwork"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RCANConfig(NetworkConfig):
    """Structure of RCAN."""

    features: int = setting(64, "Feature channels.", at_least=1, at_most=1024)
    groups: int = setting(10, "Residual groups.", at_least=1, at_most=256)
    blocks: int = setting(20, "Residual channel attention blocks in a group.", at_least=1, at_most=256)
    reduction: int = setting(16, "Channel attention narrows n channels to max(1, n // reduction).", at_least=1)


class RCANNetwork(LinearTailNetwork):
    """Groups of residual blocks with channel attention, and a tail without activation.

    The attention averages over the whole image, so each pixel depends on all others, and images are upscaled whole.
    """

    paper = "Zhang et al., doi:10.1007/978-3-030-01234-2_18"
    config = RCANConfig
    presets = {  # noqa: RUF012
        "paper": Preset(RCANConfig(), TrainSettings(batch=16, patch=48, steps=1_000_000), "10 groups of 20 blocks"),
        "tiny": Preset(
            RCANConfig(features=24, groups=2, blocks=2),
            TrainSettings(patch=24, lr=1e-3, ema=0.99, steps=600, log_every=25, save_every=100),
            "to see it work; a minute or two on a CPU",
        ),
    }

    def build(self, config: Any) -> nn.Module:
        groups = (ResidualGroup(config.features, config.reduction, config.blocks) for _ in range(config.groups))
        return ResidualNet(config.features, groups, config.scale)
