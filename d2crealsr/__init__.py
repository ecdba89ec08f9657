"""Build a real-world super-resolution dataset from raw captures.

The names below are the public interface; each is imported when it is first used, so that ``import d2crealsr`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from d2crealsr.align import Alignment, align_pair
    from d2crealsr.settings import AlignSettings
    from d2crealsr.store.pairs import read_alignment, read_manifest, read_residuals
    from d2crealsr.types import AlignmentFailure

    __version__: str

__all__ = [
    "AlignSettings",
    "Alignment",
    "AlignmentFailure",
    "__version__",
    "align_pair",
    "read_alignment",
    "read_manifest",
    "read_residuals",
]

_HOMES = {
    "AlignSettings": "d2crealsr.settings",
    "Alignment": "d2crealsr.align",
    "AlignmentFailure": "d2crealsr.types",
    "align_pair": "d2crealsr.align",
    "read_alignment": "d2crealsr.store.pairs",
    "read_manifest": "d2crealsr.store.pairs",
    "read_residuals": "d2crealsr.store.pairs",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from d2crealsr.ui.versions import version

        return version("d2crealsr")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'd2crealsr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
