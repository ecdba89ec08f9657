"""All tables of a pairs folder as Parquet."""

from __future__ import annotations

from d2crealsr.dataset.exports.export import Export
from d2crealsr.store.schema import write_parquet

__all__ = ["PARQUET"]

PARQUET = Export(
    name="parquet", words="Write all tables to DIR as Parquet, with the units of their columns.", write=write_parquet
)
