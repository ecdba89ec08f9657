"""DIV2K's layout: ``DIV2K_train_HR/NAME.png`` and ``DIV2K_train_LR_unknown/X4/NAMEx4.png``.

The test split is called ``valid``: DIV2K published no HR images of its test set, so tools test on its folders
``valid``. ``unknown`` is DIV2K's word for LR images that were not made by bicubic reduction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2crealsr.dataset.exports.pair_export import Arrangement, PairExport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.dataset.exports.pair_export import OutgoingPair, Request

__all__ = ["DIV2K"]

_PARTS = {"train": "DIV2K_train", "test": "DIV2K_valid", "": "DIV2K"}


def _arrange(pairs: Sequence[OutgoingPair], _request: Request) -> Arrangement:
    made = Arrangement()
    for pair in pairs:
        part, scale = _PARTS[pair.split], pair.scale
        made.pictures[f"{part}_HR/{pair.scene}.png"] = pair.hr
        made.pictures[f"{part}_LR_unknown/X{scale}/{pair.scene}x{scale}.png"] = pair.lr
    return made


DIV2K = PairExport(
    name="div2k",
    files="DIV2K_train_HR/NAME.png and DIV2K_train_LR_unknown/X4/NAMEx4.png; test scenes in DIV2K_valid_…",
    arrange=_arrange,
)
