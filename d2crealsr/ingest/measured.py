"""What earlier runs measured: sketches of frames, links between them, and verdicts on pairs, by the frames' hashes.

It stands in the folder ``.measured`` of the raw folder, and only saves time: whatever is missing, damaged or of another
version is measured again. It holds no personal data, and the folder may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from d2crealsr.ingest.links import Link
from d2crealsr.ingest.marked import Marks
from d2crealsr.ingest.sketches import Reduced, Sketch
from d2crealsr.store.files import read_bytes, read_json, write_bytes, write_text
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Measured", "Pair"]

FOLDER, _RECORD = ".measured", "links.json"
_VERSION = 3
"""Of the measurement. Raise it when sketches or links change their meaning."""

Pair = tuple[str, str]
"""Hashes of the frame that was searched for and of the one in which it was searched; or of HR and LR."""


@dataclass
class Measured:
    """The record of one raw folder.

    Attributes
    ----------
    folder : Path
        The raw folder.
    keeps : bool
        Whether what is measured now is stored.
    compared : frozenset of str
        Hashes of frames of which every two were searched in each other.
    links : dict
        What was found among them.
    verdicts : dict
        By pair: what :mod:`d2crealsr.ingest.verdicts` says.
    """

    folder: Path
    keeps: bool = True
    compared: frozenset[str] = frozenset()
    links: dict[Pair, Link] = field(default_factory=dict)
    verdicts: dict[Pair, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, *, keeps: bool) -> Measured:
        """What earlier runs left in a raw folder."""
        measured = cls(folder, keeps)
        content = read_json(folder / FOLDER / _RECORD, dict) or {}
        if content.get("version") != _VERSION:
            return measured
        with contextlib.suppress(KeyError, TypeError, ValueError):
            links = {(row["inner"], row["outer"]): _link(row) for row in content["links"]}
            verdicts = {(row["hr"], row["lr"]): dict(row["verdict"]) for row in content["verdicts"]}
            measured.compared, measured.links = frozenset(map(str, content["compared"])), links
            measured.verdicts = verdicts
        return measured

    def save(self, compared: frozenset[str], links: Mapping[Pair, Link]) -> None:
        """Store links and verdicts. ``compared`` are the frames of which every two were searched in each other."""
        if not compared <= self.compared:
            self.compared, self.links = compared, dict(links)
        if not self.keeps:
            return
        content = {
            "version": _VERSION,
            "compared": sorted(self.compared),
            "links": [_row(pair, link) for pair, link in sorted(self.links.items(), key=lambda item: item[0])],
            "verdicts": [{"hr": hr, "lr": lr, "verdict": said} for (hr, lr), said in sorted(self.verdicts.items())],
        }
        write_text(self.folder / FOLDER / _RECORD, json.dumps(content, indent=0, sort_keys=True) + "\n")

    def pairs(self, *, accepted: bool) -> frozenset[Pair]:
        """Pairs of HR and LR that were accepted or rejected."""
        return frozenset(pair for pair, verdict in self.verdicts.items() if bool(verdict.get("problems")) != accepted)

    def sketch(self, sha256: str) -> Sketch | None:
        """The sketch of a frame; None if it has to be made."""
        try:
            with np.load(io.BytesIO(read_bytes(self._file(sha256))), allow_pickle=False) as arrays:
                return _sketch(arrays)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def keep_sketch(self, sha256: str, sketch: Sketch) -> None:
        """Store the sketch of a frame."""
        if self.keeps:
            stored = io.BytesIO()
            np.savez_compressed(stored, **_arrays(sketch))
            write_bytes(self._file(sha256), stored.getvalue())

    def _file(self, sha256: str) -> Path:
        return self.folder / FOLDER / f"{sha256}-{_VERSION}.npz"


def _arrays(sketch: Sketch) -> dict[str, Any]:
    arrays: dict[str, Any] = {
        "size": sketch.size,
        "detail": sketch.detail,
        "clipped": sketch.clipped,
        "fineness": sketch.fineness,
        "mark": sketch.marks.number,
        "mark_corners": sketch.marks.corners,
    }
    for number, part in enumerate((sketch.sought, *sketch.searched)):
        arrays |= {f"{name}{number}": value for name, value in part._asdict().items()}
    return arrays


def _sketch(arrays: Any) -> Sketch:
    parts = [Reduced(*(arrays[f"{name}{number}"] for name in Reduced._fields)) for number in range(4)]
    width, height = (int(side) for side in arrays["size"])
    return Sketch(
        size=Size(width, height),
        sought=parts[0],
        searched=tuple(parts[1:]),
        detail=arrays["detail"],
        clipped=arrays["clipped"],
        fineness=float(arrays["fineness"]),
        marks=Marks(int(arrays["mark"]), arrays["mark_corners"]),
    )


def _row(pair: Pair, link: Link) -> dict[str, Any]:
    cells = link._asdict() | {"inner": pair[0], "outer": pair[1]}
    return cells | {"H_inner_to_outer": link.H_inner_to_outer.ravel().tolist()}


def _link(row: Mapping[str, Any]) -> Link:
    H = np.array(row["H_inner_to_outer"], dtype=np.float64).reshape(3, 3)
    return Link(0, 0, H, float(row["scale"]), int(row["inliers"]), float(row["likeness"]), bool(row["sure"]))
