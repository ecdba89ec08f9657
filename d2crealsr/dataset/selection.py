"""Select rows of a table by conditions such as ``residual_p50_hr_px > 0.5 and reasons ~ clipped``, and sort them.

A condition consists of a column, an operator and a value, and nothing else. It is never executed as code.
"""

from __future__ import annotations

import difflib
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

__all__ = ["Condition", "ordered", "parse_conditions", "pick_columns", "selected"]

_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_TEXT = ("!~", "~")
_ALL_COLUMNS = "docs/pairs-format.md has all columns"
_CLAUSE = re.compile(
    r"""\s*(?P<column>[^\s<>=!~'"]+)\s*(?P<operator><=|>=|!=|==|!~|<|>|=|~)\s*
    (?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<bare>[^\s'"<>=!~]\S*))\s*(?P<next>and\b|$|(?=\S))""",
    re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """``column operator value``, as it was written."""

    column: str
    operator: str
    value: str


def parse_conditions(text: str) -> list[Condition]:
    """Conditions joined by ``and``.

    Operators are ``= != < <= > >=``, and for text ``~`` (contains) and ``!~``. A value with spaces is written in
    quotes. The empty value ``''`` means an empty cell.

    Raises
    ------
    UsageError
        When the text has another form.

    Examples
    --------
    >>> [condition.column for condition in parse_conditions("status = accepted and sigma_hr_px > .1")]
    ['status', 'sigma_hr_px']
    """
    found, place, more = [], 0, True
    while more:
        match = _CLAUSE.match(text, place)
        if match is None or match["next"] not in ("and", "") or (match["next"] == "" and match.end() != len(text)):
            at = text[place:].strip() or "nothing"
            raise UsageError(
                f"where: got {at!r} in {text!r}, expected COLUMN OPERATOR VALUE [and …] with an operator of "
                "= != < <= > >= ~ !~; quote values that hold spaces"
            )
        value = next(part for part in (match["single"], match["double"], match["bare"]) if part is not None)
        found.append(Condition(column=match["column"], operator=match["operator"], value=value))
        place, more = match.end(), match["next"] == "and"
    return found


def selected(table: pd.DataFrame, conditions: Sequence[Condition]) -> pd.DataFrame:
    """The rows that meet every condition. A missing number meets none but ``= ''``.

    Raises
    ------
    UsageError
        When a column does not exist (the text suggests similar names), or does not fit the operator or value.
    """
    for condition in conditions:
        _known(table, condition.column, "where")
        table = table[_meets(table[condition.column], condition)]
    return table


def ordered(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Rows sorted by columns, with the first key first. ``-NAME`` sorts in descending order. Missing values come last.

    Raises
    ------
    UsageError
        When a column does not exist.
    """
    for key in reversed(keys):
        name = _known(table, key.removeprefix("-"), "sort")
        cells = table[name].where(table[name] != "") if _is_text(table[name]) else table[name]
        order = cells.sort_values(kind="stable", ascending=not key.startswith("-"), na_position="last")
        table = table.loc[order.index]
    return table


def pick_columns(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """These columns in this order. One that is named again counts once.

    Raises
    ------
    UsageError
        When a column does not exist, or none is named.
    """
    if not names:
        raise UsageError(f"columns: got no names, expected some as in scene,status, or all; {_ALL_COLUMNS}")
    return table[[_known(table, name, "columns") for name in dict.fromkeys(names)]]


def _known(table: pd.DataFrame, name: str, option: str) -> str:
    names = [str(column) for column in table.columns]
    if name in names:
        return name
    close = [known for known in names if len(name) > 2 and name in known]
    close += [known for known in difflib.get_close_matches(name, names, n=3) if known not in close]
    remedy = f"did you mean {' or '.join(close[:4])}?" if close else _ALL_COLUMNS
    raise UsageError(f"{option}: got column {name!r}, which the table does not have; {remedy}")


def _is_text(cells: pd.Series[Any]) -> bool:
    from pandas.api.types import is_numeric_dtype

    return not is_numeric_dtype(cells.dtype)


def _meets(cells: pd.Series[Any], condition: Condition) -> list[bool]:
    name, sign, value = condition.column, condition.operator, condition.value
    if _is_text(cells):
        if sign in _TEXT:
            return [(value in cell) == (sign == "~") for cell in cells]
        return [bool(_ORDER[sign](cell, value)) for cell in cells]
    if value == "" and sign in ("=", "==", "!="):
        return [missing == (sign != "!=") for missing in cells.isna()]
    if sign in _TEXT:
        raise UsageError(f"where: {name} holds numbers, got operator {sign!r}, expected one of = != < <= > >=")
    try:
        number = float(value)
    except ValueError as error:
        raise UsageError(f"where: {name} holds numbers, got {value!r}, expected a number") from error
    return [not missing and bool(_ORDER[sign](cell, number)) for cell, missing in zip(cells, cells.isna(), strict=True)]
