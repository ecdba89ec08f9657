"""Captures matched by file names: with equal stems in two folders, or with a suffix for each side."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError, MachineError
from d2crealsr.store.captures.capture import Capture, RawLayout
from d2crealsr.store.captures.preference import preferred
from d2crealsr.store.listing import UNREAD, few_of, list_images
from d2crealsr.store.sides import match_names, side_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from d2crealsr.store.captures.preference import Preference

__all__ = ["FOLDERS", "SUFFIXES", "difference"]


def _in_folders(raw: Path, _scale: int, said: list[str], prefer: Preference) -> list[Capture] | None:
    sides = [path for path in sorted(raw.iterdir()) if path.is_dir() and side_of(path.name)]
    named = {name: [path for path in sides if path.name.lower() == name] for name in ("hr", "lr")}
    if not all(named.values()):
        return None
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
    if beside := list_images(raw, deep=False).images:
        said.append(f"{few_of(beside, raw, 'image')} beside the folders hr and lr and left out")
    direct = [[path for path in listing.images if path.parent == listing.folder] for listing in listings]
    chosen = preferred([*direct[0], *direct[1]], prefer)
    said.extend(filter(None, [chosen.note(raw, prefer)]))
    kept = set(chosen.files)
    hr, lr = (_by_stem(path for path in side if path in kept) for side in direct)
    return _pair_up(hr, lr, [path for each in listings for path in each.unread], raw, said)


def _by_suffixes(raw: Path, scale: int, said: list[str], prefer: Preference) -> list[Capture] | None:
    listing = list_images(raw, deep=False)
    said.extend(listing.notes)
    chosen = preferred(listing.images, prefer)
    said.extend(filter(None, [chosen.note(raw, prefer)]))
    patterns = ((r"(.+)_HR", rf"(.+)_LR{scale}"), (r"(.*\d)H", r"(.*\d)L"))
    for hr_pattern, lr_pattern in patterns:
        hr, lr = _by_stem(chosen.files, hr_pattern), _by_stem(chosen.files, lr_pattern)
        if hr and lr:
            used = {*hr.values(), *lr.values()}
            if others := [p for p in chosen.files if p not in used and not re.fullmatch(r".+_LR\d+", p.stem)]:
                said.append(f"{few_of(others, raw, 'image')} not named as captures are and left out")
            if inner := _in_subfolders(raw, (hr_pattern, lr_pattern)):
                said.append(f"{few_of(inner, raw, 'image')} in inner folders and left out")
            return _pair_up(hr, lr, listing.unread, raw, said, ("_HR", f"_LR{scale}", "H", "L"))
    scales = sorted({match[1] for file in listing.images if (match := re.fullmatch(r".+_LR(\d+)", file.stem))})
    if scales:
        raise LayoutError(f"{raw}: no NAME_LR{scale}.* found, only _LR{', _LR'.join(scales)}; give --scale {scales[0]}")
    return None


def _in_subfolders(raw: Path, patterns: Sequence[str]) -> list[Path]:
    """Images in inner folders that are named as captures are. Those that may not be listed are no matter here."""
    with contextlib.suppress(MachineError):
        inner = (path for path in list_images(raw).images if path.parent != raw)
        return [path for path in inner if any(re.fullmatch(pattern, path.stem) for pattern in patterns)]
    return []


def _by_stem(files: Iterable[Path], pattern: str = r"(.+)") -> dict[str, Path]:
    """Files by the scene that their stem names. Two files for one scene are an error."""
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
    hr: dict[str, Path],
    lr: dict[str, Path],
    unread: Sequence[Path],
    raw: Path,
    said: list[str],
    endings: Sequence[str] = ("",),
) -> list[Capture]:
    """Scenes by name. If a capture is missing, the scene names a file of an unsupported format that may be it.

    HR and LR may differ in case or in how accents are encoded, as after copying by different systems. A scene is then
    named as its HR is.
    """
    names = match_names(list(hr), list(lr))
    if other := {name: there for name, there in names.items() if name != there}:
        how = " or ".join(sorted({difference(name, there) for name, there in other.items()}))
        files = [lr[there] for there in other.values()]
        said.append(f"{few_of(files, raw, 'LR file')} paired with HR although the names differ {how}")
    own = {there: name for name, there in names.items()}
    lr = {own.get(name, name): path for name, path in lr.items()}
    captures = []
    named: defaultdict[str, list[Path]] = defaultdict(list)
    for path in unread:
        for ending in endings:
            if path.stem.endswith(ending):
                named[path.stem.removesuffix(ending)].append(path)
    for scene in sorted(hr.keys() | lr.keys()):
        there = named.get(scene, [])
        lacks = scene not in hr or scene not in lr
        absent = f"{few_of(there, raw, 'file')} there, {UNREAD}" if there and lacks else ""
        captures.append(Capture(scene=scene, hr=hr.get(scene), lr=lr.get(scene), absent=absent))
    return captures


def difference(name: str, other: str) -> str:
    """In what two names differ that some disks take for one; empty for equal names."""
    if name == other:
        return ""
    one, two = (unicodedata.normalize("NFC", each) for each in (name, other))
    if one == two:
        return "in how accents are encoded"
    return "in case" if name.casefold() == other.casefold() else "in case and in how accents are encoded"


FOLDERS = RawLayout(name="folders", files="folders hr/ and lr/ with equal file names", find=_in_folders, prefers=True)
SUFFIXES = RawLayout(
    name="suffixes", files="NAME_HR.* and NAME_LR{scale}.*, or 001H.* and 001L.*", find=_by_suffixes, prefers=True
)
