"""A person's decisions about scenes: a CSV table ``scene,decision,note`` that is given to commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args

from d2crealsr.errors import TableError
from d2crealsr.store.csv_files import FIRST_ROW, read_rows
from d2crealsr.store.pairs import scene_problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Decision", "first_names", "read_decisions"]

Decision: TypeAlias = Literal["accept", "reject"]

_COLUMNS = ("scene", "decision", "note")


def read_decisions(path: Path) -> dict[str, Decision]:
    """Read decisions by scene. Notes and unknown columns are for people and are ignored.

    Parameters
    ----------
    path : Path
        CSV in UTF-8 with at least the columns ``scene,decision,note``; decisions are ``accept`` or ``reject``.

    Raises
    ------
    LayoutError
        When there is no such file.
    TableError
        When a column is missing, a decision or a scene name is invalid, or a scene occurs twice; names the row.
    """
    header, rows = read_rows(path)
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise TableError(
            f"{path}, row 1: got columns {','.join(header)!r}, expected {','.join(_COLUMNS)}; add {', '.join(missing)}"
        )
    decisions: dict[str, Decision] = {}
    row_of: dict[str, int] = {}
    for number, row in enumerate(rows, start=FIRST_ROW):
        cells = dict(zip(header, row, strict=True))
        scene, decision, where = cells["scene"], cells["decision"], f"{path}, row {number}"
        if problem := scene_problem(scene):
            raise TableError(f"{where}: scene {scene[:80]!r} {problem}; give the name that manifest.csv has")
        if decision not in get_args(Decision):
            raise TableError(f"{where}, column decision: got {decision!r}, expected accept or reject; correct it")
        first = row_of.setdefault(scene, number)
        if first != number:
            raise TableError(f"{where}: scene {scene!r} stands in row {first} too, expected once; remove one of them")
        decisions[scene] = cast("Decision", decision)
    return decisions


def first_names(scenes: Sequence[str]) -> str:
    """The first of many names, for a message."""
    return ", ".join(scenes[:3]) + (", …" if len(scenes) > 3 else "")
