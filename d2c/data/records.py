"""Records that a run keeps of its pairs: their names, their parts, and the hashes of their files."""

from __future__ import annotations

import csv
import hashlib
import io
from typing import TYPE_CHECKING, NamedTuple

from d2crealsr.store import files

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from d2c.data.layouts import Pair

__all__ = ["PairRecord", "fingerprint", "of_source", "pair_records", "read_records", "records_text"]


class PairRecord(NamedTuple):
    """The record of a pair: its part (``train`` or ``validation``), its key, and the SHA-256 of its files."""

    part: str
    name: str
    lr_sha256: str
    hr_sha256: str


def pair_records(chosen: Iterable[Pair], held_out: Iterable[Pair], digests: Mapping[Path, str]) -> list[PairRecord]:
    """Records of the pairs for training and validation. ``digests`` are the SHA-256 of the image files."""
    return [
        PairRecord(part, pair.key, digests[pair.lr], digests[pair.hr])
        for part, pairs in (("train", chosen), ("validation", held_out))
        for pair in pairs
    ]


def fingerprint(records: Iterable[PairRecord]) -> str:
    """SHA-256 of the keys, parts and contents of the pairs, which is everything that training uses of a dataset."""
    return hashlib.sha256("\n".join(" ".join(record) for record in records).encode()).hexdigest()


def of_source(records: Iterable[PairRecord], source: str, sources: Iterable[str]) -> list[PairRecord]:
    """The records of one of the sources of a run, by the names that the pairs have in it."""
    prefix = f"{source}:" if source else ""
    others = tuple(f"{other}:" for other in sources if other and not source)
    own = (r for r in records if r.name.startswith(prefix) and not (others and r.name.startswith(others)))
    return [record._replace(name=record.name.removeprefix(prefix)) for record in own]


def records_text(records: Iterable[PairRecord]) -> str:
    """The records as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(PairRecord._fields)
    writer.writerows(records)
    return text.getvalue()


def read_records(path: Path) -> list[PairRecord]:
    """The records in a file written by :func:`records_text`; empty if it is missing or another kind of file."""
    try:
        rows = list(csv.reader(io.StringIO(files.read_text(path, "utf-8-sig"), newline="")))
    except (OSError, ValueError, csv.Error):
        return []
    return [PairRecord(*row) for row in rows[1:] if len(row) == len(PairRecord._fields)]
