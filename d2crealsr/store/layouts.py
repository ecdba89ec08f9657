"""Existing pairs: which HR and LR image belong together in a folder, whoever made it.

========== ======================================================================================================
pairs      ``manifest.csv`` with ``hr_path`` and ``lr_path``: this project's format, accepted scenes only
folders    two folders with equal names, ``HR`` and ``LR`` or ``gt`` and ``lq`` (BasicSR), also ``0001x4.png`` in LR
           (DIV2K); a ``meta_info….txt`` names the pairs that count
RealSR     ``Canon_001_HR.png`` and ``Canon_001_LR4.png``, at any depth; both may have one size
DRealSR    ``Canon_10_x1.png``, HR, and ``Canon_10_x4.png``, LR, at any depth or in folders side by side
City100    ``001H.PNG`` and ``001L.PNG``, at any depth
========== ======================================================================================================

They are tried in this order. Raw captures, which are not aligned yet, are :mod:`d2crealsr.store.captures`' business.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.errors import ImageError, LayoutError, ScaleError
from d2crealsr.store.images import IMAGE_SUFFIXES, read_size
from d2crealsr.store.pairs import cell_problem, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["ImagePair", "PairFolder", "find_pairs", "size_ratio", "text_of"]

_KNOWN = (
    "a pairs folder with manifest.csv; folders HR and LR (or gt and lq) with equal names; NAME_HR.* and NAME_LR4.*; "
    "NAME_x1.* and NAME_x4.*; or 001H.* and 001L.*"
)
_HR_FOLDER = re.compile(r"(^|[_-])(hr|gt)($|[_-])", re.IGNORECASE)
_LR_FOLDER = re.compile(r"(^|[_-])(lr|lq)(x?\d+)?($|[_-])", re.IGNORECASE)
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
    """What :func:`find_pairs` found: the layout's name, its pairs by scene, and image files that have no partner."""

    layout: str
    pairs: tuple[ImagePair, ...]
    unpaired: tuple[Path, ...] = ()


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
        When the folder is missing, of no known layout, has two files for one scene, or no pair of this scale.
    TableError
        When the manifest of a pairs folder is damaged.
    """
    if not folder.is_dir():
        raise LayoutError(f"{folder} is not there or no folder; give a folder of pairs: {_KNOWN}")
    found: PairFolder | None
    if (folder / "manifest.csv").is_file():
        found = _pairs_format(folder)
    else:
        layouts: tuple[Callable[[Path], PairFolder | None], ...] = (_folders, _realsr, _drealsr, _city100)
        found = next((result for layout in layouts if (result := layout(folder)) is not None), None)
    if found is None:
        raise LayoutError(f"{folder}: no pairs found; expected {_KNOWN}")
    return _of_scale(found, scale, folder)


def _of_scale(found: PairFolder, scale: int | None, folder: Path) -> PairFolder:
    """The pairs of one stated scale, sorted and named apart."""
    pairs = [pair for pair in found.pairs if scale is None or pair.nominal in (None, scale)]
    if not pairs:
        stated = sorted({pair.nominal for pair in found.pairs if pair.nominal})
        others = ", ".join(map(str, stated))
        raise ScaleError(
            f"{folder}: no pairs of scale {scale}, only of {others}; give --scale {stated[0]}", tuple(stated)
        )
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


def text_of(path: Path) -> str:
    """A list of files as text; raises LayoutError when it is none."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LayoutError(f"{path}: not a text file in UTF-8 ({error.reason}); give a list of paths") from error


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


def _folders(folder: Path) -> PairFolder | None:
    """Folders of HR images with the folders of LR images beside them, names equal but for a scale at the end."""
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    hr_folders = [path for path in inner if _HR_FOLDER.search(path.name)]
    lr_folders = [path for path in inner if _LR_FOLDER.search(path.name)]
    pairs: list[ImagePair] = []
    files: list[Path] = []
    for hr_folder in hr_folders:
        rest = _HR_FOLDER.sub("", hr_folder.name)
        partners = [path for path in lr_folders if _LR_FOLDER.sub("", path.name).startswith(rest)]
        listed = _meta_info(folder, hr_folder)
        hr_files = _listed(hr_folder, listed) if listed else _images(hr_folder)
        files += hr_files
        for lr_folder in partners:
            lr_files = _images(lr_folder)
            pairs += _equal_names(hr_folder, hr_files, lr_folder, lr_files)
            files += [] if listed else lr_files
    return _result("folders", pairs, files)


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


def _equal_names(hr_folder: Path, hr_files: list[Path], lr_folder: Path, lr_files: list[Path]) -> list[ImagePair]:
    stated = re.search(r"x(\d+)$", lr_folder.name, re.IGNORECASE)
    by_name = {path.relative_to(hr_folder).with_suffix("").as_posix(): path for path in hr_files}
    pairs = []
    for lr in lr_files:
        key = lr.relative_to(lr_folder).with_suffix("").as_posix()
        nominal = int(stated[1]) if stated else None
        match = re.fullmatch(r"(?:[xX]\d+/)?(.+?)x(\d+)", key)  # DIV2K: X4/0001x4.png
        if key not in by_name and match is not None:
            key, nominal = match[1], int(match[2])
        if key in by_name:
            pairs.append(ImagePair(scene=key, hr=by_name[key], lr=lr, nominal=nominal, group=key))
    return pairs


def _meta_info(*folders: Path) -> set[str]:
    """Names in BasicSR's ``meta_info….txt``, lines as ``0001.png (480,480,3) 1``."""
    texts = (text_of(path) for folder in folders for path in sorted(folder.glob("meta_info*.txt")))
    return {line.split()[0] for text in texts for line in text.splitlines() if line.strip()}


def _realsr(folder: Path) -> PairFolder | None:
    files = _images(folder)
    hr, lr = _by_key(files, r"(.+)_HR()"), _by_key(files, r"(.+)_LR(\d+)")
    pairs = [
        ImagePair(scene=key[1], hr=hr[key][""], lr=path, nominal=int(scale), group=key[1])
        for key, by_scale in lr.items()
        if key in hr
        for scale, path in by_scale.items()
    ]
    return _result("RealSR", pairs, [path for found in (hr, lr) for group in found.values() for path in group.values()])


def _drealsr(folder: Path) -> PairFolder | None:
    """A scene at x1, which is HR, and at x2, x3 or x4: the factor that LR lacks, as in ``test_HR/DSC_1412_x1.png``.

    Where copies are named the other way round, after the zoom, the sizes say so: the larger image is HR.
    """
    found = _by_key(_images(folder), r"(.+)_x(\d+)", apart=False)
    pairs = []
    for key, by_zoom in found.items():
        zooms = sorted(by_zoom, key=int)
        for zoom in zooms[1:]:
            hr, lr = by_zoom[zooms[0]], by_zoom[zoom]
            if _area(lr) > _area(hr):
                hr, lr = lr, hr
            pairs.append(ImagePair(scene=key[1], hr=hr, lr=lr, nominal=int(zoom), group=key[1]))
    return _result("DRealSR", pairs, [path for group in found.values() for path in group.values()])


def _city100(folder: Path) -> PairFolder | None:
    files = _images(folder)
    hr, lr = _by_key(files, r"(.*\d)H()"), _by_key(files, r"(.*\d)L()")
    pairs = [ImagePair(scene=key[1], hr=hr[key][""], lr=lr[key][""], group=key[1]) for key in hr if key in lr]
    return _result(
        "City100", pairs, [path for found in (hr, lr) for group in found.values() for path in group.values()]
    )


def _by_key(files: Iterable[Path], pattern: str, *, apart: bool = True) -> dict[tuple[str, str], dict[str, Path]]:
    """Files by (folder, name), then by the number at the end; with ``apart`` false, folders side by side are one."""
    found: defaultdict[tuple[str, str], dict[str, Path]] = defaultdict(dict)
    for file in files:
        match = re.fullmatch(pattern, file.stem, re.DOTALL)
        if match is None:
            continue
        place = file.parent if apart or not re.search("hr|lr", file.parent.name, re.IGNORECASE) else file.parent.parent
        if not apart and place != file.parent:  # train_HR and train_LR are one place, test_HR and test_LR another
            place = place / re.sub("hr|lr", "", file.parent.name, flags=re.IGNORECASE)
        other = found[place.as_posix(), match[1]].setdefault(match[2], file)
        if other is not file:
            raise LayoutError(f"{other} and {file} are both scene {match[1]!r}; rename or remove one")
    return dict(found)


def _result(layout: str, pairs: list[ImagePair], files: Iterable[Path]) -> PairFolder | None:
    if not pairs:
        return None
    used = {path for pair in pairs for path in (pair.hr, pair.lr)}
    return PairFolder(layout=layout, pairs=tuple(pairs), unpaired=tuple(sorted(set(files) - used)))


def _images(folder: Path) -> list[Path]:
    """Image files of a folder at any depth, without hidden ones."""
    files = (path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    return sorted(path for path in files if not any(p.startswith(".") for p in path.relative_to(folder).parts))


def _area(path: Path) -> int:
    """Pixels of an image; one that cannot be read is left for whoever opens it to complain about."""
    try:
        width, height = read_size(path)
    except ImageError:
        return 0
    return width * height
