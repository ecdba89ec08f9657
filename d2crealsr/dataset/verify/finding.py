"""What a check of a pairs folder has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from d2crealsr.ui.text import plain

__all__ = ["Finding", "Row"]

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
