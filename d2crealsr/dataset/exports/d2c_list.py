"""Lists as the released code of D2C-SR reads them: one pair a line, the absolute paths of LR and HR, a tab between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2crealsr.dataset.exports.pair_export import Arrangement, PairExport, by_split
from d2crealsr.errors import LayoutError
from d2crealsr.store.pairs import is_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.dataset.exports.pair_export import OutgoingPair, Request

__all__ = ["D2C_LIST"]


def _arrange(pairs: Sequence[OutgoingPair], request: Request) -> Arrangement:
    if not is_plain(str(request.out)):
        raise LayoutError(f"{str(request.out)!r}: a path with control characters cannot be listed; rename the folder")
    made = Arrangement()
    for split, its in by_split(pairs).items():
        lines = []
        for pair in its:
            lr, hr = f"lr/{pair.scene}.png", f"hr/{pair.scene}.png"
            made.pictures.update({lr: pair.lr, hr: pair.hr})
            lines.append(f"{request.out / lr}\t{request.out / hr}\n")
        made.texts[f"{split or 'pairs'}.txt"] = "".join(lines)
    return made


D2C_LIST = PairExport(
    name="d2c-list",
    files="train.txt and test.txt, a pair a line: absolute paths of lr/NAME.png and hr/NAME.png",
    arrange=_arrange,
)
