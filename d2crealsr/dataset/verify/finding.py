"""A finding about a pairs folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from d2crealsr.ui.text import plain

__all__ = ["Finding", "Row"]

Row: TypeAlias = dict[str, Any]
"""A manifest row by column. Empty cells are None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One violation of the format: a stable ``code``, where it is, and what was found and expected."""

    code: str
    where: str
    text: str

    def __str__(self) -> str:
        line = " ".join(f"{self.code} {self.where}: {self.text}".split())
        return plain(line)  # file names may contain control characters
