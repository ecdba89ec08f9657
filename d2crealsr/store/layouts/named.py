"""Pairs whose file names state the scene and the side, at any depth: RealSR, DRealSR and City100."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from d2crealsr.errors import ImageError, LayoutError
from d2crealsr.store.images import read_size
from d2crealsr.store.layouts.found import ImagePair, PairFolder, PairLayout
from d2crealsr.store.listing import Listing, few_of, folded, list_images
from d2crealsr.store.sides import side_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["CITY100", "DREALSR", "REALSR", "outside"]


def _of_two_names(folder: Path, layout: str, hr_name: str, lr_name: str) -> PairFolder | None:
    """Pairs whose HR and LR names each match a pattern. That of LR ends with the scale if names state it."""
    listing = list_images(folder)
    hr, lr = _by_key(listing.images, hr_name), _by_key(listing.images, lr_name)
    pairs = [
        ImagePair(
            scene=hr[key][""].scene, hr=hr[key][""].path, lr=named.path, nominal=int(scale) if scale else None,
            group=hr[key][""].scene,
        )
        for key, by_scale in lr.items()
        if key in hr
        for scale, named in by_scale.items()
    ]  # fmt: skip
    with_scale = [named.path for by_scale in lr.values() for scale, named in by_scale.items() if scale]
    return _result(layout, pairs, _paths(hr, lr), with_scale, listing)


def _drealsr(folder: Path) -> PairFolder | None:
    """A scene at two zooms, as ``test_HR/DSC_1454_x4.png`` and ``test_LR/DSC_1454_x1.png``.

    Its authors name files by the zoom, so that x4 is HR. In other copies the names state the reduction, so that x1 is
    HR. The sizes show which it is: the larger image is HR. Where they are equal the folders say so. Patches of a scene
    have a number at the end, as ``train_HR/DSC_1454_x4_12.png``.
    """
    listing = list_images(folder)
    found = _by_key(listing.images, r"(.+)_x(\d+)((?:_\d+)?)", apart=False)
    pairs, by_zoom_named = [], False
    for by_zoom in found.values():
        zooms = sorted(by_zoom, key=int)
        for zoom in zooms[1:]:
            lr, hr = by_zoom[zooms[0]], by_zoom[zoom]
            if _detail(lr.path) > _detail(hr.path):
                hr, lr = lr, hr
            by_zoom_named = by_zoom_named or hr is by_zoom[zoom]
            pairs.append(ImagePair(scene=hr.scene, hr=hr.path, lr=lr.path, nominal=int(zoom), group=hr.picture))
    reduced = [
        named.path for by_zoom in found.values() for zoom, named in by_zoom.items() if (zoom == "1") == by_zoom_named
    ]
    return _result("DRealSR", pairs, _paths(found), reduced, listing)


class _Named(NamedTuple):
    """An image file, the scene that its name states, and the picture from which the scene was cut."""

    scene: str
    path: Path
    picture: str


_Found: TypeAlias = dict[tuple[str, str], dict[str, _Named]]


def _by_key(files: Iterable[Path], pattern: str, *, apart: bool = True) -> _Found:
    """Files by (folder, name), then by the number at the end. With ``apart`` false, HR and LR folders count as one.

    The groups of the pattern are the name, the number and, where a picture may be cut into patches, that of the patch.
    Names that differ only in case or Unicode form count as equal.
    """
    found: defaultdict[tuple[str, str], dict[str, _Named]] = defaultdict(dict)
    for file in files:
        match = re.fullmatch(pattern, file.stem, re.DOTALL | re.IGNORECASE)
        if match is None:
            continue
        place, side = file.parent, side_of(file.parent.name)
        if not apart and side:  # train_HR and train_LR count as one folder, test_HR and test_LR as another
            place = place.parent / "_".join(side.bare)
        named = _Named("".join(match.group(1, *range(3, match.re.groups + 1))), file, match[1])
        other = found[place.as_posix(), folded(named.scene)].setdefault(match[2], named)
        if other is not named:
            raise LayoutError(f"{other.path} and {file} are both scene {named.scene!r}; rename or remove one")
    return dict(found)


def _paths(*found: _Found) -> list[Path]:
    return [named.path for each in found for group in each.values() for named in group.values()]


def _detail(path: Path) -> tuple[int, bool]:
    """Number of pixels of an image, and whether it is in a folder of HR images.

    The number is 0 if it cannot be read, as opening it later reports the error.
    """
    try:
        width, height = read_size(path)
    except ImageError:
        width = height = 0
    side = side_of(path.parent.name)
    return width * height, side is not None and side.side == "hr"


def _result(
    layout: str, pairs: list[ImagePair], claimed: list[Path], lr: list[Path], listing: Listing
) -> PairFolder | None:
    """The pairs of a layout. ``claimed`` are all files with names of this layout, ``lr`` those that must be LR."""
    if not pairs:
        return None
    named = {*claimed}
    alone = named - {path for pair in pairs for path in (pair.hr, pair.lr)}
    others = [path for path in listing.images if path not in named]
    return PairFolder(
        layout=layout, pairs=tuple(pairs), unpaired=tuple(sorted(alone)), without_hr=tuple(sorted(alone & {*lr})),
        notes=(*outside(others, listing.folder), *listing.notes),
    )  # fmt: skip


def outside(others: list[Path], folder: Path) -> list[str]:
    """A sentence on images whose names do not belong to a layout."""
    return [f"{few_of(others, folder, 'image')} not named as the pairs are and left out"] if others else []


REALSR = PairLayout(
    name="RealSR",
    files="NAME_HR.* and NAME_LR4.*",
    details="in any subfolder. LR as it is published has the size of HR: such pairs are read at scale 1. With --scale "
    "4, LR is reduced to means of 4×4 pixels, and HR is cropped to a multiple of 4",
    find=lambda folder: _of_two_names(folder, "RealSR", r"(.+)_HR()", r"(.+)_LR(\d+)"),
)
DREALSR = PairLayout(
    name="DRealSR",
    files="NAME_x4.* and NAME_x1.*",
    details="in any subfolder, or in one folder for each. The larger image is HR, since the authors of DRealSR name HR "
    "x4 and others name LR so. The names of patches may end with a number, as NAME_x4_12.*",
    find=_drealsr,
)
CITY100 = PairLayout(
    name="City100",
    files="001H.* and 001L.*",
    details="in any subfolder",
    find=lambda folder: _of_two_names(folder, "City100", r"(.*\d)H()", r"(.*\d)L()"),
)
