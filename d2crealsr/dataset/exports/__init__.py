"""The table of exports, the forms in which a pairs folder can be written for other programs.

To add an export, write a module with its :class:`~d2crealsr.dataset.exports.export.Export` and add a line to
:data:`EXPORTS`. The options and the help of the command follow from the table.
"""

from __future__ import annotations

from d2crealsr.dataset.exports import parquet
from d2crealsr.dataset.exports.export import Export

__all__ = ["EXPORTS", "Export"]

EXPORTS: tuple[Export, ...] = (
    parquet.PARQUET,
)  # fmt: skip
"""Every export, in the order of the help."""
