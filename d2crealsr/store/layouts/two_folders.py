"""Pairs in two folders: HR and LR images with equal names, as in BasicSR and DIV2K."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError
from d2crealsr.store.layouts.found import ImagePair, PairFolder, PairLayout, text_of
from d2crealsr.store.layouts.image_folder import IMAGE_FOLDER
from d2crealsr.store.layouts.lists import LISTS
from d2crealsr.store.layouts.named import outside
from d2crealsr.store.listing import few_of, folded, list_images
from d2crealsr.store.naming import split_of
from d2crealsr.store.sides import match_names, partners, side_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FOLDERS"]


def _find(folder: Path) -> PairFolder | None:
    """The pairs of a folder, and of the folders of its splits, as in ``train/HR`` and ``train/LR``."""
    inner = _folders(folder)
    splits = [path for path in inner if split_of(path.name) and not side_of(path.name) and not path.is_symlink()]
    found = [(each, part) for each in (folder, *splits) if (part := _found_in(each)) is not None]
    if not found:
        return None
    if any(layout.find(folder) is not None for layout in (LISTS, IMAGE_FOLDER)):  # they say more of the same images
        return None
    parts = [part for _, part in found]
    listing = list_images(folder)
    used = [path for each, _ in found for path in _folders(each) if side_of(path.name)]
    others = [path for path in listing.images if not any(side in path.parents for side in used)]
    notes = [f"{each.name}: {note}" if each != folder else note for each, part in found for note in part.notes]
    # A link to HR itself is followed.
    listing = replace(listing, links=tuple(p for p in listing.links if p not in used))
    return PairFolder(
        layout="folders",
        pairs=tuple(pair for part in parts for pair in part.pairs),
        unpaired=tuple(sorted(path for part in parts for path in part.unpaired)),
        notes=(*notes, *outside(others, folder), *listing.notes),
    )


def _folders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def _found_in(folder: Path) -> PairFolder | None:
    """The pairs of the HR and LR folders directly in a folder."""
    inner = _folders(folder)
    sides = [path for path in inner if side_of(path.name)]
    listings = {path: list_images(path) for path in sides}
    pairs: list[ImagePair] = []
    notes: list[str] = []
    ignored: set[Path] = set()
    for hr_folder, (own, others) in partners(sides).items():
        listed = _meta_info(folder, hr_folder)
        hr_files = _listed(hr_folder, listed) if listed else list(listings[hr_folder].images)
        there = set(listings[hr_folder].images) - set(hr_files)
        if there:
            notes.append(f"{few_of(sorted(there), folder, 'image')} not in meta_info and left out")
            ignored |= there
        scales: set[int | None] = set()
        for lr_folder in (*own, *others):
            lr_files = listings[lr_folder].images
            made = _equal_names(hr_folder, hr_files, lr_folder, lr_files)
            pairs += [
                pair for pair in made if lr_folder in own or (pair.nominal and pair.nominal not in scales) or not own
            ]
            scales |= {pair.nominal for pair in made} if lr_folder in own else set()
            ignored |= set(lr_files) if listed else set()
    files = [path for found in listings.values() for path in found.images if path not in ignored]
    if not pairs:
        return None
    linked = [note for path in sides if path.is_symlink() for note in listings[path].notes]
    notes += [*_differing(pairs, folder), *linked]
    used = {path for pair in pairs for path in (pair.hr, pair.lr)}
    return PairFolder(layout="folders", pairs=tuple(pairs), unpaired=tuple(sorted({*files} - used)), notes=tuple(notes))


def _differing(pairs: list[ImagePair], folder: Path) -> list[str]:
    """A sentence on pairs whose two names are not spelled equally."""
    lr = [pair.lr for pair in pairs if Path(pair.scene).name not in pair.lr.stem]
    return [f"{few_of(lr, folder, 'LR image')} paired though case or Unicode form of the names differ"] if lr else []


def _listed(hr_folder: Path, listed: set[str]) -> list[Path]:
    outside = next((name for name in sorted(listed) if Path(name).is_absolute() or ".." in Path(name).parts), None)
    if outside is not None:
        raise LayoutError(
            f"{hr_folder}: meta_info names {outside[:80]!r}, expected a path inside the folder; correct it"
        )
    files = [hr_folder / name for name in sorted(listed)]
    missing = next((path for path in files if not path.is_file()), None)
    if missing is not None:
        raise LayoutError(f"{missing} is not there, but meta_info names it; copy it, or correct the list")
    return files


def _equal_names(
    hr_folder: Path, hr_files: Sequence[Path], lr_folder: Path, lr_files: Sequence[Path]
) -> list[ImagePair]:
    """Pairs in two folders by relative path. LR names may end with the scale, as in DIV2K's ``X4/0001x4.png``."""
    side = side_of(lr_folder.name)
    hr_by_name, lr_by_name = _by_name(hr_folder, hr_files), _by_name(lr_folder, lr_files)
    stated: dict[str, tuple[str, int | None]] = {}
    known = {folded(name) for name in hr_by_name}
    for name in lr_by_name:
        match = re.fullmatch(r"(?:[xX]\d+/)?(.+?)[xX](\d+)", name)
        if folded(name) in known or match is None:
            stated[name] = (name, side.scale if side else None)
        else:
            stated[name] = (match[1], int(match[2]))
    pairs = []
    for scale in {scale for _, scale in stated.values()}:
        by_key = {key: name for name, (key, its) in stated.items() if its == scale}
        for key, hr_name in match_names(list(by_key), list(hr_by_name)).items():
            hr, lr = _only(hr_by_name[hr_name], hr_name), _only(lr_by_name[by_key[key]], hr_name)
            pairs.append(ImagePair(scene=hr_name, hr=hr, lr=lr, nominal=scale, group=hr_name))
    return pairs


def _by_name(folder: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    """Files by their relative path without the ending."""
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in files:
        found[path.relative_to(folder).with_suffix("").as_posix()].append(path)
    return found


def _only(files: list[Path], scene: str) -> Path:
    if len(files) > 1:
        raise LayoutError(f"{files[0]} and {files[1]} are both scene {scene!r}; rename or remove one")
    return files[0]


def _meta_info(*folders: Path) -> set[str]:
    """Names in BasicSR's ``meta_info….txt``, whose lines are like ``0001.png (480,480,3) 1``."""
    texts = (text_of(path) for folder in folders for path in sorted(folder.glob("meta_info*.txt")))
    return {line.split()[0] for text in texts for line in text.splitlines() if line.strip()}


FOLDERS = PairLayout(
    name="folders",
    files="folders HR and LR (or gt and lq) with equal names",
    details="their names may contain more, as DIV2K_train_HR does, and both may lie in folders train and test. File "
    "names are equal (BasicSR), or those in LR are like `0001x4.png` (DIV2K). If there is a `meta_info*.txt`, only the "
    "pairs that it names are read",
    find=_find,
)
