"""Flip single bits in the files of a pairs folder, and look whether `verify` sees each of them.

    python -m tests.robustness.flips --flips 10000

The folder has the pairs that version 0.1.0 left for the tests, brought to the present format, and a journal as a killed
run leaves it. The files take turns, and a bit is drawn uniformly over the bits of its file. Every flip must be a
finding of `verify`. After each flip the bit is restored.
"""

from __future__ import annotations

import collections
import shutil
import tempfile
from pathlib import Path

import click
import numpy as np

from benchmarks.program import print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from d2crealsr.dataset.verify import verify
from d2crealsr.store.changes import changed_files
from d2crealsr.store.description import DATASET_FILE, WITH_CHECKSUM
from d2crealsr.store.journal import JOURNAL_FILE
from d2crealsr.store.ledger import Ledger
from d2crealsr.store.merge import merge_journal
from d2crealsr.store.pairs import load_table
from d2crealsr.store.tables import records

EARLIER = Path(__file__).parents[1] / "earlier" / "v0.1.0" / "pairs"
FILES = (*WITH_CHECKSUM, DATASET_FILE, JOURNAL_FILE)


@program(__doc__)
@click.option("--flips", type=int, default=10_000, show_default=True, help="Bits that are flipped.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of their places.")
@with_small("Fifty flips", flips=50)
@with_out
def main(flips: int, seed: int, out: Path | None) -> None:
    """Flip, look, restore."""
    with tempfile.TemporaryDirectory() as scratch:
        rows = flipped(folder_with_a_journal(Path(scratch) / "pairs"), flips, seed)
    print_and_store(text_table(rows, digits=0), out)
    if any(row["unseen"] for row in rows):
        raise SystemExit(1)


def folder_with_a_journal(pairs: Path) -> Path:
    """A pairs folder of the present format whose last scenes are still in the journal."""
    shutil.copytree(EARLIER, pairs)
    merge_journal(pairs, upgrade=True)
    ledger = Ledger.load(pairs)
    tables = {name: records(load_table(pairs, f"{name}.csv")) for name in ("alignment", "residuals", "timings")}
    for scene in sorted(ledger.scenes)[:2]:
        rows = {name: [row for row in table if row["scene"] == scene] for name, table in tables.items()}
        ledger.replace(dict(ledger.row(scene) or {}), **rows)
    ledger.update({**dict(ledger.row("rocket") or {}), "group": "another"})
    return pairs


def flipped(pairs: Path, flips: int, seed: int) -> list[Row]:
    """How many flips were seen, and how: for each file, by its checksum or by another finding."""
    rng = np.random.default_rng(seed)
    counts: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in FILES}
    whole = {name: (pairs / name).read_bytes() for name in FILES}
    assert not _finds(pairs)
    for number in range(flips):
        name = FILES[number % len(FILES)]
        data = bytearray(whole[name])
        place = int(rng.integers(8 * len(data)))
        data[place // 8] ^= 1 << place % 8
        (pairs / name).write_bytes(data)
        counts[name][_seen(pairs, name)] += 1
        (pairs / name).write_bytes(whole[name])
    return [{"file": name, "flips": sum(counts[name].values()), **_row(counts[name])} for name in FILES]


def _row(counts: collections.Counter[str]) -> Row:
    return {what: counts[what] for what in ("by its checksum", "by another finding", "unseen")}


def _seen(pairs: Path, name: str) -> str:
    """How `verify` sees the change; that changed files are findings of it is cheap to ask."""
    if name not in changed_files(pairs):
        return "by another finding" if _finds(pairs) else "unseen"
    return "by its checksum"


def _finds(pairs: Path) -> bool:
    return bool(verify(pairs).findings)


if __name__ == "__main__":
    main()
