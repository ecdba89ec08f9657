"""What a check of a pairs folder has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from d2crealsr.ui.text import plain

__all__ = ["Finding", "Row", "crop_of"]

Row: TypeAlias = dict[str, Any]
"""A manifest row by column, None where a cell is empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is not as the format promises: a stable ``code``, where, and what was got and expected."""

    code: str
    where: str
    text: str

    def __str__(self) -> str:
        line = " ".join(f"{self.code} {self.where}: {self.text}".split())
        return plain(line)  # names of strangers' files


def crop_of(row: Row) -> tuple[Any, Any, Any, Any]:
    """The crop's x, y, width and height in LR px, as the row has them."""
    return row["lr_x"], row["lr_y"], row["lr_width"], row["lr_height"]
