"""Make text safe: without control characters and changes of the text direction, and in characters that a stream has."""

from __future__ import annotations

import re

__all__ = ["UNPRINTABLE", "counted", "plain", "spelled"]

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


def counted(count: int, one: str, several: str = "") -> str:
    """A number with its noun; ``several`` is the plural if it is not made by adding an s.

    Examples
    --------
    >>> counted(1, "card"), counted(2, "card"), counted(0, "copy", "copies")
    ('1 card', '2 cards', '0 copies')
    """
    return f"{count} {one}" if count == 1 else f"{count} {several or one + 's'}"


_SPELLED = {
    "→": "->",
    "…": "...",
    "–": "-",
    "—": "-",
    "×": "x",
    "÷": "/",
    "·": "*",
    "±": "+-",
    "≤": "<=",
    "≥": ">=",
    "≈": "about ",
    "²": "^2",
    "³": "^3",
    "°": " degrees",
    "σ": "sigma",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
}
"""Characters of our messages that an encoding may lack, and what stands for them."""


def spelled(text: str, encoding: str) -> str:
    """The text in characters that an encoding has. Others are spelled, or written as escapes.

    Examples
    --------
    >>> spelled("käse: 3 → 4", "latin-1"), spelled("käse: 3 → 4", "ascii")
    ('käse: 3 -> 4', 'k\\\\xe4se: 3 -> 4')
    """
    if encoding.startswith("utf"):
        return text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(_spelled(character, encoding) for character in text)
    return text


def _spelled(character: str, encoding: str) -> str:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return _SPELLED.get(character) or character.encode("ascii", "backslashreplace").decode()
    return character
