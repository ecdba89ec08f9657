"""DRealSR's layout: ``train_HR/NAME_x4.png`` and ``train_LR/NAME_x1.png``, named by the zoom as its authors do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2crealsr.dataset.exports.pair_export import Arrangement, PairExport
from d2crealsr.errors import LayoutError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.dataset.exports.pair_export import OutgoingPair, Request

__all__ = ["DREALSR"]


def _arrange(pairs: Sequence[OutgoingPair], _request: Request) -> Arrangement:
    made = Arrangement()
    for pair in pairs:
        if pair.scale == 1:
            raise LayoutError("pairs of scale 1 have no place in drealsr, where _x1 is LR; choose another layout")
        before = f"{pair.split}_" if pair.split else ""
        made.pictures[f"{before}HR/{pair.scene}_x{pair.scale}.png"] = pair.hr
        made.pictures[f"{before}LR/{pair.scene}_x1.png"] = pair.lr
    return made


DREALSR = PairExport(name="drealsr", files="train_HR/NAME_x4.png and train_LR/NAME_x1.png", arrange=_arrange)
