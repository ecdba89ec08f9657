"""Which of two files of one shot is used: cameras store a JPEG beside camera RAW, under the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

from d2crealsr.store.listing import few_of
from d2crealsr.store.readers import READERS
from d2crealsr.store.readers.heifs import HEIF
from d2crealsr.store.readers.jpegs import JPEG

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["PREFERENCES", "Chosen", "Preference", "preferred"]

Preference: TypeAlias = Literal["jpeg", "raw"]
PREFERENCES: tuple[Preference, ...] = get_args(Preference)
"""``jpeg``, the default, needs no extra."""

_RAW = {suffix for reader in READERS if reader.development is not None for suffix in reader.suffixes}
_RENDERED = {*JPEG.suffixes, *HEIF.suffixes}
"""Endings of what a camera stores beside camera RAW."""


class Chosen(NamedTuple):
    """Files of which each shot has one kind, in their order, and those that were left out for another of their shot."""

    files: list[Path]
    left_out: list[Path]

    def note(self, folder: Path, prefer: Preference) -> str:
        """One sentence on what was left out; empty if nothing was."""
        if not self.left_out:
            return ""
        beside, other = ("a JPEG", "raw") if prefer == "jpeg" else ("camera RAW", "jpeg")
        left_out = few_of(self.left_out, folder, "file")
        return f"{left_out} left out beside {beside} of the same name; --prefer {other} takes it"


def preferred(files: Iterable[Path], prefer: Preference = "jpeg") -> Chosen:
    """Choose between camera RAW and JPEG (or HEIC) where both have one name in one folder. Other files are all kept.

    Parameters
    ----------
    files : iterable of Path
    prefer : {"jpeg", "raw"}
        What is kept of a shot that has both.
    """
    listed = list(files)
    shots: dict[tuple[Path, str], set[bool]] = {}
    for path in listed:
        if (raw := _is_raw(path)) is not None:
            shots.setdefault((path.parent, path.stem), set()).add(raw)
    chosen = Chosen([], [])
    for path in listed:
        both = len(shots.get((path.parent, path.stem), ())) == 2
        loses = both and _is_raw(path) is (prefer == "jpeg")
        (chosen.left_out if loses else chosen.files).append(path)
    return chosen


def _is_raw(path: Path) -> bool | None:
    """Whether a file is camera RAW, by its ending; None if it is neither that nor a JPEG."""
    ending = path.suffix.lower()
    return True if ending in _RAW else False if ending in _RENDERED else None
