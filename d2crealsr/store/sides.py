"""Match folders of HR images with folders of LR images by their names, which may end with a scale."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from d2crealsr.store.listing import folded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Side", "match_names", "partners", "side_of"]

_SIDE = re.compile(r"(hr|gt|lr|lq)(x?\d+)?")
_SCALE = re.compile(r"x(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """Parts of a folder's name: the side, the other words, and the scale of LR if the name ends with one.

    ``bare`` contains the other words without that scale.
    """

    side: Literal["hr", "lr"]
    rest: tuple[str, ...]
    bare: tuple[str, ...]
    scale: int | None


def side_of(name: str) -> Side | None:
    """Read a folder's name. None unless exactly one of its words is HR (or gt) or LR (or lq).

    Examples
    --------
    >>> side_of("DIV2K_train_LR_x4")
    Side(side='lr', rest=('div2k', 'train', 'x4'), bare=('div2k', 'train'), scale=4)
    >>> side_of("hr2").rest, side_of("throne")
    (('2',), None)
    """
    words = [word for word in re.split(r"[\W_]+", folded(name)) if word]
    found = [(place, match) for place, word in enumerate(words) if (match := _SIDE.fullmatch(word))]
    if len(found) != 1:
        return None
    place, match = found[0]
    side: Literal["hr", "lr"] = "hr" if match[1] in ("hr", "gt") else "lr"
    rest = (*words[:place], *([match[2]] if match[2] else []), *words[place + 1 :])
    scale = _SCALE.fullmatch(rest[-1]) if rest and side == "lr" else None
    return Side(side=side, rest=rest, bare=rest[:-1] if scale else rest, scale=int(scale[1]) if scale else None)


def partners(folders: Sequence[Path]) -> dict[Path, tuple[list[Path], list[Path]]]:
    """The LR folders of each HR folder: those with the same name, and those whose names begin with it.

    The second kind, such as ``LR_bicubic`` beside ``HR``, is used only if no LR folder has exactly the name of HR.
    """
    sides = {folder: side for folder in folders if (side := side_of(folder.name))}
    high = [folder for folder, side in sides.items() if side.side == "hr"]
    found: dict[Path, tuple[list[Path], list[Path]]] = {folder: ([], []) for folder in high}
    for folder, side in sides.items():
        if side.side == "hr":
            continue
        names = (side.rest, side.bare)
        own = next((same for name in names if (same := [hr for hr in high if sides[hr].rest == name])), [])
        for hr in own:
            found[hr][0].append(folder)
        begun = [hr for hr in high if sides[hr].rest == side.rest[: len(sides[hr].rest)]]
        longest = max((len(sides[hr].rest) for hr in begun), default=0)
        for hr in begun if not own else ():
            if len(sides[hr].rest) == longest:
                found[hr][1].append(folder)
    return {
        hr: (own, [] if any(sides[lr].scale is None for lr in own) else others) for hr, (own, others) in found.items()
    }


def match_names(wanted: Sequence[str], there: Sequence[str]) -> dict[str, str]:
    """For each wanted name, the existing name that it means: the equal one, else the only one that differs in form.

    Names that differ only in form differ in upper and lower case or in how an accent is encoded.
    """
    same = set(there)
    found = {name: name for name in wanted if name in same}
    sides: tuple[defaultdict[str, list[str]], defaultdict[str, list[str]]] = (defaultdict(list), defaultdict(list))
    for kept, names in zip(sides, (wanted, there), strict=True):
        for name in names:
            if name not in found:
                kept[folded(name)].append(name)
    for key, names in sides[0].items():
        if len(names) == 1 and len(sides[1][key]) == 1:
            found[names[0]] = sides[1][key][0]
    return found
