"""Results as JSON, for programs."""

from __future__ import annotations

import json
import math
from typing import Any

from d2crealsr.ui.text import UNPRINTABLE

__all__ = ["json_text"]


def json_text(value: Any) -> str:
    """Lists and dicts of text, numbers and None as JSON. Numbers that are missing (nan) or infinite become null.

    Control characters are written as JSON escapes, so that they cannot affect a terminal.

    Examples
    --------
    >>> print(json_text({"scene": "a\\x1b", "error": float("nan")}))
    {
      "scene": "a\\u001b",
      "error": null
    }
    """
    text = json.dumps(_finite(value), indent=2, ensure_ascii=False, allow_nan=False)
    return UNPRINTABLE.sub(lambda match: match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}", text)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
