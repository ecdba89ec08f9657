"""What is known of a memory card and of the raw folder that is made of it: frames, the links between them, the plan."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from d2crealsr.ingest.choice import supported
from d2crealsr.ingest.frames import Frame, read_frame, read_frames
from d2crealsr.ingest.grouping import cards_of
from d2crealsr.ingest.links import Link, link_between
from d2crealsr.ingest.measured import Measured, Pair
from d2crealsr.ingest.placing import SourceError
from d2crealsr.ingest.plan import Entry, Plan, Scene, Standing, planned
from d2crealsr.ingest.raw_folder import RawFolder, printed_cards
from d2crealsr.ingest.rows import frame_row, scene_row
from d2crealsr.jobs.threads import threads_restored, use_one_thread
from d2crealsr.store.files import remove_leftovers, sha256_of
from d2crealsr.store.listing import few_of
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from d2crealsr.ingest.placing import Placing

__all__ = ["Session"]


class Session:
    """A memory card, a raw folder, and all that is known of both.

    Parameters
    ----------
    card, out : Path
        The folder of frames, which may have the ``cards.csv`` of the printed cards, and the raw folder. Both without
        links and ``..``, so that the path of a frame says in which of them it lies.
    keep_private : bool
        Whether the tables have serial numbers and places.
    keeps : bool
        Whether measurements are stored for later runs.
    """

    def __init__(self, card: Path, out: Path, *, keep_private: bool = False, keeps: bool = True) -> None:
        self.card, self.keep_private = card, keep_private
        self.folder = RawFolder.open(out)
        self.measured = Measured.open(out, keeps=keeps)
        self.frames: list[Frame] = []
        self.copies: dict[str, list[Frame]] = {}
        self.links: dict[Pair, Link] = {}
        self._missed: list[Path] = []
        self._names: dict[str, tuple[str, str]] = {}
        self._printed = printed_cards(card)

    def read(self, paths: Sequence[Path], *, jobs: int, on_frame: Callable[[int, int], None]) -> list[Frame]:
        """Frames of the card, and those that only the raw folder has any more."""
        frames = read_frames(paths, self.measured, jobs=jobs, on_frame=on_frame)
        return [*frames, *self.gone(frames)]

    def gone(self, frames: Iterable[Frame]) -> list[Frame]:
        """Frames of the raw folder that are not among these, with the hashes that they had on the card."""
        seen = {frame.sha256 for frame in frames}
        left = {sha256: self.folder.path / file for sha256, file in self.folder.files.items() if sha256 not in seen}
        return [read_frame(path, self.measured, sha256=sha256) for sha256, path in left.items() if path.is_file()]

    def known(self, path: Path) -> Frame | None:
        """The frame of a file that was measured and compared by an earlier run; None for others."""
        with contextlib.suppress(OSError):
            if sha256_of(path) in self.measured.compared:
                return read_frame(path, self.measured)
        return None

    def add(self, frames: Iterable[Frame], on_search: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Add frames, each content once, and search them and all others in each other.

        A file of the card takes the place of the copy in the raw folder.
        """
        todo = []
        for frame in frames:
            known = next((other for other in self.frames if other.sha256 == frame.sha256), None)
            if known is None:
                self.frames.append(frame)
                todo.append(frame)
            elif self.on_card(frame) and not self.on_card(known):
                self.frames[self.frames.index(known)] = frame
            elif known.path != frame.path:
                self.copies.setdefault(frame.sha256, []).append(frame)
        done = {frame.sha256 for frame in self.frames} - {frame.sha256 for frame in todo}
        with threads_restored():
            use_one_thread()
            for number, frame in enumerate(todo, start=1):
                done.add(frame.sha256)
                for other in self.frames:
                    if other.sha256 in done and other is not frame:
                        self._search(frame, other)
                        self._search(other, frame)
                on_search(number, len(todo))
        self.save()

    def save(self) -> None:
        """Store what was measured, for later runs."""
        self.measured.save(frozenset(frame.sha256 for frame in self.frames), self.links)

    def forget(self, paths: Collection[Path]) -> None:
        """Take away files that have changed or are gone. Frames stay that have a copy on the card or in the folder."""
        self.copies = {
            sha256: [copy for copy in copies if copy.path not in paths] for sha256, copies in self.copies.items()
        }
        forgotten = [frame for frame in self.frames if frame.path in paths]
        self.frames = [frame for frame in self.frames if frame.path not in paths]
        self.add([self.copies[frame.sha256].pop(0) for frame in forgotten if self.copies.get(frame.sha256)])
        self.add(self.gone(self.frames))
        left = {frame.sha256 for frame in self.frames}
        self.links = {pair: link for pair, link in self.links.items() if left.issuperset(pair)}

    def on_card(self, frame: Frame) -> bool:
        """Whether the file of a frame lies in the card, and not in the raw folder."""
        return frame.path.is_relative_to(self.card)

    def _search(self, inner: Frame, outer: Frame) -> None:
        """Search a frame in another one, unless that was done before."""
        pair = inner.sha256, outer.sha256
        link = self.measured.links.get(pair)
        if link is None and not self.measured.compared.issuperset(pair) and inner.sketch and outer.sketch:
            link = link_between(inner.sketch, outer.sketch)
        if link is not None:
            self.links[pair] = link

    def numbered_links(self) -> list[Link]:
        """The links, with the numbers of their frames."""
        numbers = {frame.sha256: number for number, frame in enumerate(self.frames)}
        return [
            link._replace(inner=numbers[inner], outer=numbers[outer])
            for (inner, outer), link in sorted(self.links.items(), key=lambda item: [numbers[end] for end in item[0]])
        ]

    def plan(self) -> Plan:
        """What becomes of every frame. Scenes that stand as they are count as none of the plan's."""
        sizes = [Size(0, 0) if frame.sketch is None else frame.sketch.size for frame in self.frames]
        cards = cards_of(supported(self.numbered_links(), self.frames), sizes)
        accepted, rejected = (self.measured.pairs(accepted=good) for good in (True, False))
        plan = planned(self.frames, cards, standing=self._with_names(self.folder.standing(accepted, rejected)))
        for scene in plan.scenes:
            self._names |= dict.fromkeys(self.pair_of(scene), (scene.take, scene.group))
        stands = self.folder.scenes()
        plan.scenes[:] = [scene for scene in plan.scenes if stands.get(scene.scene) != self.pair_of(scene)]
        return plan

    def _with_names(self, standing: Standing) -> Standing:
        """What stands, with the names that earlier plans of this session gave, so that a card keeps its name."""
        takes = {sha256: take for sha256, (take, _) in self._names.items()}
        groups = dict(self._names.values())
        return replace(
            standing,
            takes=takes | dict(standing.takes),
            groups=groups | dict(standing.groups),
            taken=standing.taken | frozenset(groups.values()),
        )

    def pair_of(self, scene: Scene) -> Pair:
        """Hashes of a scene's HR and LR."""
        return self.frames[scene.hr].sha256, self.frames[scene.lr].sha256

    def rows(self, plan: Plan) -> list[dict[str, Any]]:
        """Rows of ``frames.csv``; those of frames that only the folder has any more stay as they are."""
        named: dict[tuple[str, int], str] = {}
        for scene in plan.scenes:
            named["hr", scene.hr], named["lr", scene.lr] = self._files_of(scene)
        free = {sha256: file for sha256, file in self.folder.files.items() if file not in named.values()}
        used = self._used_without(plan)
        rows = []
        for entry in plan.entries:
            frame = self.frames[entry.frame]
            if not self.on_card(frame):
                continue
            file = free.get(frame.sha256, "")
            file = named.get((entry.role, entry.frame), file if entry.role in ("hr", "lr") or file in used else "")
            rows.append(frame_row(entry, frame, self.card, file, self.keep_private))
            for copy in self.copies.get(frame.sha256, ()):
                note = f"the same file as {frame.path.relative_to(self.card).as_posix()}"
                other = Entry(frame=entry.frame, role="copy", note=note)
                rows.append(frame_row(other, copy, self.card, "", self.keep_private))
        return rows

    def write(self, plan: Plan, placing: Placing) -> list[dict[str, Any]]:
        """Write the tables, then the files of all scenes; returns the rows of ``frames.csv``.

        Scenes with a frame whose file is gone or has changed are taken out of the plan unless the folder has a copy.
        """
        self._missed = self._leave_out(plan)
        rows, out, there = self.rows(plan), self.folder.path, self.folder.files
        scenes = self.scene_rows(plan)
        remove_leftovers(out / "hr", out / "lr")
        self.folder.write_tables(scenes, rows)
        for row in rows:
            if row["file"]:
                source = self.card / row["frame"]
                try:
                    placing.place(source, out / row["file"], row["sha256"])
                except SourceError:
                    if there.get(row["sha256"]) != row["file"]:  # else it was copied earlier
                        self._missed.append(source)
        return rows

    @property
    def notes(self) -> list[str]:
        """A sentence on frames whose scenes could not be written."""
        said = (
            "gone or changed, so that scenes could not be written; put the files back, and run the same command again"
        )
        return [f"{few_of(self._missed, self.card, 'frame')} {said}"] if self._missed else []

    def _leave_out(self, plan: Plan) -> list[Path]:
        """Take the scenes out of a plan that cannot be written; returns the files that they lack."""
        there = self.folder.files
        frames = {number: self.frames[number] for scene in plan.scenes for number in (scene.hr, scene.lr)}
        missed = {
            number: frame.path
            for number, frame in frames.items()
            if frame.sha256 not in there and not _is_unchanged(frame)
        }
        plan.scenes[:] = [scene for scene in plan.scenes if not missed.keys() & {scene.hr, scene.lr}]
        return list(missed.values())

    def _used_without(self, plan: Plan) -> set[str]:
        """Files of the scenes of the folder that a plan does not replace."""
        new = {scene.scene for scene in plan.scenes}
        return {row[side] for row in self.folder.manifest if row["scene"] not in new for side in ("hr", "lr")}

    def scene_rows(self, plan: Plan) -> list[dict[str, Any]]:
        """Rows of the new scenes in ``manifest.csv``."""
        known, private, printed = self.frames, self.keep_private, self._printed
        return [scene_row(scene, known, self._files_of(scene), private, printed) for scene in plan.scenes]

    def _files_of(self, scene: Scene) -> tuple[str, str]:
        """Paths of a scene's HR and LR within the folder."""
        there = self.folder.files
        hr, lr = self.frames[scene.hr], self.frames[scene.lr]
        return (
            there.get(hr.sha256) or f"hr/{scene.take}{hr.path.suffix.lower()}",
            there.get(lr.sha256) or f"lr/{scene.scene}{lr.path.suffix.lower()}",
        )


def _is_unchanged(frame: Frame) -> bool:
    """Whether the file of a frame is there, with the content that was measured."""
    with contextlib.suppress(OSError):
        return sha256_of(frame.path) == frame.sha256
    return False
