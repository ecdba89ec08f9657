"""The former place of :mod:`d2c.data.hold_out`, for code that imports it from here."""

from __future__ import annotations

import importlib
from typing import Any

_HOME = "d2c.data.hold_out"


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module(_HOME), name)
