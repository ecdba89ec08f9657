"""What the names of files and folders say: the split, and the picture from which a sub-image was cut."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["picture_of", "split_of"]

_SPLIT = re.compile(r"(?<![^\W\d_])(train(?:ing)?|test(?:ing)?|val(?:id(?:ation)?)?)(?![^\W\d_])", re.IGNORECASE)

_PART = re.compile(
    r"(.+?)(?:[_-](?:s|sub|patch|tile|crop|part)[_-]?\d+|[_-]x\d+[_-]y\d+|[_-]r(?:ow)?\d+[_-]c(?:ol)?\d+)",
    re.IGNORECASE | re.DOTALL,
)
"""Names of sub-images: ``0001_s001`` as BasicSR writes them, ``0001_patch_3``, ``0001_x0_y480``, ``0001_r2_c3``."""


def split_of(name: str) -> Literal["train", "test", "val", ""]:
    """The split that the name of a folder or list contains as a whole word, or an empty text."""
    match = _SPLIT.search(name)
    if match is None:
        return ""
    splits: tuple[Literal["train", "test", "val"], ...] = ("train", "test", "val")
    return next(split for split in splits if match[1].lower().startswith(split))


def picture_of(name: str) -> str:
    """The picture from which a sub-image was cut, if its name says so; otherwise the name.

    Examples
    --------
    >>> picture_of("train/0001_s012"), picture_of("Canon_001")
    ('train/0001', 'Canon_001')
    """
    match = _PART.fullmatch(name)
    return match[1] if match else name
