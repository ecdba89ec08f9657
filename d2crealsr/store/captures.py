"""Raw captures: which HR and LR shot belong together in a folder.

Layouts are tried in this order: a manifest (``scene, hr, lr`` and optionally ``group``), the folders ``hr/`` and
``lr/`` with equal stems, the suffixes ``NAME_HR.*`` and ``NAME_LR{scale}.*``, the suffixes ``001H.*`` and ``001L.*``.
Another layout is added here: a function from a folder to captures, and its place in :func:`find_captures`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError, MachineError
from d2crealsr.store.listing import PLACEHOLDER, UNREAD, few_of, list_images
from d2crealsr.store.pairs import cell_problem, formula_problem, is_plain, scene_problem
from d2crealsr.store.sides import side_of
from d2crealsr.store.tables import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["MANIFEST_NAME", "Capture", "captures_root", "find_captures"]

MANIFEST_NAME = "manifest.csv"

_LAYOUTS = (
    "a manifest.csv with the columns scene,hr,lr,group; or folders hr/ and lr/ with equal file names; "
    "or NAME_HR.* and NAME_LR{scale}.*; or 001H.* and 001L.*"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Capture:
    """One scene: a shot of each camera setting. ``hr`` or ``lr`` is None where there is no such file.

    ``group`` names the printed picture; scenes of one group are never torn apart by a split. ``absent`` says what was
    looked for where a capture is None.
    """

    scene: str
    hr: Path | None
    lr: Path | None
    group: str
    absent: str = ""


def captures_root(raw: Path) -> Path:
    """The folder that the captures' paths are relative to: ``raw``, or the folder of the manifest that ``raw`` is."""
    return raw.parent if raw.is_file() else raw


def _unheard(_text: str) -> None:
    """Say nothing."""


def find_captures(raw: Path, *, scale: int = 8, note: Callable[[str], None] = _unheard) -> list[Capture]:
    """Find the scenes in a folder of raw captures or in a manifest CSV.

    Parameters
    ----------
    raw : Path
        Folder, or CSV file whose paths are relative to its own folder.
    scale : int
        Scale whose ``_LR{scale}`` suffix is looked for.
    note : callable, optional
        Told in a sentence each what of the folder is left out.

    Returns
    -------
    list of Capture
        Sorted by scene.

    Raises
    ------
    LayoutError
        When nothing is found, a name cannot be used, two files or scenes clash, or a path leaves the folder.
    """
    manifest = raw / MANIFEST_NAME if raw.is_dir() else raw
    said: list[str] = []
    try:
        captures = _captures(raw, manifest, scale, said)
    except PermissionError as error:
        raise MachineError(f"{raw}: cannot be read ({error.strerror}); check its permissions") from error
    if not captures:
        raise LayoutError("; ".join((f"{raw}: no captures found; expected {_LAYOUTS}", *said)))
    for text in said:
        note(text)
    _check_clashes(captures, manifest if manifest.is_file() else raw)
    return sorted(captures, key=lambda capture: capture.scene)


def _captures(raw: Path, manifest: Path, scale: int, said: list[str]) -> list[Capture]:
    """By the first layout that fits; ``said`` takes what is left out."""
    if manifest.is_file():
        return _from_manifest(manifest)
    if not raw.is_dir():
        raise LayoutError(f"{raw} is not there; give a folder of captures or a manifest CSV")
    sides = [path for path in sorted(raw.iterdir()) if path.is_dir() and side_of(path.name)]
    named = {name: [path for path in sides if path.name.lower() == name] for name in ("hr", "lr")}
    if not all(named.values()):
        return _from_suffixes(raw, scale, said)
    for name, folders in named.items():
        if len(folders) > 1:
            both = " and ".join(path.name for path in folders)
            raise LayoutError(f"{raw}: {both} may both hold the {name.upper()} captures; give one, or a list (CSV)")
    if others := [path for path in sides if path not in (named["hr"][0], named["lr"][0])]:
        said.append(f"{few_of(others, raw, 'folder')} left out: captures are taken from hr and lr alone")
    listings = [list_images(named[name][0]) for name in ("hr", "lr")]
    for listing in listings:
        inner = [path for path in listing.images if path.parent != listing.folder]
        if inner:
            said.append(f"{few_of(inner, raw, 'image')} in inner folders and left out")
        said.extend(replace(listing, folder=raw).notes)
    direct = [[path for path in listing.images if path.parent == listing.folder] for listing in listings]
    return _pair_up(_by_stem(direct[0]), _by_stem(direct[1]), [path for each in listings for path in each.unread], raw)


def _from_manifest(path: Path) -> list[Capture]:
    header, rows = read_rows(path)
    missing = [name for name in ("scene", "hr", "lr") if name not in header]
    if missing:
        raise LayoutError(f"{path}: columns missing: {', '.join(missing)}; expected scene,hr,lr,group")
    captures = []
    for number, row in enumerate(rows, start=2):
        cells = dict(zip(header, row, strict=True))
        where = f"{path}, row {number}"
        scene = cells["scene"]
        if problem := scene_problem(scene):
            raise LayoutError(f"{where}: scene {scene[:80]!r} {problem}; rename it")
        hr, lr = (_inside(path.parent, cells[name], f"{where}, column {name}") for name in ("hr", "lr"))
        looked_for = [cells[name] for name, found in (("hr", hr), ("lr", lr)) if found is None and cells[name]]
        group = cells.get("group") or scene
        if problem := cell_problem(group):
            raise LayoutError(f"{where}, column group: {group[:80]!r} {problem}; rename it")
        absent = ", ".join(_not_there(relative, f"row {number} of {path.name}") for relative in looked_for)
        captures.append(Capture(scene=scene, hr=hr, lr=lr, group=group, absent=absent))
    return captures


def _not_there(relative: str, where: str) -> str:
    """What to say of a manifest's path that leads to no file."""
    known = {"\\": "write / for \\", PLACEHOLDER: f"write the number for {PLACEHOLDER}"}
    hints = [hint for sign, hint in known.items() if sign in relative]
    return f"{relative} is not there ({'; '.join((where, *hints))})"


def _inside(root: Path, relative: str, where: str) -> Path | None:
    """The file at a manifest's path; None where there is none."""
    if not relative:
        return None
    normal = os.path.normpath(relative)
    if Path(normal).is_absolute() or normal.split("/", 1)[0] == ".." or not is_plain(normal):
        raise LayoutError(f"{where}: got {relative!r}, expected a relative path inside {root}; move the file there")
    if problem := formula_problem(normal) or formula_problem(Path(normal).name):
        raise LayoutError(f"{where}: {relative[:80]!r} {problem}; rename the file")
    path = root / normal
    return path if _is_capture(path) else None


def _from_suffixes(raw: Path, scale: int, said: list[str]) -> list[Capture]:
    listing = list_images(raw, deep=False)
    said.extend(listing.notes)
    patterns = ((r"(.+)_HR", rf"(.+)_LR{scale}"), (r"(.*\d)H", r"(.*\d)L"))
    for hr_pattern, lr_pattern in patterns:
        hr, lr = _by_stem(listing.images, hr_pattern), _by_stem(listing.images, lr_pattern)
        if hr and lr:
            used = {*hr.values(), *lr.values()}
            if others := [p for p in listing.images if p not in used and not re.fullmatch(r".+_LR\d+", p.stem)]:
                said.append(f"{few_of(others, raw, 'image')} not named as captures are and left out")
            return _pair_up(hr, lr, listing.unread, raw, ("_HR", f"_LR{scale}", "H", "L"))
    scales = sorted({match[1] for file in listing.images if (match := re.fullmatch(r".+_LR(\d+)", file.stem))})
    if scales:
        raise LayoutError(f"{raw}: no NAME_LR{scale}.* found, only _LR{', _LR'.join(scales)}; give --scale {scales[0]}")
    return []


def _is_capture(path: Path) -> bool:
    """Whether there is a file, or a link that leads to none: that one is for the reader to complain about."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _by_stem(files: Iterable[Path], pattern: str = r"(.+)") -> dict[str, Path]:
    """Files by the scene their stem names; two files of one scene are an error."""
    found: dict[str, Path] = {}
    for file in files:
        match = re.fullmatch(pattern, file.stem, flags=re.DOTALL)
        if match is None:
            continue
        other = found.setdefault(match[1], file)
        if other is not file:
            raise LayoutError(
                f"{file.parent}: {other.name} and {file.name} are both scene {match[1]!r}; rename or remove one"
            )
    return found


def _pair_up(
    hr: dict[str, Path], lr: dict[str, Path], unread: Sequence[Path], raw: Path, endings: Sequence[str] = ("",)
) -> list[Capture]:
    """Scenes by name; one that lacks a capture says which file of a kind that is not read may be it."""
    captures = []
    for scene in sorted(hr.keys() | lr.keys()):
        if problem := scene_problem(scene):
            file = hr.get(scene) or lr[scene]
            raise LayoutError(f"{file.parent}: scene {scene[:80]!r} {problem}; rename {file.name[:80]!r}")
        there = [path for path in unread if path.stem in {scene + ending for ending in endings}]
        lacks = scene not in hr or scene not in lr
        absent = f"{few_of(there, raw, 'file')} there, {UNREAD}" if there and lacks else ""
        captures.append(Capture(scene=scene, hr=hr.get(scene), lr=lr.get(scene), group=scene, absent=absent))
    return captures


def _check_clashes(captures: list[Capture], source: Path) -> None:
    """Each scene once, also where file names do not tell upper from lower case or two ways to write an accent."""
    seen: dict[str, tuple[int, str]] = {}
    for row, capture in enumerate(captures, start=2):
        scene = capture.scene
        first, other = seen.setdefault(unicodedata.normalize("NFC", scene).casefold(), (row, scene))
        if first == row:
            continue
        where = f"{source}, rows {first} and {row}" if source.suffix else f"{source}"
        raise LayoutError(f"{where}: scenes {other!r} and {scene!r} would share files on some disks; rename one")
