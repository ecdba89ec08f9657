"""Make text safe: without control characters and changes of the text direction."""

from __future__ import annotations

import re

__all__ = ["UNPRINTABLE", "plain"]

_CONTROLS = "\x00-\x1f\x7f-\x9f"
_LINE_ENDS = "\u2028\u2029"
_TURNING = "\u202a-\u202e\u2066-\u2069"
_LONE_HALVES = "\ud800-\udfff"

UNPRINTABLE = re.compile(f"[{_CONTROLS}{_LINE_ENDS}{_TURNING}{_LONE_HALVES}]")
"""Control characters of both kinds, Unicode's line ends, overrides of direction, and characters invalid in UTF-8."""


def plain(text: str) -> str:
    """Replace every character that controls a terminal by ``?``, except line feeds and tabs.

    Examples
    --------
    >>> plain("fine\\x1b[2J, \\u202ereversed")
    'fine?[2J, ?reversed'
    """
    return UNPRINTABLE.sub(lambda match: match[0] if match[0] in "\n\t" else "?", text)
