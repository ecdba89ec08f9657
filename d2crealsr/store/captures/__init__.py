"""Raw captures: find the HR and LR captures that belong together in a folder.

To add a layout, write a module with its :class:`~d2crealsr.store.captures.capture.RawLayout` and add a line to
:data:`RAW_LAYOUTS`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError, MachineError
from d2crealsr.store.captures import by_manifest, by_name
from d2crealsr.store.captures.by_name import difference
from d2crealsr.store.captures.capture import Capture, RawLayout
from d2crealsr.store.captures.preference import PREFERENCES, Preference, preferred
from d2crealsr.store.listing import any_of, folded, shown
from d2crealsr.store.pairs import cell_problem, scene_problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "PREFERENCES",
    "RAW_LAYOUTS",
    "Capture",
    "Preference",
    "RawLayout",
    "captures_root",
    "find_captures",
    "preferred",
]

RAW_LAYOUTS: tuple[RawLayout, ...] = (
    by_manifest.MANIFEST,
    by_name.FOLDERS,
    by_name.SUFFIXES,
)
"""Every layout of captures, in the order in which they are tried."""


def captures_root(raw: Path) -> Path:
    """The folder to which the captures' paths are relative: ``raw``, or the folder that contains it if it is a file."""
    return raw.parent if raw.is_file() else raw


def find_captures(
    raw: Path, *, scale: int = 8, note: Callable[[str], None] = lambda _text: None, prefer: Preference = "jpeg"
) -> list[Capture]:
    """Find the scenes in a folder of raw captures or in a manifest CSV.

    Parameters
    ----------
    raw : Path
        Folder, or CSV file whose paths are relative to its own folder.
    scale : int
        Scale in the suffix ``_LR{scale}``.
    note : callable, optional
        Called with one sentence for each kind of file that is left out.
    prefer : {"jpeg", "raw"}
        Which file is used where a shot has camera RAW and JPEG. A manifest names the files itself.

    Returns
    -------
    list of Capture
        Sorted by scene.

    Raises
    ------
    LayoutError
        When nothing is found, a name cannot be used, two files or scenes clash, or a path leaves the folder.
    """
    said: list[str] = []
    try:
        if not (raw.is_dir() or raw.is_file()):
            raise LayoutError(f"{raw} is not there; give a folder of captures or a manifest CSV")
        tried = (layout.find(raw, scale, said, *[prefer] * layout.prefers) for layout in RAW_LAYOUTS)
        captures = next((found for found in tried if found is not None), None)
    except PermissionError as error:
        raise MachineError(f"{raw}: cannot be read ({error.strerror}); check its permissions") from error
    if not captures:
        known = any_of(layout.files for layout in RAW_LAYOUTS)
        raise LayoutError("; ".join((f"{raw}: no captures found; expected {known}", *said)))
    for text in said:
        note(text)
    table = raw / "manifest.csv"
    captures = [replace(capture, group=capture.group or capture.scene) for capture in captures]
    _check_names(captures, table if table.is_file() else raw)
    return sorted(captures, key=lambda capture: capture.scene)


def _check_names(captures: list[Capture], source: Path) -> None:
    """Make sure that scenes and groups can be names of files and cells of tables, and that each scene occurs once.

    It must occur once also on disks that ignore case or the encoding of accents in names.
    """
    seen: dict[str, Capture] = {}
    for capture in captures:
        scene, file = capture.scene, capture.hr or capture.lr
        where, name = f"{source}, row {capture.row}", "it"
        if file is not None and not capture.row:
            where, name = f"{file.parent}", repr(file.name[:80])
        if problem := scene_problem(scene):
            raise LayoutError(f"{where}: scene {scene[:80]!r} {problem}; rename {name}")
        if problem := cell_problem(capture.group):
            raise LayoutError(f"{where}, column group: {capture.group[:80]!r} {problem}; rename it")
        first = seen.setdefault(folded(scene), capture)
        if first is capture:
            continue
        where = f"{source}, rows {first.row} and {capture.row}" if capture.row else f"{source}"
        one, other = (_named(each, source) for each in (first, capture))
        differ = f" differ only {how}, and" if (how := difference(first.scene, scene)) else ""
        raise LayoutError(f"{where}: scenes {one} and {other}{differ} would share files on some disks; rename one")


def _named(capture: Capture, folder: Path) -> str:
    """A scene with its files, unless a manifest names them."""
    files = [shown(path, folder) for path in (capture.hr, capture.lr) if path is not None and not capture.row]
    return f"{capture.scene!r} ({', '.join(files)})" if files else repr(capture.scene)
