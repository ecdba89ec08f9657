"""The parts of an export of pairs: what goes out, and which files of a layout it becomes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from d2crealsr.types import Crop

__all__ = ["Arrangement", "OutgoingPair", "PairExport", "Picture", "Request", "Split", "by_split", "inside"]

Split: TypeAlias = Literal["train", "test", ""]

_SPLITS: tuple[Split, ...] = ("train", "test", "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """An image file that goes out whole, or a rectangle of it.

    Attributes
    ----------
    source : Path
        Absolute path of the published file.
    sha256 : str
        Its SHA-256 by the manifest.
    box : Crop or None
        The rectangle, in pixels of this image; None for the whole file.
    """

    source: Path
    sha256: str
    box: Crop | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OutgoingPair:
    """An accepted pair. ``row`` is its row of the manifest, with None for empty cells."""

    scene: str
    split: Split
    scale: int
    hr: Picture
    lr: Picture
    row: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What an arrangement depends on besides the pairs.

    Attributes
    ----------
    out : Path
        Absolute path of the folder that is written.
    description : mapping
        The entries of ``dataset.json``; empty where there is none.
    scenes : int
        Number of scenes in the manifest, also those that are not accepted.
    sub_images : int or None
        Side of the sub-images into which pairs are cut, in HR px; None for whole pairs.
    """

    out: Path
    description: Mapping[str, Any]
    scenes: int
    sub_images: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrangement:
    """The files of an export by their paths relative to its folder, with ``/``: pictures, and lists as text."""

    pictures: dict[str, Picture] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class PairExport:
    """A layout of pairs that other tools read.

    Attributes
    ----------
    name : str
        Name of the layout, for ``--layout``.
    files : str
        Description of the files, for the help.
    arrange : callable
        Returns the :class:`Arrangement` of some pairs, which are sorted by scene. It raises LayoutError if the layout
        cannot hold one of them.
    cuts : bool
        Whether the layout has sub-images.
    """

    name: str
    files: str
    arrange: Callable[[Sequence[OutgoingPair], Request], Arrangement]
    cuts: bool = False


def by_split(pairs: Iterable[OutgoingPair]) -> dict[Split, list[OutgoingPair]]:
    """The pairs of every split that has some: train, test, and those without a split."""
    found: dict[Split, list[OutgoingPair]] = {split: [] for split in _SPLITS}
    for pair in pairs:
        found[pair.split].append(pair)
    return {split: its for split, its in found.items() if its}


def inside(*parts: str) -> str:
    """A relative path of those parts that are not empty."""
    return "/".join(part for part in parts if part)
