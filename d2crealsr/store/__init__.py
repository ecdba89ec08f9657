"""The file layer, which `d2c` may import: the pairs format and its readers, raw layouts, images, atomic writes.

Apart from errors, each name is imported when it is first used, so that what reads no file needs no image library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import (
    D2CRealSRError,
    ImageError,
    LayoutError,
    MachineError,
    ScaleError,
    TableError,
    UsageError,
    is_out_of_memory,
)

if TYPE_CHECKING:
    from d2crealsr.store.files import atomic_path, sha256_of
    from d2crealsr.store.images import IMAGE_SUFFIXES, read_image, write_image
    from d2crealsr.store.locks import lock_folder
    from d2crealsr.store.pairs import read_dataset, read_manifest

__all__ = [
    "IMAGE_SUFFIXES",
    "D2CRealSRError",
    "ImageError",
    "LayoutError",
    "MachineError",
    "ScaleError",
    "TableError",
    "UsageError",
    "atomic_path",
    "is_out_of_memory",
    "lock_folder",
    "read_dataset",
    "read_image",
    "read_manifest",
    "sha256_of",
    "write_image",
]

_HOMES = {
    "IMAGE_SUFFIXES": "images",
    "atomic_path": "files",
    "lock_folder": "locks",
    "read_dataset": "pairs",
    "read_image": "images",
    "read_manifest": "pairs",
    "sha256_of": "files",
    "write_image": "images",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"d2crealsr.store.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'd2crealsr.store' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
