"""Existing pairs: which HR and LR image belong together in a folder, whoever made it.

========== ======================================================================================================
pairs      ``manifest.csv`` with ``hr_path`` and ``lr_path``: this project's format, accepted scenes only
folders    two folders with equal names, ``HR`` and ``LR`` or ``gt`` and ``lq`` (BasicSR), also ``0001x4.png`` in LR
           (DIV2K); a ``meta_info….txt`` names the pairs that count
RealSR     ``Canon_001_HR.png`` and ``Canon_001_LR4.png``, at any depth; both may have one size
DRealSR    ``Canon_10_x1.png``, HR, and ``Canon_10_x4.png``, LR, at any depth or in folders side by side
City100    ``001H.PNG`` and ``001L.PNG``, at any depth
========== ======================================================================================================

They are tried in this order. Folders are matched one to one by name (:mod:`d2crealsr.store.sides`); where an HR image
has several LR images of one scale, none is chosen. What is left out is said in :attr:`PairFolder.notes`. Raw captures,
which are not aligned yet, are :mod:`d2crealsr.store.captures`' business.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from d2crealsr.errors import ImageError, LayoutError, ScaleError
from d2crealsr.store.files import read_text
from d2crealsr.store.images import read_size
from d2crealsr.store.listing import Listing, few_of, folded, list_images
from d2crealsr.store.pairs import cell_problem, read_manifest
from d2crealsr.store.sides import match_names, partners, side_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["ImagePair", "PairFolder", "find_pairs", "size_ratio", "text_of"]

_KNOWN = (
    "a pairs folder with manifest.csv; folders HR and LR (or gt and lq) with equal names; NAME_HR.* and NAME_LR4.*; "
    "NAME_x1.* and NAME_x4.*; or 001H.* and 001L.*"
)
_LARGEST_SCALE = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class ImagePair:
    """Two image files of one scene.

    Attributes
    ----------
    scene : str
        Its name; unique in the folder.
    hr, lr : Path
    nominal : int or None
        The scale that a name or table states; None where nothing does. RealSR's ``_LR4`` images have HR's size.
    group, split : str
        From the pairs format; elsewhere the scene and ``""``.
    """

    scene: str
    hr: Path
    lr: Path
    nominal: int | None = None
    group: str = ""
    split: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PairFolder:
    """What :func:`find_pairs` found: the layout's name, its pairs by scene, and image files that have no partner.

    ``notes`` are sentences on what else is left out.
    """

    layout: str
    pairs: tuple[ImagePair, ...]
    unpaired: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def find_pairs(folder: Path, *, scale: int | None = None) -> PairFolder:
    """Find the pairs of a folder of any known layout. Images are not opened, but for DRealSR's headers.

    Parameters
    ----------
    folder : Path
    scale : int, optional
        Leave out pairs whose name or table states another scale.

    Raises
    ------
    LayoutError
        When the folder is missing, of no known layout, has two files for one scene, several LR images of one scale for
        an HR image, or no pair of this scale.
    TableError
        When the manifest of a pairs folder is damaged.
    """
    if not folder.is_dir():
        raise LayoutError(f"{folder} is not there or no folder; give a folder of pairs: {_KNOWN}")
    if os.path.lexists(folder / "manifest.csv"):  # one that cannot be read is an error: without it splits are lost
        return _of_scale(_pairs_format(folder), scale, folder)
    listing = list_images(folder)
    layouts: tuple[Callable[[Path, Listing], PairFolder | None], ...] = (_folders, _realsr, _drealsr, _city100)
    found = next((result for layout in layouts if (result := layout(folder, listing)) is not None), None)
    if found is None:
        raise LayoutError("; ".join((f"{folder}: no pairs found; expected {_KNOWN}", *listing.notes)))
    if found.layout == "folders":  # a link to HR itself is followed
        listing = replace(listing, links=tuple(p for p in listing.links if p.parent != folder or not side_of(p.name)))
    result = _of_scale(found, scale, folder)
    return replace(result, notes=(*result.notes, *listing.notes))


def _of_scale(found: PairFolder, scale: int | None, folder: Path) -> PairFolder:
    """The pairs of one stated scale, sorted and named apart."""
    pairs = [pair for pair in found.pairs if scale is None or pair.nominal in (None, scale)]
    if not pairs:
        stated = sorted({pair.nominal for pair in found.pairs if pair.nominal})
        others = ", ".join(map(str, stated))
        raise ScaleError(
            f"{folder}: no pairs of scale {scale}, only of {others}; give --scale {stated[0]}", tuple(stated)
        )
    pairs = _one_each(pairs, folder)
    if len({pair.nominal for pair in pairs}) > 1:  # one HR image may belong to LR images of several scales
        pairs = [replace(pair, scene=f"{pair.scene}_x{pair.nominal}") for pair in pairs]
    if len({pair.scene for pair in pairs}) < len(pairs):  # one name in several folders, as train/ and test/
        places = (pair.lr.parent.relative_to(folder) for pair in pairs)
        pairs = [
            replace(pair, scene=(place / pair.scene).as_posix()) for place, pair in zip(places, pairs, strict=True)
        ]
    seen: dict[str, ImagePair] = {}
    for pair in pairs:
        if problem := cell_problem(pair.scene):
            raise LayoutError(f"{folder}: pair {pair.scene[:80]!r} {problem}; rename its files")
        other = seen.setdefault(pair.scene, pair)
        if other is not pair:
            raise LayoutError(f"{folder}: {other.lr} and {pair.lr} are both scene {pair.scene!r}; rename or remove one")
    return replace(found, pairs=tuple(seen[scene] for scene in sorted(seen)))


def _one_each(pairs: list[ImagePair], folder: Path) -> list[ImagePair]:
    """The pairs, where each HR image has one LR image of a scale and each LR image one HR image; else LayoutError."""
    by_hr: defaultdict[Path, list[ImagePair]] = defaultdict(list)
    for pair in pairs:
        by_hr[pair.hr].append(pair)
    stated = [
        replace(pair, nominal=pair.nominal or _ratio(pair)) if len(by_hr[pair.hr]) > 1 else pair for pair in pairs
    ]
    for side, other in (("hr", "lr"), ("lr", "hr")):
        seen: dict[tuple[Path, int | None], ImagePair] = {}
        for pair in stated:
            first = seen.setdefault((getattr(pair, side), pair.nominal), pair)
            here, there = (getattr(p, other).parent.relative_to(folder).as_posix() for p in (first, pair))
            if here != there:
                of_scale = f" of scale {pair.nominal}" if pair.nominal else ""
                raise LayoutError(
                    f"{folder}: {here} and {there} both have an {other.upper()} image{of_scale} for "
                    f"{getattr(pair, side).relative_to(folder).as_posix()}; give one, or a list: a folder without the "
                    "other, or (d2c) a text file with one pair a line"
                )
    return stated


def _ratio(pair: ImagePair) -> int | None:
    """The scale that the sizes of a pair's images have; None where they cannot be read or have none."""
    try:
        return size_ratio(read_size(pair.hr), read_size(pair.lr))
    except ImageError:
        return None


def text_of(path: Path) -> str:
    """A list of files as text; raises LayoutError when it is none."""
    try:
        return read_text(path, "utf-8-sig")
    except UnicodeDecodeError as error:
        raise LayoutError(f"{path}: not a text file in UTF-8 ({error.reason}); give a list of paths") from error
    except OSError as error:
        raise LayoutError(f"{path}: cannot be read ({error.strerror}); check the file and its permissions") from error


def size_ratio(hr: tuple[int, int], lr: tuple[int, int]) -> int | None:
    """How many times larger HR is than LR, (width, height) each: a whole number up to 16, the same both ways, or None.

    Examples
    --------
    >>> size_ratio((3456, 2304), (432, 288)), size_ratio((3456, 2304), (432, 287))
    (8, None)
    """
    (across, odd_width), (down, odd_height) = (divmod(h, max(low, 1)) for h, low in zip(hr, lr, strict=True))
    exact = across == down and not odd_width and not odd_height
    return across if exact and 1 <= across <= _LARGEST_SCALE else None


def _pairs_format(folder: Path) -> PairFolder:
    table = read_manifest(folder, ["scene", "status", "split", "group", "scale", "hr_path", "lr_path"])
    rows = table[table["status"] == "accepted"].to_dict("records")
    if not rows:
        raise LayoutError(
            f"{folder}: none of the manifest's {len(table)} scenes is accepted; there is nothing to look at"
        )
    pairs = [
        ImagePair(
            scene=row["scene"],
            hr=folder / row["hr_path"],
            lr=folder / row["lr_path"],
            nominal=int(row["scale"]),
            group=row["group"] or row["scene"],
            split=row["split"],
        )
        for row in rows
    ]
    return PairFolder(layout="pairs", pairs=tuple(pairs))


def _folders(folder: Path, listing: Listing) -> PairFolder | None:
    """Folders of HR images with the folders of LR images beside them."""
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
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
    result = _result("folders", pairs, files, listing, (*notes, *_differing(pairs, folder)))
    linked = [note for path in sides if path.is_symlink() for note in listings[path].notes]
    return result and replace(result, notes=(*result.notes, *linked))


def _differing(pairs: list[ImagePair], folder: Path) -> list[str]:
    """A sentence on the pairs whose names are not written alike."""
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
    """Pairs of two folders by the paths in them; LR names may end in the scale as DIV2K's ``X4/0001x4.png`` do."""
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
    """Files by their path in a folder without the ending."""
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in files:
        found[path.relative_to(folder).with_suffix("").as_posix()].append(path)
    return found


def _only(files: list[Path], scene: str) -> Path:
    if len(files) > 1:
        raise LayoutError(f"{files[0]} and {files[1]} are both scene {scene!r}; rename or remove one")
    return files[0]


def _meta_info(*folders: Path) -> set[str]:
    """Names in BasicSR's ``meta_info….txt``, lines as ``0001.png (480,480,3) 1``."""
    texts = (text_of(path) for folder in folders for path in sorted(folder.glob("meta_info*.txt")))
    return {line.split()[0] for text in texts for line in text.splitlines() if line.strip()}


def _realsr(folder: Path, listing: Listing) -> PairFolder | None:
    hr, lr = _by_key(listing.images, r"(.+)_HR()"), _by_key(listing.images, r"(.+)_LR(\d+)")
    pairs = [
        ImagePair(
            scene=hr[key][""].scene, hr=hr[key][""].path, lr=named.path, nominal=int(scale), group=hr[key][""].scene
        )
        for key, by_scale in lr.items()
        if key in hr
        for scale, named in by_scale.items()
    ]
    return _result("RealSR", pairs, _paths(hr, lr), listing)


def _drealsr(folder: Path, listing: Listing) -> PairFolder | None:
    """A scene at x1, which is HR, and at x2, x3 or x4: the factor that LR lacks, as in ``test_HR/DSC_1412_x1.png``.

    Where copies are named the other way round, after the zoom, the sizes say so: the larger image is HR.
    """
    found = _by_key(listing.images, r"(.+)_x(\d+)", apart=False)
    pairs = []
    for by_zoom in found.values():
        zooms = sorted(by_zoom, key=int)
        for zoom in zooms[1:]:
            hr, lr = by_zoom[zooms[0]], by_zoom[zoom]
            if _area(lr.path) > _area(hr.path):
                hr, lr = lr, hr
            pairs.append(ImagePair(scene=hr.scene, hr=hr.path, lr=lr.path, nominal=int(zoom), group=hr.scene))
    return _result("DRealSR", pairs, _paths(found), listing)


def _city100(folder: Path, listing: Listing) -> PairFolder | None:
    hr, lr = _by_key(listing.images, r"(.*\d)H()"), _by_key(listing.images, r"(.*\d)L()")
    pairs = [
        ImagePair(scene=hr[key][""].scene, hr=hr[key][""].path, lr=lr[key][""].path, group=hr[key][""].scene)
        for key in hr
        if key in lr
    ]
    return _result("City100", pairs, _paths(hr, lr), listing)


class _Named(NamedTuple):
    """An image file and the scene that its name says."""

    scene: str
    path: Path


_Found: TypeAlias = dict[tuple[str, str], dict[str, _Named]]


def _by_key(files: Iterable[Path], pattern: str, *, apart: bool = True) -> _Found:
    """Files by (folder, name), then by the number at the end; with ``apart`` false, folders side by side are one.

    Names that differ in case or Unicode form alone are one.
    """
    found: defaultdict[tuple[str, str], dict[str, _Named]] = defaultdict(dict)
    for file in files:
        match = re.fullmatch(pattern, file.stem, re.DOTALL | re.IGNORECASE)
        if match is None:
            continue
        place, side = file.parent, side_of(file.parent.name)
        if not apart and side:  # train_HR and train_LR are one place, test_HR and test_LR another
            place = place.parent / "_".join(side.bare)
        named = _Named(match[1], file)
        other = found[place.as_posix(), folded(match[1])].setdefault(match[2], named)
        if other is not named:
            raise LayoutError(f"{other.path} and {file} are both scene {match[1]!r}; rename or remove one")
    return dict(found)


def _paths(*found: _Found) -> list[Path]:
    return [named.path for each in found for group in each.values() for named in group.values()]


def _result(
    layout: str, pairs: list[ImagePair], files: Iterable[Path], listing: Listing, notes: Sequence[str] = ()
) -> PairFolder | None:
    """The pairs of a layout; ``files`` are those that its names claim, others are counted in a note."""
    if not pairs:
        return None
    used, claimed = {path for pair in pairs for path in (pair.hr, pair.lr)}, set(files)
    if layout == "folders":
        others = [path for path in listing.images if not side_of(path.relative_to(listing.folder).parts[0])]
    else:
        named = claimed | used
        others = [path for path in listing.images if path not in named]
    outside = [f"{few_of(others, listing.folder, 'image')} not named as the pairs are and left out"] if others else []
    return PairFolder(
        layout=layout, pairs=tuple(pairs), unpaired=tuple(sorted(claimed - used)), notes=(*notes, *outside)
    )


def _area(path: Path) -> int:
    """Pixels of an image; one that cannot be read is left for whoever opens it to complain about."""
    try:
        width, height = read_size(path)
    except ImageError:
        return 0
    return width * height
