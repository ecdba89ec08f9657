"""Train and run super-resolution networks, D2C-SR first of all, on pairs made by d2crealsr.

Importing this package loads neither torch nor anything else that is slow; names are looked up when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from d2c.d2csr.config import D2CConfig, TrainConfig

if TYPE_CHECKING:
    import d2c.hub as hub
    import d2c.losses as losses
    import d2c.metrics as metrics
    import d2c.spandrel as spandrel
    from d2c.checkpoints.native import load
    from d2c.d2csr.network import D2CSR
    from d2c.data.pair_dataset import PairDataset
    from d2c.library.training import train
    from d2c.library.upscaling import upscale

__all__ = [
    "D2CSR",
    "D2CConfig",
    "PairDataset",
    "TrainConfig",
    "hub",
    "load",
    "losses",
    "metrics",
    "spandrel",
    "train",
    "upscale",
]

_HOME = {
    "D2CSR": "d2c.d2csr.network",
    "PairDataset": "d2c.data.pair_dataset",
    "load": "d2c.checkpoints.native",
    "train": "d2c.library.training",
    "upscale": "d2c.library.upscaling",
}
_MODULES = ("hub", "losses", "metrics", "spandrel")


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"d2c.{name}")
    raise AttributeError(f"module 'd2c' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
