"""Forms in which a pairs folder is written for other programs: the one table of exports.

An export is added by a module with its :class:`~d2crealsr.dataset.exports.export.Export`, and its line in
:data:`EXPORTS`; the command's options and help follow.
"""

from __future__ import annotations

from d2crealsr.dataset.exports import parquet
from d2crealsr.dataset.exports.export import Export

__all__ = ["EXPORTS", "Export"]

EXPORTS: tuple[Export, ...] = (
    parquet.PARQUET,
)  # fmt: skip
"""Every export, in the order of the help."""
