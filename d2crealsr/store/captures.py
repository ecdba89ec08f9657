"""Raw captures: which HR and LR shot belong together in a folder.

Layouts are tried in this order: a manifest (``scene, hr, lr`` and optionally ``group``), the folders ``hr/`` and
``lr/`` with equal stems, the suffixes ``NAME_HR.*`` and ``NAME_LR{scale}.*``, the suffixes ``001H.*`` and ``001L.*``.
Another layout is added here: a function from a folder to captures, and its place in :func:`find_captures`.
"""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError, MachineError
from d2crealsr.store.images import IMAGE_SUFFIXES
from d2crealsr.store.pairs import cell_problem, formula_problem, is_plain, scene_problem
from d2crealsr.store.tables import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MANIFEST_NAME", "Capture", "captures_root", "find_captures"]

MANIFEST_NAME = "manifest.csv"

_LAYOUTS = (
    "a manifest.csv with the columns scene,hr,lr,group; or folders hr/ and lr/ with equal file names; "
    "or NAME_HR.* and NAME_LR{scale}.*; or 001H.* and 001L.*"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Capture:
    """One scene: a shot of each camera setting. ``hr`` or ``lr`` is None where there is no such file.

    ``group`` names the printed picture; scenes of one group are never torn apart by a split.
    """

    scene: str
    hr: Path | None
    lr: Path | None
    group: str


def captures_root(raw: Path) -> Path:
    """The folder that the captures' paths are relative to: ``raw``, or the folder of the manifest that ``raw`` is."""
    return raw.parent if raw.is_file() else raw


def find_captures(raw: Path, *, scale: int = 8) -> list[Capture]:
    """Find the scenes in a folder of raw captures or in a manifest CSV.

    Parameters
    ----------
    raw : Path
        Folder, or CSV file whose paths are relative to its own folder.
    scale : int
        Scale whose ``_LR{scale}`` suffix is looked for.

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
    try:
        captures = _captures(raw, manifest, scale)
    except PermissionError as error:
        raise MachineError(f"{raw}: cannot be read ({error.strerror}); check its permissions") from error
    if not captures:
        raise LayoutError(f"{raw}: no captures found; expected {_LAYOUTS}")
    _check_clashes(captures, manifest if manifest.is_file() else raw)
    return sorted(captures, key=lambda capture: capture.scene)


def _captures(raw: Path, manifest: Path, scale: int) -> list[Capture]:
    """By the first layout that fits."""
    if manifest.is_file():
        return _from_manifest(manifest)
    if not raw.is_dir():
        raise LayoutError(f"{raw} is not there; give a folder of captures or a manifest CSV")
    if (raw / "hr").is_dir() and (raw / "lr").is_dir():
        return _pair_up(_by_stem(_images(raw / "hr")), _by_stem(_images(raw / "lr")))
    return _from_suffixes(raw, scale)


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
        group = cells.get("group") or scene
        if problem := cell_problem(group):
            raise LayoutError(f"{where}, column group: {group[:80]!r} {problem}; rename it")
        captures.append(Capture(scene=scene, hr=hr, lr=lr, group=group))
    return captures


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


def _from_suffixes(raw: Path, scale: int) -> list[Capture]:
    files = _images(raw)
    patterns = ((r"(.+)_HR", rf"(.+)_LR{scale}"), (r"(.*\d)H", r"(.*\d)L"))
    for hr_pattern, lr_pattern in patterns:
        hr, lr = _by_stem(files, hr_pattern), _by_stem(files, lr_pattern)
        if hr and lr:
            return _pair_up(hr, lr)
    others = sorted({match[1] for file in files if (match := re.fullmatch(r".+_LR(\d+)", file.stem))})
    if others:
        raise LayoutError(f"{raw}: no NAME_LR{scale}.* found, only _LR{', _LR'.join(others)}; give --scale {others[0]}")
    return []


def _images(folder: Path) -> list[Path]:
    """The folder's image files, without hidden ones (macOS and other tools leave such beside pictures)."""
    try:
        files = [file for file in folder.iterdir() if not file.name.startswith(".")]
        return sorted(file for file in files if file.suffix.lower() in IMAGE_SUFFIXES and _is_capture(file))
    except OSError as error:
        raise MachineError(f"{folder}: cannot be listed ({error.strerror}); check its permissions") from error


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


def _pair_up(hr: dict[str, Path], lr: dict[str, Path]) -> list[Capture]:
    captures = []
    for scene in sorted(hr.keys() | lr.keys()):
        if problem := scene_problem(scene):
            file = hr.get(scene) or lr[scene]
            raise LayoutError(f"{file.parent}: scene {scene[:80]!r} {problem}; rename {file.name[:80]!r}")
        captures.append(Capture(scene=scene, hr=hr.get(scene), lr=lr.get(scene), group=scene))
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
