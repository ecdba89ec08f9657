"""The layout that ``datasets.load_dataset("imagefolder")`` of Hugging Face reads, with a dataset card.

Each split is a folder with a ``metadata.csv`` whose columns ``lr_file_name`` and ``hr_file_name`` become the columns
``lr`` and ``hr`` of the loaded dataset. Measured numbers are in the card and not in ``metadata.csv``, so that pairs
which were imported and measured again are exported to the same file.

References
----------
https://huggingface.co/docs/datasets/image_dataset
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from d2crealsr.dataset.exports.card import card_of
from d2crealsr.dataset.exports.pair_export import Arrangement, PairExport, by_split, inside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.dataset.exports.pair_export import OutgoingPair, Request

__all__ = ["IMAGEFOLDER"]

_UNSPLIT = "unsplit"
"""Folder of the pairs that have no split, where others have one."""


def _arrange(pairs: Sequence[OutgoingPair], request: Request) -> Arrangement:
    splits = by_split(pairs)
    folders = {split: split or (_UNSPLIT if len(splits) > 1 else "") for split in splits}
    made = Arrangement()
    for split, its in splits.items():
        for pair in its:
            made.pictures[inside(folders[split], _path("lr", pair))] = pair.lr
            made.pictures[inside(folders[split], _path("hr", pair))] = pair.hr
        made.texts[inside(folders[split], "metadata.csv")] = _metadata(its)
    made.texts["README.md"] = card_of({folders[split]: its for split, its in splits.items()}, request)
    return made


def _path(side: str, pair: OutgoingPair) -> str:
    return f"{side}/{pair.scene}.png"


def _metadata(pairs: Sequence[OutgoingPair]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("lr_file_name", "hr_file_name", "scene", "group", "scale"))
    for pair in pairs:
        writer.writerow((_path("lr", pair), _path("hr", pair), pair.scene, pair.row["group"], pair.scale))
    return text.getvalue()


IMAGEFOLDER = PairExport(
    name="imagefolder",
    files="train/lr/NAME.png and train/hr/NAME.png with train/metadata.csv, and a dataset card README.md",
    arrange=_arrange,
)
