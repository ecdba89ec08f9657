"""The frames of a folder: one file of each shot, under names that tables can hold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from d2crealsr.store.captures.preference import Preference, preferred
from d2crealsr.store.listing import few_of, list_images
from d2crealsr.store.pairs import cell_problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Listed", "frames_in", "notes_on_names"]


class Listed(NamedTuple):
    """The frames that are read, and what is left out.

    Attributes
    ----------
    frames : list of Path
    unnamed : dict
        Why a name cannot be written into a table, by path.
    notes : dict
        A sentence on other files, by the kind of files.
    """

    frames: list[Path]
    unnamed: dict[Path, str]
    notes: dict[str, str]


def frames_in(card: Path, prefer: Preference) -> Listed:
    """List the frames of a folder and its subfolders."""
    listing = list_images(card)
    problems = {path: cell_problem(path.relative_to(card).as_posix()) for path in listing.images}
    chosen = preferred([path for path, problem in problems.items() if not problem], prefer)
    parts = {
        "unread": replace(listing, images=(), links=()),
        "links": replace(listing, images=(), unread=()),
        "literal": replace(listing, unread=(), links=()),
    }
    notes = {kind: " ".join(part.notes) for kind, part in parts.items()} | {"beside": chosen.note(card, prefer)}
    unnamed = {path: problem for path, problem in problems.items() if problem}
    return Listed(chosen.files, unnamed, {kind: text for kind, text in notes.items() if text})


def notes_on_names(unnamed: Mapping[Path, str], card: Path) -> list[str]:
    """A sentence for each reason why files are left out for their names."""
    said = []
    for problem in sorted(set(unnamed.values())):
        paths = [path for path, why in unnamed.items() if why == problem]
        what, them = ("its name", "it") if len(paths) == 1 else ("the name", "them")
        said.append(f"{few_of(paths, card, 'file')} left out: {what} {problem}; rename {them}")
    return said
