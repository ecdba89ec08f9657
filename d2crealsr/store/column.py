"""One column of a table: its name, kind, unit and meaning, what a cell may hold, and how a number is written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["EXACT", "MICRO", "SLACK", "Column", "Kind"]

Kind: TypeAlias = Literal["text", "int", "float"]

EXACT = ".17g"
"""Enough digits to restore a double exactly. Used for every number from which a published file can be rebuilt."""
MICRO = ".6f"
"""A millionth of the unit, far finer than the accuracy of any measured number."""
SLACK = 1e-6
"""Amount by which rounding may take a number out of its range."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    digits : str
        Python format specification of a float; fixes the bytes that are written.
    required : bool
        Whether a cell may not be empty.
    fixed : bool
        Whether every table of this format version has the column. A reader may find the other columns missing.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    digits: str = MICRO
    required: bool = False
    at_least: float | None = None
    at_most: float | None = None
    one_of: tuple[str, ...] = ()
    unique: bool = False
    fixed: bool = True

    def accepts(self, value: str | float) -> bool:
        """Whether a cell may hold this text, or this number, of which NaN stands for an empty cell."""
        if isinstance(value, str):
            return value in self.one_of if self.one_of else bool(value) or not self.required
        if math.isnan(value):
            return not self.required
        low, high = self.at_least, self.at_most
        return (low is None or value >= low - SLACK) and (high is None or value <= high + SLACK)

    def expected(self) -> str:
        """What a cell may hold, in words for an error message."""
        if self.one_of:
            return "one of " + ", ".join(repr(choice) for choice in self.one_of)
        words = {"text": "text", "int": "a whole number", "float": "a number"}[self.kind]
        if self.at_least is not None:
            words += f" of at least {self.at_least:g}"
        if self.at_most is not None:
            words += f" {'and' if self.at_least is not None else 'of'} at most {self.at_most:g}"
        return words if self.required else words + " or nothing"
