"""BasicSR's layout: two folders with equal names and a ``meta_info.txt``, whole images or sub-images.

A line of ``meta_info.txt`` has the name of an HR image, its height, width and number of channels, and the PNG
compression level, with a space between, as BasicSR's documentation on the preparation of datasets describes it.
Sub-images overlap by half and are named ``NAME_s001.png``, as its script for sub-images does it.

References
----------
https://github.com/XPixelGroup/BasicSR, docs/DatasetPreparation.md and scripts/data_preparation/extract_subimages.py
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from d2crealsr.dataset.exports.pair_export import Arrangement, PairExport, by_split, inside
from d2crealsr.errors import LayoutError, UsageError
from d2crealsr.store.images import read_size
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from d2crealsr.dataset.exports.pair_export import OutgoingPair, Request

__all__ = ["BASICSR"]

_COMPRESSION = 1


def _arrange(pairs: Sequence[OutgoingPair], request: Request) -> Arrangement:
    made = Arrangement()
    for split, its in by_split(pairs).items():
        lines = []
        for pair in its:
            if pair.scene.split() != [pair.scene]:
                raise LayoutError(
                    f"scene {pair.scene!r} has a space, at which readers of meta_info.txt end a name; choose another "
                    "layout, or rename the scene's captures and align them again"
                )
            for name, piece, size in _pieces(pair, request.sub_images):
                made.pictures[inside(split, "HR", name)] = piece.hr
                made.pictures[inside(split, "LR", name)] = piece.lr
                lines.append(f"{name} ({size.height},{size.width},3) {_COMPRESSION}\n")
        made.texts[inside(split, "meta_info.txt")] = "".join(lines)
    return made


def _pieces(pair: OutgoingPair, side: int | None) -> Iterator[tuple[str, OutgoingPair, Size]]:
    """File name, pair and HR size of the whole pair, or of each sub-image."""
    if side is None:
        yield f"{pair.scene}.png", pair, Size(*read_size(pair.hr.source))
        return
    if side % pair.scale:
        raise UsageError(f"--sub-images: got {side} HR px, expected a multiple of the scale, {pair.scale}")
    width, height = read_size(pair.lr.source)
    across, down = (_along(length, side // pair.scale) for length in (width, height))
    boxes = [Crop(x, y, w, h) for y, h in down for x, w in across]
    for number, box in enumerate(boxes, start=1):
        hr_box = Crop(*(pair.scale * value for value in box))
        piece = replace(pair, hr=replace(pair.hr, box=hr_box), lr=replace(pair.lr, box=box))
        yield f"{pair.scene}_s{number:03d}.png", piece, Size(hr_box.width, hr_box.height)


def _along(length: int, side: int) -> list[tuple[int, int]]:
    """Where sub-images begin along one side, and how long they are: half a sub-image apart, the last one at the end."""
    side = min(side, length)
    starts = list(range(0, length - side + 1, max(side // 2, 1)))
    if starts[-1] + side < length:
        starts.append(length - side)
    return [(start, side) for start in starts]


BASICSR = PairExport(
    name="basicsr",
    files="train/HR/NAME.png and train/LR/NAME.png with train/meta_info.txt; with --sub-images, NAME_s001.png",
    arrange=_arrange,
    cuts=True,
)
