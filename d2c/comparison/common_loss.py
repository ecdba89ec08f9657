"""The networks whose stages have losses of their own, with one loss that all methods of a table share.

D2C-SR keeps what makes it D2C-SR, the triplet and its two stages; its norms (Eqs. 1 and 9) become the common loss. With
the mean squared error it is D2C-SR as it stands.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from d2c.d2csr.config import TrainConfig
from d2c.d2csr.entry import D2CSRNetwork
from d2c.networks.cdc import CDCNetwork
from d2c.networks.lpkpn import LPKPNNetwork
from d2c.settings.config import LOSS, Loss, PixelSettings, TrainSettings, setting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d2c.d2csr.stages import D2CStage
    from d2c.networks.base.stage import Stage
    from d2c.settings.presets import Preset

__all__ = ["CommonCDC", "CommonD2CSR", "CommonLPKPN", "CommonSettings", "common_network"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CommonSettings(TrainConfig):
    """Training of D2C-SR with a choice of its norms."""

    loss: Loss = setting(
        "l2", "Norm of Eqs. 1 and 9, as for the other networks.", choices=("l1", "l2", "charbonnier"), group=LOSS
    )


def _with(presets: Mapping[str, Preset], settings: type[TrainSettings]) -> dict[str, Preset]:
    """Presets whose training settings have the fields of ``settings`` as well."""
    return {
        name: preset._replace(train=settings(**dataclasses.asdict(preset.train))) for name, preset in presets.items()
    }


class CommonCDC(CDCNetwork):
    """CDC trained by the common loss of its output: no intermediate losses, masks or gradient weights."""

    train = PixelSettings
    presets = _with(CDCNetwork.presets, PixelSettings)

    def stages(self, train: Any) -> Sequence[type[Stage]]:
        from d2c.networks.base.stage import PixelStage

        return [PixelStage]


class CommonLPKPN(LPKPNNetwork):
    """LP-KPN trained by the common loss of its output, which is an RGB image, and not of the levels of its luma."""

    train = PixelSettings
    presets = _with(LPKPNNetwork.presets, PixelSettings)

    def stages(self, train: Any) -> Sequence[type[Stage]]:
        from d2c.networks.base.stage import PixelStage

        return [PixelStage]


class CommonD2CSR(D2CSRNetwork):
    """D2C-SR with the common loss in place of the mean squared error of Eqs. 1 and 9."""

    train = CommonSettings
    presets = _with(D2CSRNetwork.presets, CommonSettings)

    def stages(self, train: Any) -> Sequence[type[D2CStage]]:
        from d2c.comparison.d2csr_stages import PixelConvergence, PixelDivergence

        return [PixelDivergence, PixelConvergence]


def common_network(name: str, loss: str) -> str:
    """The network to train so that ``loss`` is what it minimises: ``name`` itself, or one of this module."""
    own = {"cdc": "CommonCDC", "lpkpn": "CommonLPKPN"}
    if name == "d2csr" and loss != "l2":
        own["d2csr"] = "CommonD2CSR"
    return f"{__name__}:{own[name]}" if name in own else name
