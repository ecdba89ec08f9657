"""RealSR's layout: ``Train/4/NAME_HR.png`` and ``Train/4/NAME_LR4.png``. LR keeps its own size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2crealsr.dataset.exports.pair_export import Arrangement, PairExport, inside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.dataset.exports.pair_export import OutgoingPair, Request

__all__ = ["REALSR"]


def _arrange(pairs: Sequence[OutgoingPair], _request: Request) -> Arrangement:
    made = Arrangement()
    for pair in pairs:
        place = inside(pair.split.capitalize(), str(pair.scale))
        made.pictures[f"{place}/{pair.scene}_HR.png"] = pair.hr
        made.pictures[f"{place}/{pair.scene}_LR{pair.scale}.png"] = pair.lr
    return made


REALSR = PairExport(
    name="realsr", files="Train/4/NAME_HR.png and Train/4/NAME_LR4.png, LR in its own size", arrange=_arrange
)
