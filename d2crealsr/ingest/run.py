"""From a memory card to a folder of raw captures: read the frames, find the scenes, write what is new."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import LayoutError
from d2crealsr.ingest.choice import supported
from d2crealsr.ingest.frames import Frame, read_frames
from d2crealsr.ingest.grouping import cards_of
from d2crealsr.ingest.links import find_links
from d2crealsr.ingest.placing import FilesAs, Placing
from d2crealsr.ingest.plan import Entry, Plan, Scene, planned
from d2crealsr.ingest.raw_folder import RawFolder
from d2crealsr.ingest.rows import frame_row, scene_row
from d2crealsr.jobs.threads import threads_restored, use_one_thread
from d2crealsr.store.files import remove_leftovers
from d2crealsr.store.listing import list_images
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.outputs import check_folder
from d2crealsr.store.pairs import formula_problem, is_plain
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d2crealsr.ingest.links import Link

__all__ = ["Ingested", "ingest"]


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
    notes : tuple of str
    """

    frames: tuple[Frame, ...]
    links: tuple[Link, ...]
    plan: Plan
    rows: tuple[dict[str, Any], ...]
    total: int
    notes: tuple[str, ...]


def ingest(
    card: Path,
    out: Path,
    *,
    files: FilesAs = "copy",
    dry_run: bool = False,
    keep_private: bool = False,
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
    paths, notes = _paths(card, out)
    check_folder(out)
    with contextlib.nullcontext() if dry_run else lock_folder(out):
        folder = RawFolder.open(out)
        frames = read_frames(paths, jobs=jobs, on_frame=on_frame)
        distinct, copies = _distinct(frames)
        seen = {frame.sha256 for frame in distinct}
        kept = {sha256: path for sha256, path in folder.files_in_use().items() if sha256 not in seen and path.is_file()}
        again = read_frames(kept.values(), jobs=jobs, on_frame=on_frame)
        distinct += [_renamed(frame, sha256) for frame, sha256 in zip(again, kept, strict=True)]
        links = _search(distinct, on_search)
        sizes = [Size(0, 0) if frame.sketch is None else frame.sketch.size for frame in distinct]
        plan = planned(distinct, cards_of(links, sizes), standing=folder.standing())
        rows = _rows(plan, distinct, copies, card, folder, keep_private=keep_private)
        scenes = [scene_row(scene, distinct, _file_of(scene, distinct, folder), keep_private) for scene in plan.scenes]
        if not dry_run:
            remove_leftovers(out / "hr", out / "lr")
            folder.write_tables(scenes, rows)
            placing = Placing(files, keep_private)
            for row in rows:
                if row["file"]:
                    placing.place(card / row["frame"], out / row["file"], row["sha256"])
            notes += placing.notes
    total = len(folder.manifest) + (len(scenes) if dry_run else 0)
    return Ingested(
        frames=tuple(distinct), links=tuple(links), plan=plan, rows=tuple(rows), total=total, notes=tuple(notes)
    )


def _paths(card: Path, out: Path) -> tuple[list[Path], list[str]]:
    """The frames of a memory card, and notes about other files."""
    if not card.is_dir():
        raise LayoutError(f"{card}: is no folder; give the folder with the frames, such as DCIM")
    inner, outer = Path(os.path.realpath(out)), Path(os.path.realpath(card))
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise LayoutError(f"{out}: lies within {card} or around it; give another folder with --out")
    listing = list_images(card)
    if not listing.images:
        raise LayoutError("; ".join((f"{card}: no frames found", *listing.notes)))
    for path in listing.images:
        name = path.relative_to(card).as_posix()
        if not is_plain(name) or formula_problem(name):
            raise LayoutError(f"{card}: {name[:80]!r} cannot be written into a table; rename it")
    return list(listing.images), list(listing.notes)


def _distinct(frames: Sequence[Frame]) -> tuple[list[Frame], dict[str, list[Frame]]]:
    """The frames with each content once, and further files of the same content by its hash."""
    first: dict[str, Frame] = {}
    copies: dict[str, list[Frame]] = {}
    for frame in frames:
        if first.setdefault(frame.sha256, frame) is not frame:
            copies.setdefault(frame.sha256, []).append(frame)
    return list(first.values()), copies


def _renamed(frame: Frame, sha256: str) -> Frame:
    """A frame of the folder itself, under the hash of the file from which it was made."""
    return Frame(path=frame.path, sha256=sha256, exif=frame.exif, sketch=frame.sketch, problem=frame.problem)


def _search(frames: Sequence[Frame], on_search: Callable[[int, int], None]) -> list[Link]:
    """Links between the frames that can be read, by their numbers among all."""
    readable = [number for number, frame in enumerate(frames) if frame.sketch is not None]
    sketches = [sketch for frame in frames if (sketch := frame.sketch) is not None]
    with threads_restored():
        use_one_thread()
        found = [
            link._replace(inner=readable[link.inner], outer=readable[link.outer])
            for link in find_links(sketches, on_search)
        ]
    return supported(found, frames)


def _file_of(scene: Scene, frames: Sequence[Frame], folder: RawFolder) -> tuple[str, str]:
    """Paths of a scene's HR and LR within the folder."""
    there = {row["sha256"]: row["file"] for row in folder.frames if row["file"]}
    hr, lr = frames[scene.hr], frames[scene.lr]
    return (
        there.get(hr.sha256) or f"hr/{scene.group}{hr.path.suffix.lower()}",
        there.get(lr.sha256) or f"lr/{scene.scene}{lr.path.suffix.lower()}",
    )


def _rows(
    plan: Plan,
    frames: Sequence[Frame],
    copies: dict[str, list[Frame]],
    card: Path,
    folder: RawFolder,
    *,
    keep_private: bool,
) -> list[dict[str, Any]]:
    """Rows of ``frames.csv``; those of frames that only the folder has any more stay as they are."""
    named = {side: {} for side in ("hr", "lr")}  # type: dict[str, dict[int, str]]
    for scene in plan.scenes:
        named["hr"][scene.hr], named["lr"][scene.lr] = _file_of(scene, frames, folder)
    there = {row["sha256"]: row["file"] for row in folder.frames if row["file"]}
    rows = []
    for entry in plan.entries:
        frame = frames[entry.frame]
        if not frame.path.is_relative_to(card):
            continue
        file = there.get(frame.sha256, "") or named.get(entry.role, {}).get(entry.frame, "")
        rows.append(frame_row(entry, frame, card, file, keep_private))
        for copy in copies.get(frame.sha256, ()):
            note = f"the same file as {frame.path.relative_to(card).as_posix()}"
            rows.append(frame_row(Entry(frame=entry.frame, role="copy", note=note), copy, card, "", keep_private))
    return rows
