"""Corresponding points that a person gave: read from a CSV table, and remembered in ``dataset.json``."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from d2crealsr.errors import ImageError, LayoutError, TableError
from d2crealsr.registration.points import outside, points_problem
from d2crealsr.store.csv_files import FIRST_ROW, read_rows
from d2crealsr.store.images import read_size
from d2crealsr.store.pairs import scene_problem
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from d2crealsr.registration.points import PointPairs
    from d2crealsr.store.captures import Capture

__all__ = ["Starts", "read_points"]

_COORDINATES = ("hr_x", "hr_y", "lr_x", "lr_y")
_ENTRY = "points"
"""Name of the entry of ``dataset.json``."""


def read_points(path: Path, captures: Sequence[Capture]) -> dict[str, PointPairs]:
    """Read corresponding points by scene, and check them against the captures.

    Parameters
    ----------
    path : Path
        CSV in UTF-8 with at least the columns ``scene, hr_x, hr_y, lr_x, lr_y`` and one row for each point pair: pixel
        centres in the upright captures. A scene whose only row has no coordinates has no points any more.
    captures : sequence of Capture
        The captures of all scenes.

    Raises
    ------
    LayoutError
        When there is no such file.
    TableError
        When a column is missing; a coordinate is not a number, or lies outside of its capture; a scene is unknown; or
        the points of a scene are fewer than four, repeated, or lie on a line. Names the row or the scene.
    """
    header, rows = read_rows(path)
    if missing := [name for name in ("scene", *_COORDINATES) if name not in header]:
        raise TableError(
            f"{path}, row 1: got columns {','.join(header)!r}, expected scene,{','.join(_COORDINATES)}; "
            f"add {', '.join(missing)}"
        )
    known = {capture.scene: capture for capture in captures}
    sizes: dict[str, tuple[Size, Size] | None] = {}
    points: dict[str, list[tuple[float, float, float, float]]] = {}
    emptied: set[str] = set()
    for number, row in enumerate(rows, start=FIRST_ROW):
        cells, where = dict(zip(header, row, strict=True)), f"{path}, row {number}"
        scene = cells["scene"]
        if scene not in known:
            what = scene_problem(scene) or "is not among the captures"
            raise TableError(f"{where}: scene {scene[:80]!r} {what}; correct it, or remove the row")
        if not any(cells[name].strip() for name in _COORDINATES):
            emptied.add(scene)
            continue
        hr_x, hr_y, lr_x, lr_y = (_coordinate(cells[name], f"{where}, column {name}") for name in _COORDINATES)
        if scene not in sizes:
            sizes[scene] = _sizes(known[scene])
        if (size := sizes[scene]) is not None and (problem := outside((hr_x, hr_y, lr_x, lr_y), *size)):
            raise TableError(f"{where}: {problem}; correct it")
        points.setdefault(scene, []).append((hr_x, hr_y, lr_x, lr_y))
    for scene, found in points.items():
        if problem := points_problem(found):
            raise TableError(f"{path}, scene {scene!r}: {problem}")
    return {scene: tuple(points.get(scene, ())) for scene in sorted(points.keys() | emptied)}


def _coordinate(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise TableError(f"{where}: got {cell!r}, expected a number; correct it")
    return value


def _sizes(capture: Capture) -> tuple[Size, Size] | None:
    """Sizes of the upright captures; None if one is missing or unreadable, which the scene's row will say."""
    if capture.hr is None or capture.lr is None:
        return None
    try:
        return Size(*read_size(capture.hr)), Size(*read_size(capture.lr))
    except ImageError:
        return None


# --- what a folder remembers ---------------------------------------------------------------------------------------


class Starts(NamedTuple):
    """The points from which registration starts, by scene: those that the folder had, and those of this run."""

    former: Mapping[str, PointPairs]
    now: Mapping[str, PointPairs]

    @classmethod
    def of(
        cls, description: Mapping[str, Any], path: Path, given: Mapping[str, PointPairs], scenes: Collection[str]
    ) -> Starts:
        """Combine the points of a folder's description with those of a file, as far as the folder has these scenes.

        The scenes of the file get new points, or none if it gives none, and the others keep theirs.

        Raises
        ------
        LayoutError
            When the description at ``path`` has points that cannot be used.
        """
        former = {scene: _checked(scene, rows, path) for scene, rows in description.get(_ENTRY, {}).items()}
        merged = {**former, **given}
        return cls(former, {scene: merged[scene] for scene in sorted(merged) if merged[scene] and scene in scenes})

    @property
    def changed(self) -> tuple[str, ...]:
        """The scenes whose points differ from those that the folder had."""
        scenes = self.former.keys() | self.now.keys()
        return tuple(sorted(scene for scene in scenes if self.former.get(scene) != self.now.get(scene)))

    def entry(self) -> dict[str, Any]:
        """The entry of ``dataset.json`` when the whole folder has been made with these points."""
        return _entry(self.now)

    def entry_before(self, published: Collection[str]) -> dict[str, Any]:
        """The entry while the run goes on: the former points for pairs that stand, since the run may not replace them.

        An interrupted run is then resumed with the new points also without the file.
        """
        standing = {scene: pairs for scene, pairs in self.former.items() if scene in published}
        return _entry({scene: pairs for scene, pairs in self.now.items() if scene not in published} | standing)


def _entry(points: Mapping[str, PointPairs]) -> dict[str, Any]:
    rows = {scene: [list(pair) for pair in points[scene]] for scene in sorted(points)}
    return {_ENTRY: rows} if rows else {}


def _checked(scene: str, rows: Any, path: Path) -> PointPairs:
    """The points of a scene in a description, which somebody may have edited."""
    with contextlib.suppress(TypeError, ValueError):
        pairs = tuple((float(hr_x), float(hr_y), float(lr_x), float(lr_y)) for hr_x, hr_y, lr_x, lr_y in rows)
        if all(math.isfinite(value) for pair in pairs for value in pair) and not points_problem(pairs):
            return pairs
    raise LayoutError(f"{path}: the points of scene {scene!r:.80} cannot be used; restore the file")
