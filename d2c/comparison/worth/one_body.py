"""D2C-SR without branches: one body, whose features all tails share, and the convergence net.

If it is as good as the tree at equal cost, the gain of the tree lies in the fused output and not in the branches.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from d2c.d2csr.config import D2CConfig
from d2c.d2csr.entry import D2CSRNetwork
from d2c.settings.config import setting

if TYPE_CHECKING:
    from torch import Tensor

    from d2c.comparison.worth.shared_body import SharedBody, SharedBodyUpscaler
    from d2c.d2csr.network import D2CSR

__all__ = ["NAME", "OneBodyConfig", "OneBodyNetwork"]

NAME = f"{__name__}:OneBodyNetwork"
"""As ``--network`` takes it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OneBodyConfig(D2CConfig):
    """``width`` (with ``depth`` 1) is the number of tails; groups and blocks are those of a part of the body."""

    depth: int = setting(1, "Always 1: all tails are siblings.", at_least=1, at_most=1)
    width: int = setting(4, "Tails.", at_least=1, at_most=16)
    body_depth: int = setting(2, "Parts of the body, one after the other, as the branches of a path.", at_least=1)


class OneBodyNetwork(D2CSRNetwork):
    """D2C-SR with one body. On a CPU, the memory of a step is predicted as if each tail had a body of its own."""

    config = OneBodyConfig
    presets = {  # noqa: RUF012
        name: preset._replace(model=OneBodyConfig(**dataclasses.asdict(preset.model) | {"depth": 1, "width": 4}))
        for name, preset in D2CSRNetwork.presets.items()
    }

    def build(self, config: Any) -> SharedBody:
        from d2c.comparison.worth.shared_body import SharedBody

        return SharedBody(self, config)

    def upscaler(self, config: Any) -> SharedBodyUpscaler:
        from d2c.comparison.worth.shared_body import SharedBodyUpscaler

        return SharedBodyUpscaler(self, config)

    def layer_by_layer(self, model: Any, lr: Tensor) -> Any:
        import torch

        model.body.colour_in = torch.nn.Identity()  # fixed layers are not counted
        return super().layer_by_layer(cast("D2CSR", model), lr)
