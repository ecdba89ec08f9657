"""Photographs to print on cards: those inside the scikit-image wheel, or a folder of the user's own.

Only files inside the wheel are used. They are read from the installed package. ``skimage.data`` is never called,
because it would download missing files.
"""

from __future__ import annotations

import contextlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from d2crealsr.errors import ImageError, LayoutError, MachineError
from d2crealsr.store import images
from d2crealsr.store.listing import list_images

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Library", "Photograph", "folder_library", "wheel_library"]


class Photograph(NamedTuple):
    """One photograph of the wheel: its file, the group it is printed with, its licence, whether it is smooth."""

    file: str
    group: str
    licence: str
    smooth: bool


_CC0, _PUBLIC = "CC0-1.0", "public domain"

# Licences as stated in scikit-image's docstrings and data README. Pictures without a statement are left out.
_WHEEL: dict[str, Photograph] = {
    "astronaut": Photograph("astronaut.png", "flight", f"{_PUBLIC} (NASA)", True),
    "rocket": Photograph("rocket.jpg", "flight", f"{_PUBLIC} (SpaceX)", True),
    "coffee": Photograph("coffee.png", "table", f"{_CC0} (Rachel Michetti)", True),
    "clock": Photograph("clock_motion.png", "table", f"{_PUBLIC} (Stefan van der Walt)", True),
    "camera": Photograph("camera.png", "portrait", f"{_CC0} (Lav Varshney)", True),
    "chelsea": Photograph("chelsea.png", "portrait", f"{_CC0} (Stefan van der Walt)", True),
    "retina": Photograph("retina.jpg", "clinic", f"{_CC0} (Mikael Häggström)", True),
    "ihc": Photograph("ihc.png", "clinic", "no known copyright restrictions (CMMI)", False),
    "cell": Photograph("cell.png", "clinic", _CC0, True),
    "grass": Photograph("grass.png", "ground", f"{_CC0} (linolafett)", False),
    "gravel": Photograph("gravel.png", "ground", f"{_CC0} (CC0Textures)", False),
    "brick": Photograph("brick.png", "stone", f"{_CC0} (CC0Textures)", False),
    "coins": Photograph("coins.png", "stone", "no known copyright restrictions (Brooklyn Museum)", False),
    "hubble": Photograph("hubble_deep_field.jpg", "sky", f"{_PUBLIC} (NASA)", False),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Library:
    """Photographs by name: their files, groups and licences.

    Attributes
    ----------
    smooth : tuple of str
        Photographs with much sky, skin or porcelain. A single one of these that fills a card makes it hard to align.
    """

    paths: dict[str, Path]
    groups_of: dict[str, str]
    licences: dict[str, str]
    smooth: tuple[str, ...]

    def read(self, name: str) -> NDArray[np.uint8]:
        """One photograph as ``(H, W, 3)`` uint8 RGB."""
        with _named(self.paths[name]):
            image = images.read_image(self.paths[name])
        return (image // 257).astype("uint8") if image.dtype == "uint16" else image.astype("uint8")

    def size_of(self, name: str) -> tuple[int, int]:
        """Width and height of one photograph, from the header of its file."""
        with _named(self.paths[name]):
            return images.read_size(self.paths[name])

    def others(self, group: str, shown: Sequence[str] = ()) -> tuple[str, ...]:
        """Photographs that a card of ``group`` does not show; none if it shows all.

        They are those of the first group after ``group`` of which it shows nothing, or, if there is no such group, all
        others. A card whose group is not one of a photograph gets the first group of all.
        """
        groups = list(dict.fromkeys(self.groups_of.values()))
        first = groups.index(group) + 1 if group in groups else 0
        on_card = {self.groups_of[name] for name in shown} | {group}
        free = next((name for name in (*groups[first:], *groups[:first]) if name not in on_card), None)
        return tuple(name for name, of in self.groups_of.items() if name not in shown and free in (None, of))


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Say in which folder a photograph lies that cannot be read."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{path.parent / str(error)}", reason=error.reason) from error


def wheel_library() -> Library:
    """The photographs that ship inside the installed scikit-image.

    Raises
    ------
    MachineError
        When scikit-image, or a picture that it should contain, is missing.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        raise MachineError("scikit-image is not installed, its photographs are needed; pip install scikit-image")
    folder = Path(spec.origin).parent / "data"
    paths = {name: folder / photograph.file for name, photograph in _WHEEL.items()}
    missing = [path.name for path in paths.values() if not path.is_file()]
    if missing:
        raise MachineError(f"scikit-image lacks {', '.join(missing)}; install its wheel again, or pass --photos DIR")
    return Library(
        paths=paths,
        groups_of={name: photograph.group for name, photograph in _WHEEL.items()},
        licences={name: photograph.licence for name, photograph in _WHEEL.items()},
        smooth=tuple(name for name, photograph in _WHEEL.items() if photograph.smooth),
    )


def folder_library(folder: Path) -> Library:
    """The user's own photographs: every image file of ``folder`` but hidden ones. Each is a group, named by its stem.

    Raises
    ------
    LayoutError
        When the folder is missing, contains no image, or contains two images with the same stem.
    """
    if not folder.is_dir():
        raise LayoutError(f"{folder}: no such folder of photographs; change --photos")
    found = list_images(folder, deep=False).images
    if not found:
        raise LayoutError(f"{folder}: holds no image ({', '.join(images.IMAGE_SUFFIXES)}); change --photos")
    paths = {path.stem: path for path in found}
    if len(paths) < len(found):
        raise LayoutError(f"{folder}: two photographs share a name without its ending; rename one")
    return Library(
        paths=paths,
        groups_of={name: name for name in paths},
        licences=dict.fromkeys(paths, "unknown"),
        smooth=tuple(paths),
    )
