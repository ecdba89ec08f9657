"""Watch a folder into which a camera's frames come one by one, and say of each what it is while it can be shot again.

The folder is listed every second, which works on any disk, also over a network, where systems report no changes. A file
is read when its size and time have stood still from one look to the next and it can be decoded to its end.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from d2crealsr import opencv
from d2crealsr.errors import MachineError
from d2crealsr.ingest.events import (
    REMIND_SECONDS,
    Begun,
    Event,
    Judged,
    Left,
    Lonely,
    Noted,
    Seen,
    Waiting,
)
from d2crealsr.ingest.frames import Frame, read_frame
from d2crealsr.ingest.likely import likely_side
from d2crealsr.ingest.listed import Listed, frames_in, notes_on_names
from d2crealsr.ingest.verdicts import verdict_on
from d2crealsr.jobs.threads import threads_restored, use_one_thread
from d2crealsr.store.captures.preference import Preference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from d2crealsr.ingest.measured import Pair
    from d2crealsr.ingest.placing import Placing
    from d2crealsr.ingest.plan import Plan, Scene
    from d2crealsr.ingest.session import Session

__all__ = ["Watch"]

LOOK_SECONDS = 1.0
"""Time between two looks at the folder."""

_PATIENCE_SECONDS = 15.0
"""Time for which a file that cannot be decoded must stand still before it is reported."""

_GLARE_SHARE = 0.5
"""Share of saturated pixels from which on a block belongs to a glare."""


@dataclass
class Watch:
    """A session that goes on until it is told to stop.

    Attributes
    ----------
    session : Session
    placing : Placing
    stopped : callable
        Whether to end; asked between any two steps.
    prefer : {"jpeg", "raw"}
        Which file of a shot is taken that has both.
    look_seconds : float
        Time between two looks at the folder.
    """

    session: Session
    placing: Placing
    stopped: Callable[[], bool]
    prefer: Preference = "jpeg"
    look_seconds: float = LOOK_SECONDS
    _looks: dict[Path, tuple[int, int]] = field(default_factory=dict)
    _since: dict[Path, float] = field(default_factory=dict)
    _read: dict[Path, tuple[int, int]] = field(default_factory=dict)
    _named: set[str] = field(default_factory=set)
    _tried: set[Pair] = field(default_factory=set)
    _list: Listed = field(default_factory=lambda: Listed([], {}, {}))
    _said: set[Path | str] = field(default_factory=set)
    _waiting: tuple[Waiting, float] | None = None

    def events(self) -> Iterator[Event]:
        """What happens, as it happens; the last event is :class:`Left`. All complete scenes are then written."""
        with threads_restored():
            use_one_thread()
            yield self._begin()
            while not self.stopped():
                busy = False
                settled = self._settled()
                yield from self._left_out()
                for path in settled:
                    yield from self._new(path)
                    busy = busy or self._read.get(path) == self._looks[path]
                    if self.stopped():
                        break
                if not busy and (judged := self._judge_next()) is not None:
                    busy = True
                    yield judged
                if not busy:
                    yield from self._reminder()
                    self._wait()
        yield from self._finish()

    def _begin(self) -> Begun:
        """Take in what an earlier run measured, so that nothing is done or said twice."""
        known = []
        for path in self._listed():
            look = _look(path)
            if look and (frame := self.session.known(path)):
                known.append(frame)
                self._read[path] = look
        self.session.add([*known, *self.session.gone(known)])
        return Begun(len(known), len(self.session.folder.scenes()))

    def _wait(self) -> None:
        """Wait until the next look, and end early when told to."""
        until = time.monotonic() + self.look_seconds
        while not self.stopped() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    def _settled(self) -> list[Path]:
        """New files that have stood still since the last look, in the order of their times."""
        listed = self._listed()
        self._forget_all_but(listed)
        looks = {path: look for path in listed if (look := _look(path)) is not None}
        now = time.monotonic()
        for path, look in looks.items():
            if self._looks.get(path) != look:
                self._since[path] = now
        settled = [
            path
            for path, look in looks.items()
            if self._looks.get(path) == look
            and self._read.get(path) != look
            and now - self._since[path] >= 0.9 * self.look_seconds
        ]
        self._looks = looks
        return sorted(settled, key=lambda path: (looks[path][1], path))

    def _listed(self) -> list[Path]:
        """The frames of the card; none if it was pulled out, even if that happened just now."""
        card, self._list = self.session.card, Listed([], {}, {})
        try:
            if card.is_dir():
                self._list = frames_in(card, self.prefer)
        except (MachineError, OSError):
            if not self._read:
                raise
        return self._list.frames

    def _forget_all_but(self, listed: list[Path]) -> None:
        """Forget files that were deleted, or are left out since another file of their shot has come.

        Nothing is forgotten if no file is left, because the card was pulled out then.
        """
        lost = self._read.keys() - set(listed)
        if not listed or not lost:
            return
        for path in lost:
            del self._read[path]
        self.session.forget(lost)
        if self._waiting is not None and self._waiting[0].frame.path in lost:
            self._waiting = None

    def _left_out(self) -> Iterator[Noted]:
        """Names that no table can hold, and once for each other kind of file that some are left out."""
        new = {path: why for path, why in self._list.unnamed.items() if path not in self._said}
        kinds = {kind: text for kind, text in self._list.notes.items() if kind not in self._said}
        self._said.update(new, kinds)
        yield from map(Noted, (*notes_on_names(new, self.session.card), *kinds.values()))

    def _reminder(self) -> Iterator[Waiting]:
        """The last frame once more, if it has been alone for a while."""
        if self._waiting is not None and time.monotonic() - self._waiting[1] >= REMIND_SECONDS:
            yield self._waiting[0]
            self._waiting = None

    def _new(self, path: Path) -> Iterator[Event]:
        """Take in a file that has come, or that has changed since it was read."""
        look = self._looks[path]
        frame = read_frame(path, self.session.measured)
        if frame.sketch is None and time.monotonic() - self._since[path] < _PATIENCE_SECONDS:
            return  # perhaps it is still being written
        if _look(path) != look:
            return
        if path in self._read:
            self.session.forget([path])
        self._read[path] = look
        is_copy = any(other.sha256 == frame.sha256 and self.session.on_card(other) for other in self.session.frames)
        self.session.add([frame])
        plan = self.session.plan()
        number = next(n for n, other in enumerate(self.session.frames) if other.sha256 == frame.sha256)
        entry = next(entry for entry in plan.entries if entry.frame == number)
        if is_copy:
            entry = replace(entry, role="copy", note=f"the same file as {self.session.frames[number].path.name}")
        likely = self._likely(plan, frame)
        if entry.role not in ("copy", "unreadable"):  # neither says that another card is being shot
            self._waiting = (Waiting(frame, likely), time.monotonic()) if entry.role == "nothing" else None
            yield from self._left_behind(plan, number)
        yield Seen(frame, entry, likely, *_light(frame))

    def _left_behind(self, plan: Plan, number: int) -> Iterator[Lonely]:
        """Frames that still lack their other half when a frame of another card comes; each is named once."""
        ends = [(link.inner, link.outer) for link in self.session.numbered_links()]
        of_one_card = {number, *(end for pair in ends if number in pair for end in pair)}
        for entry in plan.entries:
            frame = self.session.frames[entry.frame]
            if entry.role == "nothing" and entry.frame not in of_one_card and frame.sha256 not in self._named:
                self._named.add(frame.sha256)
                yield Lonely(frame, self._likely(plan, frame))

    def _likely(self, plan: Plan, frame: Frame) -> str:
        return likely_side(frame, plan.entries, self.session.frames)

    def _judge_next(self) -> Judged | None:
        """The verdict on a scene that has none yet; a good scene is written at once."""
        verdicts = self.session.measured.verdicts
        for scene in self.session.plan().scenes:
            pair = self.session.pair_of(scene)
            if pair in verdicts or pair in self._tried or not all(map(self._is_as_read, self._paths(scene))):
                continue
            self._tried.add(pair)
            judged = self._judged(scene, verdict_on(*self._paths(scene), scene.scale))
            if not any(reason == "unreadable" for reason, *_ in judged.verdict["problems"]):
                verdicts[pair] = dict(judged.verdict)
                self.session.save()
            if not judged.verdict["problems"]:
                self._write()
            return judged
        return None

    def _is_as_read(self, path: Path) -> bool:
        """Whether a file is there as it was read. Those of the raw folder do not change."""
        return path.is_file() and self._read.get(path) in (None, _look(path))

    def _paths(self, scene: Scene) -> tuple[Path, Path]:
        return self.session.frames[scene.hr].path, self.session.frames[scene.lr].path

    def _judged(self, scene: Scene, verdict: Mapping[str, Any]) -> Judged:
        return Judged(scene.scene, self.session.frames[scene.hr], self.session.frames[scene.lr], verdict)

    def _write(self, *, everything: bool = False) -> None:
        """Write the scenes that were accepted, or all."""
        plan, verdicts = self.session.plan(), self.session.measured.verdicts
        if not everything:
            good = {pair for pair, verdict in verdicts.items() if not verdict["problems"]}
            plan.scenes[:] = [scene for scene in plan.scenes if self.session.pair_of(scene) in good]
        self.session.write(plan, self.placing)

    def _finish(self) -> Iterator[Noted | Left]:
        self._forget_all_but(self._listed())
        plan, verdicts = self.session.plan(), self.session.measured.verdicts
        self._write(everything=True)
        yield from map(Noted, (*self.session.notes, *self.placing.notes))
        pairs = {pair: verdict for pair, verdict in verdicts.items() if verdict["problems"]}
        scenes = self.session.folder.scenes()
        frame_of = {frame.sha256: frame for frame in self.session.frames}
        bad = [
            Judged(name, frame_of[pair[0]], frame_of[pair[1]], pairs[pair])
            for name, pair in scenes.items()
            if pair in pairs and frame_of.keys() >= set(pair)
        ]
        frames = [(entry, self.session.frames[entry.frame]) for entry in plan.entries]
        lonely = [Lonely(frame, self._likely(plan, frame)) for entry, frame in frames if entry.role == "nothing"]
        unreadable = [frame for entry, frame in frames if entry.role == "unreadable"]
        doubtful = tuple((frame, entry.note) for entry, frame in frames if entry.role == "doubtful")
        yield Left(bad, lonely, unreadable, len(scenes), doubtful, self.session.folder.scales)


def _look(path: Path) -> tuple[int, int] | None:
    """Size and time of a file; None if it is gone or empty."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns) if found.st_size else None


def _light(frame: Frame) -> tuple[float, float]:
    """Share of the frame that is saturated, and the share of the largest connected saturated place."""
    if frame.sketch is None:
        return 0.0, 0.0
    clipped = frame.sketch.clipped
    _, areas = opencv.connected(clipped >= _GLARE_SHARE)
    return float(clipped.mean()), float(areas.max(initial=0)) / clipped.size
