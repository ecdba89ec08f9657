"""The tables of exports: the forms in which a pairs folder can be written for other programs.

To add a form for its tables, write a module with its :class:`~d2crealsr.dataset.exports.export.Export` and add a line
to :data:`EXPORTS`. To add a layout for its pairs, write a module with its
:class:`~d2crealsr.dataset.exports.pair_export.PairExport` and add a line to :data:`PAIR_EXPORTS`. The options and the
help of the commands follow from the tables.
"""

from __future__ import annotations

from d2crealsr.dataset.exports import basicsr, d2c_list, div2k, drealsr, imagefolder, parquet, realsr
from d2crealsr.dataset.exports.export import Export
from d2crealsr.dataset.exports.pair_export import PairExport

__all__ = ["EXPORTS", "PAIR_EXPORTS", "Export", "PairExport"]

EXPORTS: tuple[Export, ...] = (
    parquet.PARQUET,
)  # fmt: skip
"""Every export of all tables, in the order of the help of ``summary``."""

PAIR_EXPORTS: tuple[PairExport, ...] = (
    basicsr.BASICSR,
    realsr.REALSR,
    drealsr.DREALSR,
    div2k.DIV2K,
    d2c_list.D2C_LIST,
    imagefolder.IMAGEFOLDER,
)
"""Every export of pairs, in the order of the help of ``export``."""
