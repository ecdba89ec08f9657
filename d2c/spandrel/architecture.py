"""D2C-SR as one of spandrel's architectures. This module needs spandrel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spandrel import MAIN_REGISTRY, Architecture, ArchSupport, ImageModelDescriptor, ModelLoader, ModelTiling
from spandrel.util import KeyCondition

from d2c.d2csr.network import D2CSR
from d2c.spandrel.shapes import NEEDED, config_of, parameters_in, settings_in

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["D2CSRArchitecture", "register"]

_ID = "D2CSR"


class D2CSRArchitecture(Architecture[D2CSR]):  # type: ignore[misc]
    """How spandrel knows D2C-SR by its tensors, and builds it from them."""

    def __init__(self) -> None:
        super().__init__(id=_ID, name="D2C-SR", detect=KeyCondition.has_all(*NEEDED))

    def load(self, state_dict: dict[str, Tensor]) -> Any:
        """The model in spandrel's wrapper. Channel attention averages over the whole image, so tiles are not exact."""
        config = config_of(state_dict)
        return ImageModelDescriptor(
            D2CSR(config),
            parameters_in(state_dict),
            architecture=self,
            purpose="SR" if config.scale > 1 else "Restoration",
            tags=[f"{config.features}nf", f"{config.predictions} predictions"],
            supports_half=True,
            supports_bfloat16=True,
            scale=config.scale,
            input_channels=3,
            output_channels=3,
            tiling=ModelTiling.DISCOURAGED,
            call_fn=lambda model, image: model(image).to(image.dtype),
        )


def register() -> None:
    """Add the architecture to the main registry, and have loaders read the settings that no tensor shows."""
    if _ID in MAIN_REGISTRY:
        return
    MAIN_REGISTRY.add(ArchSupport.from_architecture(D2CSRArchitecture()))
    read = ModelLoader.load_state_dict_from_file

    def read_with_settings(self: Any, path: str | Path) -> dict[str, Tensor]:
        return {**read(self, path), **settings_in(Path(path))}

    ModelLoader.load_state_dict_from_file = read_with_settings
