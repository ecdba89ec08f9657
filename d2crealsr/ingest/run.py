"""From a memory card to a folder of raw captures: read the frames, find the scenes, write what is new."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import LayoutError
from d2crealsr.ingest.listed import frames_in, notes_on_names
from d2crealsr.ingest.placing import FilesAs, Placing
from d2crealsr.ingest.session import Session
from d2crealsr.ingest.watch import Watch
from d2crealsr.store.captures.preference import Preference
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.outputs import check_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from d2crealsr.ingest.frames import Frame
    from d2crealsr.ingest.links import Link
    from d2crealsr.ingest.plan import Plan

__all__ = ["Ingested", "card_files", "ingest", "watching"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingested:
    """What became of a memory card.

    Attributes
    ----------
    frames : tuple of Frame
        All frames, each content once, with those of the folder that are no longer on the card.
    links : tuple of Link
    plan : Plan
        The new scenes, and what becomes of each frame.
    rows : tuple of dict
        A row of ``frames.csv`` for every frame.
    total : int
        Scenes of the folder, with those of earlier runs.
    scales : tuple of int
        The scales of all scenes that are written, the largest first.
    notes : tuple of str
    """

    frames: tuple[Frame, ...]
    links: tuple[Link, ...]
    plan: Plan
    rows: tuple[dict[str, Any], ...]
    total: int
    scales: tuple[int, ...]
    notes: tuple[str, ...]


def ingest(
    card: Path,
    out: Path,
    *,
    files: FilesAs = "copy",
    dry_run: bool = False,
    keep_private: bool = False,
    prefer: Preference = "jpeg",
    jobs: int = 1,
    on_frame: Callable[[int, int], None] = lambda done, total: None,
    on_search: Callable[[int, int], None] = lambda done, total: None,
) -> Ingested:
    """Sort the frames of a memory card into scenes, and write a folder of raw captures for ``align``.

    Parameters
    ----------
    card, out : Path
        Folder of frames, searched with its subfolders, and the folder to write. Nothing in ``card`` is changed.
    files : {"copy", "hardlink", "symlink"}
        How frames get into ``out``.
    dry_run : bool
        Whether to find out everything and write nothing.
    keep_private : bool
        Whether the tables and the copies have serial numbers, names and places.
    prefer : {"jpeg", "raw"}
        Which file of a shot is taken that has both.
    jobs : int
        Frames at a time; 0 for one per core.
    on_frame, on_search : callable
        Called with the numbers of frames that are done and of all: when one was read, and when it was searched for.

    Raises
    ------
    LayoutError
        When there are no frames, the folders overlap, or ``out`` holds something else.
    LockError, MachineError
        When another run uses ``out``, or the disk cannot store the files.
    """
    paths, notes = card_files(card, out, prefer)
    check_folder(out)
    with contextlib.nullcontext() if dry_run else lock_folder(out):
        session = Session(_real(card), _real(out), keep_private=keep_private, keeps=not dry_run)
        paths = [session.card / path.relative_to(card) for path in paths]
        session.add(session.read(paths, jobs=jobs, on_frame=on_frame), on_search)
        plan = session.plan()
        if dry_run:
            rows = session.rows(plan)
        else:
            placing = Placing(files, keep_private)
            rows = session.write(plan, placing)
            notes += [*session.notes, *placing.notes]
    total = len({row["scene"] for row in session.folder.manifest} | {scene.scene for scene in plan.scenes})
    return Ingested(
        frames=tuple(session.frames),
        links=tuple(session.numbered_links()),
        plan=plan,
        rows=tuple(rows),
        total=total,
        scales=session.folder.scales,
        notes=tuple(notes),
    )


@contextlib.contextmanager
def watching(
    card: Path, out: Path, *, files: FilesAs = "copy", keep_private: bool = False, prefer: Preference = "jpeg"
) -> Iterator[Watch]:
    """A watch over a folder of frames, with the raw folder locked; it is ended through its ``stopped``.

    Parameters
    ----------
    card, out, files, keep_private, prefer
        As for :func:`ingest`. ``card`` may be empty.

    Raises
    ------
    LayoutError
        When the folders overlap, or ``out`` holds something else.
    LockError
        When another run uses ``out``.
    """
    _check_folders(card, out)
    check_folder(out)
    with lock_folder(out):
        session = Session(_real(card), _real(out), keep_private=keep_private)
        yield Watch(session, Placing(files, keep_private), lambda: False, prefer)


def card_files(card: Path, out: Path, prefer: Preference = "jpeg") -> tuple[list[Path], list[str]]:
    """The frames of a memory card, and notes about other files.

    Raises
    ------
    LayoutError
        When there are none, or the folders overlap.
    """
    _check_folders(card, out)
    listed = frames_in(card, prefer)
    notes = [*notes_on_names(listed.unnamed, card), *listed.notes.values()]
    if not listed.frames:
        raise LayoutError("; ".join((f"{card}: no frames found", *notes)))
    return listed.frames, notes


def _check_folders(card: Path, out: Path) -> None:
    if not card.is_dir():
        raise LayoutError(f"{card}: is no folder; give the folder with the frames, such as DCIM")
    inner, outer = _real(out), _real(card)
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise LayoutError(f"{out}: lies within {card} or around it; give another folder with --out")


def _real(folder: Path) -> Path:
    """The folder itself: the path ``../raw`` would count as one within the path ``.``, which it is not."""
    return Path(os.path.realpath(folder))
