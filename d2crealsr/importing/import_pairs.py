"""Import existing pairs into a pairs folder: copy their images, measure them, and write their rows.

Imported rows have no estimate (ADR 16): ``accepted_by`` is ``import``, the crop is the whole LR image, and the
statistics are those that `audit` measures. PNG files are copied as they are; other images are written as PNG, with
their colour profile.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from d2crealsr.audit.folder import AuditResult, audit
from d2crealsr.audit.pair import MEASURED
from d2crealsr.dataset.pairs_folder import open_pairs
from d2crealsr.errors import ImageError, LayoutError
from d2crealsr.importing.incoming import IncomingPair, find_incoming
from d2crealsr.store.columns import MANIFEST
from d2crealsr.store.decisions import first_names
from d2crealsr.store.files import sha256_of, write_bytes
from d2crealsr.store.images import bytes_of, decode_image, png_like
from d2crealsr.store.layouts import box_reduced, whole_part
from d2crealsr.store.ledger import Ledger
from d2crealsr.store.locks import lock_folder
from d2crealsr.store.outputs import same_file
from d2crealsr.store.pairs import is_plain, published_paths, write_dataset
from d2crealsr.ui.text import counted
from d2crealsr.ui.versions import version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from d2crealsr.audit.folder import Listener
    from d2crealsr.importing.incoming import Incoming

__all__ = ["ImportResult", "import_pairs"]

_PNG = b"\x89PNG\r\n\x1a\n"
_COLUMNS = [name for name in ("residual_shape", *MEASURED) if name in {column.name for column in MANIFEST}]
"""Statistics of an audit that mean the same in the manifest."""
_UNUSABLE = ("unreadable", "wrong_size")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportResult:
    """What an import did.

    Attributes
    ----------
    scale : int
    layout : str
        Name of the layout that was found.
    imported, unchanged : int
        Number of pairs that were written, and that an earlier import had written already. Pairs of which only the row
        was written again count as imported; a note names them.
    left_out : tuple of str
        One line for each pair that cannot be imported, and why.
    findings : tuple of str
        One line for each imported pair in which `audit` found something wrong.
    notes : tuple of str
        Sentences on other files.
    """

    scale: int
    layout: str
    imported: int
    unchanged: int
    left_out: tuple[str, ...]
    findings: tuple[str, ...]
    notes: tuple[str, ...]


class _Measured(NamedTuple):
    """Statistics and residual field of a pair by the columns of the tables, and what is wrong with it."""

    cells: Mapping[str, Any]
    residuals: list[dict[str, Any]]
    finding: str = ""
    unusable: str = ""


_NOT_MEASURED = _Measured({}, [])


def import_pairs(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    scale: int | None = None,
    measure: bool = True,
    jobs: int = 1,
    on_pair: Listener | None = None,
    on_image: Callable[[int, int], None] = lambda done, total: None,
) -> ImportResult:
    """Import the pairs of a folder of a known layout (:mod:`d2crealsr.store.layouts`) into a pairs folder.

    A second import of the same folder adds what is new and replaces what changed, in the images or in what the folder
    says of them: groups, and where the files lie. Splits stay, and a pair without one is given that of the folder.

    Parameters
    ----------
    folder, out : path
        The folder of pairs, in which nothing is changed, and the pairs folder, which is created if necessary.
    scale : int, optional
        Import only pairs of this scale. An LR image of HR's size is reduced by it.
    measure : bool
        Whether `audit` measures the pairs that are written.
    jobs : int
        Pairs that are measured at a time; 0 for one per core.
    on_pair, on_image : callable
        Progress of the audit, and of the copies: pairs done and in all.

    Raises
    ------
    UsageError
        When no pairs are found, or the pairs folder is none or has pairs of another scale or of another import.
    MachineError
        When the disk, the lock or the workers fail. The tables contain what is done.
    """
    folder, out = Path(os.path.realpath(folder)), Path(os.path.realpath(out))
    if same_file(folder, out) or folder in out.parents or out in folder.parents:
        raise LayoutError(f"{out}: lies in {folder}, or holds it; give another folder with --out")
    incoming = find_incoming(folder, scale)
    with lock_folder(out):
        ledger, old = open_pairs(out)
        source = Path(os.path.relpath(folder, out)).as_posix()
        _refuse_others(incoming, ledger, old, source, out)
        stand = {p.scene for p in incoming.pairs if _stands(ledger.row(p.scene), p, out, measure=measure)}
        todo = [pair for pair in incoming.pairs if pair.scene not in stand]
        measured: dict[str, _Measured] = {}
        if measure and todo:
            new = {pair.found.scene for pair in todo}
            measured = _by_scene(audit(folder, scale=scale, scenes=new, jobs=jobs, on_pair=on_pair))
        description = _description(old, incoming, source)
        if not old:
            write_dataset(out, description)
        work = _Import(folder=folder, out=out, scale=incoming.scale, ledger=ledger)
        left_out, findings = list(incoming.left_out), []
        try:
            standing = [pair for pair in incoming.pairs if pair.scene in stand]
            left_out += [f"{pair.scene}: {problem}" for pair in standing if (problem := work.renew(pair))]
            for done, pair in enumerate(todo, start=1):
                its = measured.get(pair.found.scene, _NOT_MEASURED)
                problem = its.unusable or work.take(pair, its)
                left_out += [f"{pair.scene}: {problem}"] if problem else []
                findings += [f"{pair.scene}: {its.finding}"] if its.finding and not problem else []
                on_image(done, len(todo))
        except BaseException:
            with contextlib.suppress(Exception):  # report the first failure, not this one
                ledger.merge()
            raise
        ledger.merge(description)
    return ImportResult(
        scale=incoming.scale,
        layout=incoming.layout,
        imported=work.taken + len(work.renewed),
        unchanged=work.unchanged,
        left_out=tuple(left_out),
        findings=tuple(findings),
        notes=(*incoming.notes, *work.notes(), *_of_splits(incoming, ledger, folder), *_of_reviewed(incoming, ledger)),
    )


def _of_reviewed(incoming: Incoming, ledger: Ledger) -> list[str]:
    """Sentences on the pairs that a reviewer of the source left out, and on those that an earlier import took."""
    gone = incoming.reviewed_out
    said = [f"left out by a reviewer: {counted(len(gone), 'accepted pair')} ({first_names(gone)})"] if gone else []
    if stay := [scene for scene in gone if ledger.row(scene) is not None]:
        said.append(
            f"{counted(len(stay), 'pair')} of them imported earlier ({first_names(stay)}); leave out by "
            "d2crealsr split --decisions"
        )
    return said


def _of_splits(incoming: Incoming, ledger: Ledger, folder: Path) -> list[str]:
    """A sentence on the pairs that the source puts in another split than the pairs folder."""
    splits = {scene: row["split"] for scene in ledger.scenes if (row := ledger.row(scene)) is not None}
    other = [pair for pair in incoming.pairs if pair.split and splits.get(pair.scene, "") not in ("", pair.split)]
    if not other:
        return []
    named = first_names([f"{pair.scene}: {splits[pair.scene]}, not {pair.split}" for pair in other])
    return [
        f"{counted(len(other), 'pair')} in another split than in {folder} ({named}); splits that pairs have stay, "
        "since a network may have been trained on them; to have those of the source, import into another folder (--out)"
    ]


def _refuse_others(incoming: Incoming, ledger: Ledger, old: Mapping[str, Any], source: str, out: Path) -> None:
    """Make sure that pairs of one scale and of one import come together, and that no row of `align` is replaced."""
    another = "give another folder with --out"
    rows = {scene: row for scene in ledger.scenes if (row := ledger.row(scene)) is not None}
    if rows and old.get("scale") != incoming.scale:
        raise LayoutError(f"{out}: its pairs are of scale {old.get('scale')}, got {incoming.scale}; {another}")
    imported = {scene for scene, row in rows.items() if row["accepted_by"] == "import"}
    if imported and old.get("imported_from") != source:
        raise LayoutError(f"{out}: holds pairs imported from {old.get('imported_from')!r:.80}; {another}")
    if taken := sorted({pair.scene for pair in incoming.pairs} & (rows.keys() - imported)):
        raise LayoutError(f"{out}: has scenes of these names that align made ({first_names(taken)}); {another}")


def _stands(row: Mapping[str, Any] | None, pair: IncomingPair, out: Path, *, measure: bool) -> bool:
    """Whether an earlier import wrote the pair from the same files, and measured it if that is wanted."""
    if row is None or (measure and row["zncc"] is None and not row["message"]):
        return False
    found = (pair.found.hr, pair.found.lr)
    try:
        for side, path, source in zip(("hr", "lr"), published_paths(pair.scene), found, strict=True):
            if sha256_of(source) != row[f"{side}_source_sha256"] or sha256_of(out / path) != row[f"{side}_sha256"]:
                return False
    except OSError:
        return False
    return (row["lr_width"], row["lr_height"]) == pair.lr_size


def _by_scene(result: AuditResult) -> dict[str, _Measured]:
    """What an audit measured, by the names that it gives to pairs."""
    import pandas as pd

    fields = dict(iter(result.fields.groupby("scene", sort=False)))
    found = {}
    for row in result.table.to_dict("records"):
        scene, verdict = row["scene"], row["verdict"]
        text = f"{verdict}: {row['reason']}"
        cells: dict[str, Any] = {name: None if pd.isna(row[name]) else row[name] for name in _COLUMNS}
        if verdict != "clean":
            cells["message"] = f"audit: {text}"
        blocks: list[Any] = fields[scene].drop(columns="zncc").to_dict("records") if scene in fields else []
        finding = text if verdict not in ("clean", "too_little_texture") else ""
        found[scene] = _Measured(cells, blocks, finding, text if verdict in _UNUSABLE else "")
    return found


def _description(old: Mapping[str, Any], incoming: Incoming, source: str) -> dict[str, Any]:
    """The entries of ``dataset.json``. Those that `align` wrote stay; terms that are empty are those of the source."""
    terms = {name: old.get(name) or incoming.terms.get(name, "") for name in ("licence", "citation")}
    new = {"scale": incoming.scale, "tool": "d2crealsr", "tool_version": version("d2crealsr")}
    return {**new, **old, **terms, "imported_from": source}


@dataclass(kw_only=True)
class _Import:
    """Publish pairs in a pairs folder, which this process has locked.

    ``taken`` and ``unchanged`` are numbers of pairs; ``renewed`` are, by scene, the columns that changed where the
    images did not.
    """

    folder: Path
    out: Path
    scale: int
    ledger: Ledger
    taken: int = 0
    unchanged: int = 0
    renewed: dict[str, set[str]] = field(default_factory=dict)

    def renew(self, pair: IncomingPair) -> str:
        """Bring the row of a pair whose images stand up to date. Returns as :meth:`take`."""
        said = self._said(pair)
        if isinstance(said, str):
            return said
        before = self.ledger.row(pair.scene) or {}
        self.ledger.update({"scene": pair.scene, **said})
        self.ledger.fill_split(pair.scene, pair.split)
        after = self.ledger.row(pair.scene) or {}
        if changed := {name for name in (*said, "split") if after.get(name) != before.get(name)}:
            self.renewed[pair.scene] = changed
        else:
            self.unchanged += 1
        return ""

    def notes(self) -> list[str]:
        """A sentence on the pairs of which only the row was written again, if there are any."""
        if not self.renewed:
            return []
        columns = ", ".join(sorted(set().union(*self.renewed.values())))
        pairs = counted(len(self.renewed), "pair")
        return [f"{pairs} with unchanged images: {columns} taken from the source ({first_names([*self.renewed])})"]

    def _said(self, pair: IncomingPair) -> dict[str, str] | str:
        """What the source says of a pair, as cells, or why its files cannot be named. A group that it does not state
        does not replace the present one."""
        sources = {f"{side}_source": getattr(pair.found, side) for side in ("hr", "lr")}
        said = {name: path.relative_to(self.folder).as_posix() for name, path in sources.items()}
        if bad := next((path for path in said.values() if not is_plain(path)), None):
            return f"{bad[:80]!r} contains control characters or is not UTF-8; rename it"
        row = self.ledger.row(pair.scene)
        return {**said, "group": pair.group if row is None or pair.states_group else row["group"]}

    def take(self, pair: IncomingPair, measured: _Measured) -> str:
        """Publish a pair and enter its rows. Returns why that is not possible; otherwise an empty text."""
        said = self._said(pair)
        if isinstance(said, str):
            return said
        try:
            cells = self._publish(pair)
        except ImageError as error:
            return str(error)
        row = {
            "scene": pair.scene,
            "status": "accepted",
            "accepted_by": "import",
            "split": pair.split,
            "scale": self.scale,
            **said,
            "lr_x": 0,
            "lr_y": 0,
            "lr_width": pair.lr_size[0],
            "lr_height": pair.lr_size[1],
            **cells,
            **measured.cells,
        }
        self.ledger.replace(row, residuals=[{**block, "scene": pair.scene} for block in measured.residuals])
        self.ledger.fill_split(pair.scene, pair.split)
        self.taken += 1
        return ""

    def _publish(self, pair: IncomingPair) -> dict[str, str]:
        """Write both images; returns their paths and hashes as cells."""
        cells: dict[str, str] = {}
        for side, path in zip(("hr", "lr"), published_paths(pair.scene), strict=True):
            source, place = getattr(pair.found, side), self.out / path
            data = bytes_of(source)
            image = decode_image(data, source.name)  # a damaged image is left out
            if pair.reduce > 1:
                part = whole_part(image, pair.reduce) if side == "hr" else box_reduced(image, pair.reduce)
                write_bytes(place, png_like(part, data, source.name))
            else:
                write_bytes(place, data if data.startswith(_PNG) else png_like(image, data, source.name))
            cells |= {
                f"{side}_path": path,
                f"{side}_sha256": sha256_of(place),
                f"{side}_source_sha256": hashlib.sha256(data).hexdigest(),
            }
        return cells
