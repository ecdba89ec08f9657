"""The former place of :mod:`d2c.data.layouts`, for code that imports it from here."""

from __future__ import annotations

import importlib
from typing import Any

_HOME = "d2c.data.layouts"


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module(_HOME), name)
