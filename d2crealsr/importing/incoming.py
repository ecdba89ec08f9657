"""Which pairs of a folder are imported, under which names, at which scale, and in which splits."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from d2crealsr.errors import ImageError, LayoutError, ScaleError
from d2crealsr.store.description import DATASET_FILE, load_description
from d2crealsr.store.images import read_size
from d2crealsr.store.layouts import find_pair_folder, reduced_size, size_ratio
from d2crealsr.store.layouts.tabled import PAIRS
from d2crealsr.store.naming import picture_of, split_of
from d2crealsr.store.pairs import is_plain, scene_problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d2crealsr.store.layouts import ImagePair, PairFolder

__all__ = ["Incoming", "IncomingPair", "find_incoming"]


@dataclass(frozen=True, kw_only=True, slots=True)
class IncomingPair:
    """A pair to import.

    Attributes
    ----------
    scene : str
        Its name in the pairs folder.
    found : ImagePair
        The pair in its own folder.
    split : {"train", "test", ""}
    group : str
    states_group : bool
        Whether a table states the group. Otherwise it is only what the name says.
    lr_size : (width, height)
        Size of LR as it is published.
    reduce : int
        Factor by which LR is reduced because it has HR's size; 1 where images stay as they are.
    """

    scene: str
    found: ImagePair
    split: Literal["train", "test", ""]
    group: str
    states_group: bool
    lr_size: tuple[int, int]
    reduce: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Incoming:
    """The pairs of a folder, all of one scale.

    ``left_out`` has a sentence for each pair that cannot be imported. Of a pairs folder, ``reviewed_out`` are the
    scenes that a reviewer left out, and ``terms`` are its licence and citation.
    """

    layout: str
    scale: int
    pairs: tuple[IncomingPair, ...]
    left_out: tuple[str, ...]
    reviewed_out: tuple[str, ...]
    notes: tuple[str, ...]
    terms: Mapping[str, str]


def find_incoming(folder: Path, scale: int | None) -> Incoming:
    """Find the pairs of a folder of a known layout, and look at their sizes.

    Raises
    ------
    LayoutError
        When there are none, when their scales differ and none was chosen, or when a name cannot be that of a scene.
    """
    found = find_pair_folder(folder, scale=scale)
    looked = [(pair, *_looked_at(pair, found, scale)) for pair in found.pairs]
    scales = Counter(its for _, its, _ in looked if its)
    if len(scales) > 1:
        some = ", ".join(map(str, sorted(scales)))
        raise ScaleError(f"{folder}: has pairs of scales {some}; choose one with --scale", tuple(sorted(scales)))
    looked = [each for each in looked if not each[0].left_out]
    taken = [(pair, size) for pair, its, size in looked if its and not isinstance(size, str)]
    chosen = next(iter(scales), scale or 1)
    names = _scenes([pair.scene for pair, _ in taken], folder)
    splits = [_split(pair, found, folder) for pair, _ in taken]
    notes = list(found.notes)
    if "val" in splits and "test" in splits:
        notes.append(f"{splits.count('val')} pairs for validation have no split here, where there is a test split")
    by_val: Literal["test", ""] = "" if "test" in splits else "test"
    pairs = [
        IncomingPair(
            scene=scene,
            found=pair,
            split=by_val if split == "val" else split,
            group=pair.group if found.tabled and pair.group else picture_of(scene),
            states_group=_states_group(pair, found),
            lr_size=size,
            reduce=chosen if pair.at_hr_size else 1,
        )
        for (pair, size), scene, split in zip(taken, names, splits, strict=True)
    ]
    if found.unpaired:
        notes.append(f"{len(found.unpaired)} images without a partner are left out")
    left_out = [f"{pair.scene}: {problem}" for pair, _, problem in looked if isinstance(problem, str)]
    return Incoming(
        layout=found.layout,
        scale=chosen,
        pairs=tuple(pairs),
        left_out=tuple(left_out),
        reviewed_out=tuple(pair.scene for pair in found.pairs if pair.left_out),
        notes=tuple(notes),
        terms=_terms(found, folder),
    )


def _terms(found: PairFolder, folder: Path) -> dict[str, str]:
    """Licence and citation of a pairs folder, if it says them."""
    if found.layout != PAIRS.name or not (folder / DATASET_FILE).exists():
        return {}
    described = load_description(folder)
    return {name: described[name] for name in ("licence", "citation") if name in described}


def _looked_at(pair: ImagePair, found: PairFolder, scale: int | None) -> tuple[int, tuple[int, int] | str]:
    """Scale of a pair and size of its LR image; or 0 and why it cannot be imported."""
    try:
        hr, lr = read_size(pair.hr), read_size(pair.lr)
    except ImageError as error:
        return 0, str(error)
    reduce = (scale or 1) if pair.at_hr_size else 1
    if reduce > 1:
        lr = reduced_size(lr, reduce)
        hr = (reduce * lr[0], reduce * lr[1])
    ratio = size_ratio(hr, lr)
    stated = reduce if pair.at_hr_size else pair.nominal or scale
    if ratio is None or ratio != (stated or ratio) or 0 in lr:
        wanted = f"{stated} times" if stated else "a whole number of times"
        return 0, f"HR is {hr[0]}x{hr[1]}, expected {wanted} LR's {lr[0]}x{lr[1]}"
    return ratio, lr


def _states_group(pair: ImagePair, found: PairFolder) -> bool:
    return found.layout == PAIRS.name or (found.tabled and pair.group not in ("", picture_of(pair.scene)))


def _split(pair: ImagePair, found: PairFolder, folder: Path) -> Literal["train", "test", "val", ""]:
    if found.tabled:
        return split_of(pair.split)
    return split_of(pair.lr.parent.relative_to(folder).as_posix())


def _scenes(names: list[str], folder: Path) -> list[str]:
    """Names of scenes, with ``_`` where a name has folders."""
    scenes = [name.replace("/", "_") for name in names]
    seen: dict[str, str] = {}
    for scene, name in zip(scenes, names, strict=True):
        if problem := scene_problem(scene) or (None if is_plain(name) else "has control characters"):
            raise LayoutError(f"{folder}: pair {name[:80]!r} {problem}; rename its files")
        other = seen.setdefault(unicodedata.normalize("NFC", scene).casefold(), name)
        if other is not name:
            raise LayoutError(f"{folder}: pairs {other!r} and {name!r} would both be scene {scene!r}; rename one")
    return scenes
