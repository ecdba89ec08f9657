"""Write the accepted pairs of a pairs folder in a layout that other tools read, and keep that folder up to date.

Pictures are written first, then the lists that name them, and files that are no longer part of the export are removed
last. Whoever reads a list in between therefore finds every picture that it names.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from d2crealsr.dataset.exports.pair_export import OutgoingPair, Picture, Request
from d2crealsr.dataset.exports.record import ExportRecord, WrittenFile
from d2crealsr.errors import ImageError, LayoutError, MachineError, UsageError
from d2crealsr.imaging.crop import cut
from d2crealsr.store.changes import refuse_if_changed
from d2crealsr.store.description import DATASET_FILE, load_description
from d2crealsr.store.files import cannot_write, link_file, read_bytes, remove_leftovers, sha256_of, write_bytes
from d2crealsr.store.images import decode_image, png_like
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.pairs import has_table, read_manifest
from d2crealsr.store.tables import records
from d2crealsr.ui.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from d2crealsr.dataset.exports.pair_export import Arrangement, PairExport
    from d2crealsr.types import Image

__all__ = ["ExportResult", "HowWritten", "export_pairs"]

HowWritten: TypeAlias = Literal["copy", "hardlink", "symlink"]


@dataclass(kw_only=True)
class ExportResult:
    """What an export did.

    Attributes
    ----------
    splits : mapping
        Number of pairs by split; ``""`` stands for none.
    left_out : int
        Accepted pairs that a reviewer left out (``split --decisions``), which do not go out.
    written, unchanged, removed : int
        Number of files.
    """

    splits: Mapping[str, int]
    left_out: int
    written: int = 0
    unchanged: int = 0
    removed: int = 0


def export_pairs(
    pairs: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    layout: PairExport,
    files: HowWritten = "copy",
    sub_images: int | None = None,
    on_file: Callable[[int, int], None] = lambda done, total: None,
) -> ExportResult:
    """Write the accepted pairs of a pairs folder to another folder, in one of the layouts of ``PAIR_EXPORTS``.

    A second export adds what is new, replaces what changed, and removes what an earlier one wrote and what is no longer
    part of it. It touches no other file.

    Parameters
    ----------
    pairs, out : path
        The pairs folder, and a folder that is new, empty or of an earlier export.
    layout : PairExport
    files : {"copy", "hardlink", "symlink"}
        How whole pictures are written. Sub-images are always files of their own.
    sub_images : int, optional
        Side of the sub-images into which pairs are cut, in HR px.
    on_file : callable
        Called with the number of pictures done and in all.

    Raises
    ------
    UsageError
        When there is nothing to export, the layout cannot hold it, tables were changed, a published file is not the one
        that the manifest names, or the folder has files that no export wrote.
    MachineError
        When the disk, the lock or a link fails.
    """
    pairs, out = Path(os.path.realpath(pairs)), Path(os.path.realpath(out))
    if sub_images is not None and not layout.cuts:
        raise UsageError(f"--sub-images: layout {layout.name} has none; leave it out, or choose another layout")
    if out == pairs or pairs in out.parents:
        raise LayoutError(f"{out}: lies in the pairs folder; give another folder with --out")
    going, left_out, scenes = _accepted(pairs)
    description = load_description(pairs) if (pairs / DATASET_FILE).exists() else {}
    record = ExportRecord.claim(out, layout.name, pairs)
    request = Request(out=out, description=description, scenes=scenes, sub_images=sub_images)
    made = _arranged(layout, going, request)
    record.refuse_others([*made.pictures, *made.texts])
    with lock_folder(out):
        record = ExportRecord.claim(out, layout.name, pairs)  # another export may have ended in the meantime
        record.refuse_others([*made.pictures, *made.texts])
        remove_leftovers(out, *{(out / path).parent for path in record.files})
        result = ExportResult(splits=Counter(pair.split for pair in going), left_out=left_out)
        _Publishing(record=record, files=files, result=result).run(made, on_file)
    return result


def _accepted(pairs: Path) -> tuple[list[OutgoingPair], int, int]:
    """The pairs that go out, the number of those that a reviewer left out, and of all scenes."""
    if not has_table(pairs):
        raise LayoutError(f"{pairs}: no manifest.csv; give a pairs folder, made by d2crealsr align")
    refuse_if_changed(pairs)
    rows = records(read_manifest(pairs))
    accepted = [row for row in rows if row["status"] == "accepted"]
    going = [row for row in accepted if not row.get("left_out_of")]
    if not going:
        of = f"of {counted(len(rows), 'scene')} in the manifest none is accepted"
        raise LayoutError(f"{pairs}: {of}; there is nothing to export")
    outgoing = [
        OutgoingPair(
            scene=row["scene"],
            split=row["split"],
            scale=int(row["scale"]),
            hr=Picture(source=pairs / row["hr_path"], sha256=row["hr_sha256"]),
            lr=Picture(source=pairs / row["lr_path"], sha256=row["lr_sha256"]),
            row=row,
        )
        for row in going
    ]
    return outgoing, len(accepted) - len(going), len(rows)


def _arranged(layout: PairExport, going: list[OutgoingPair], request: Request) -> Arrangement:
    try:
        return layout.arrange(going, request)
    except ImageError as error:  # a published file whose header cannot be read
        raise LayoutError(f"{error}; d2crealsr verify looks for such files") from error


@dataclass(kw_only=True)
class _Publishing:
    """Write an arrangement into the folder of a record, which this process has locked."""

    record: ExportRecord
    files: HowWritten
    result: ExportResult
    _decoded: Callable[[Path, str], tuple[Image, bytes]] = field(
        default_factory=lambda: functools.lru_cache(2)(_decode)
    )

    def run(self, made: Arrangement, on_file: Callable[[int, int], None]) -> None:
        known = self.record.files
        wanted = [*made.pictures, *made.texts]
        stale = known.keys() - set(wanted)
        self.record.files = {path: known.get(path, WrittenFile()) for path in [*wanted, *stale]}
        self.record.write()
        try:
            for done, (path, picture) in enumerate(made.pictures.items(), start=1):
                self._picture(path, picture)
                on_file(done, len(made.pictures))
            for path, text in made.texts.items():
                self._text(path, text)
            for path in sorted(stale):
                self._remove(path)
        finally:
            with contextlib.suppress(MachineError):
                self.record.write()

    def _picture(self, path: str, picture: Picture) -> None:
        how = "copy" if picture.box else self.files
        source = f"{how} {picture.sha256}" + (f" {','.join(map(str, picture.box))}" if picture.box else "")
        place = self.record.folder / path
        if self._stands(path, source, picture, how):
            self.result.unchanged += 1
            return
        if picture.box is not None:
            image, data = self._decoded(picture.source, picture.sha256)
            try:
                write_bytes(place, png_like(cut(image, picture.box), data, picture.source.name))
            except ImageError as error:
                raise LayoutError(f"{picture.source.parent}: {error}") from error
            digest = sha256_of(place)
        elif how == "copy":
            data, digest = _checked(picture.source, picture.sha256)
            write_bytes(place, data)
        else:
            digest = _checked(picture.source, picture.sha256)[1]
            link_file(picture.source, place, symbolic=how == "symlink")
        self._wrote(path, source, digest)

    def _stands(self, path: str, source: str, picture: Picture, how: HowWritten) -> bool:
        """Whether a picture is as an earlier export wrote it from the same file."""
        known, place = self.record.files[path], self.record.folder / path
        if not known.sha256 or known.source != source:
            return False
        try:
            if how == "symlink":
                return place.is_symlink() and Path(os.readlink(place)) == picture.source and picture.source.is_file()  # noqa: PTH115
            if place.is_symlink() or (how == "hardlink") != place.samefile(picture.source):
                return False
            return how == "hardlink" or sha256_of(place) == known.sha256
        except OSError:
            return False

    def _text(self, path: str, text: str) -> None:
        place, data = self.record.folder / path, text.encode()
        with contextlib.suppress(OSError):
            if not place.is_symlink() and read_bytes(place) == data:
                self.record.files[path] = WrittenFile(source="text", sha256=hashlib.sha256(data).hexdigest())
                self.result.unchanged += 1
                return
        write_bytes(place, data)
        self._wrote(path, "text", hashlib.sha256(data).hexdigest())

    def _wrote(self, path: str, source: str, digest: str) -> None:
        self.record.files[path] = WrittenFile(source=source, sha256=digest)
        self.result.written += 1

    def _remove(self, path: str) -> None:
        """Remove a file of an earlier export, and the folders that become empty."""
        place = self.record.folder / path
        if self.record.link_above(path) is None:
            try:
                place.unlink(missing_ok=True)
            except OSError as error:
                raise cannot_write(place, error) from error
            for above in place.parents[: len(Path(path).parts) - 1]:
                with contextlib.suppress(OSError):
                    above.rmdir()
            self.result.removed += 1
        del self.record.files[path]


def _checked(path: Path, sha256: str) -> tuple[bytes, str]:
    """The content of a published file and its hash; raises LayoutError if it is not what the manifest says."""
    try:
        data = read_bytes(path)
    except OSError as error:
        raise LayoutError(f"{path}: cannot be read ({error.strerror}); run d2crealsr verify") from error
    digest = hashlib.sha256(data).hexdigest()
    if sha256 and digest != sha256:
        raise LayoutError(f"{path}: is not the file that manifest.csv names; run d2crealsr verify, then align again")
    return data, digest


def _decode(path: Path, sha256: str) -> tuple[Image, bytes]:
    """A published image, and its file."""
    data = _checked(path, sha256)[0]
    try:
        return decode_image(data, path.name), data
    except ImageError as error:
        raise LayoutError(f"{path}: {error}; run d2crealsr verify") from error
