"""One card a photograph: the pairs of the experiment on the number of cards, and the subsets that are drawn of them.

Every photograph fills one card, which is captured once. Photographs whose capture QA does not accept are left out. The
others are dealt to the parts once, so that no photograph is in two of them. The training cards are then sorted by the
PSNR of bicubic interpolation into five kinds of equal size, from those with most fine detail to the smoothest. A draw
puts the cards of each kind in an order of its own. Its subset of n cards has the first n / 5 cards of each kind, and so
contains its smaller subsets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.result_tables import read_csv, write_csv
from d2c.data.layouts import find_pairs
from d2c.inference.bicubic import bicubic
from d2c.metrics import quality, to_uint8
from d2crealsr.dataset.build import build
from d2crealsr.errors import UsageError
from d2crealsr.settings import AlignSettings
from d2crealsr.simulate import SimulateSettings, simulate
from d2crealsr.store import read_image
from d2crealsr.store.files import write_text
from d2crealsr.store.pairs import read_manifest
from d2crealsr.store.tables import records

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d2c.data.layouts import Pair

__all__ = ["KINDS", "SCALE", "SHARES", "Cards", "cards_of", "dealt", "kinds_of", "subset"]

SCALE = 8
SEED = 2640
"""Seed of the captures, and of the order in which the photographs are dealt to the parts."""
KINDS = 5
SHARES = {"train": 40, "validation": 8}
"""Photographs of a part; the test part has all others."""


class Cards(NamedTuple):
    """The pairs of each part, of which each shows another photograph; ``refused``: photographs that QA left out."""

    train: list[Pair]
    validation: list[Pair]
    test: list[Pair]
    refused: int


def cards_of(work: Path, photos: Path) -> Cards:
    """The pairs of all photographs of a folder (``*.jpg``), simulated and aligned in ``work`` where that is not done.

    Raises
    ------
    UsageError
        When the photographs, or the accepted ones, are too few for the parts, or ``work`` has the pairs of others.
    """
    names, needed = sorted(path.stem for path in photos.glob("*.jpg")), sum(SHARES.values())
    if len(names) <= needed:
        raise UsageError(f"--photos: {photos} has {len(names)} photographs (*.jpg), expected more than {needed}")
    if (work / "done").is_file():
        if [row["source"] for row in read_csv(work / "recipe.csv")] != names:
            raise UsageError(f"--work: {work} has the pairs of other photographs than {photos}; give another folder")
    else:
        write_csv(work / "recipe.csv", [_recipe(number, name) for number, name in enumerate(names, start=1)])
        settings = SimulateSettings(size="mini", scenes=len(names), seed=SEED, scale=SCALE)
        simulate(work / "raw", settings=settings, photos=photos, manifest=work / "recipe.csv")
        build(work / "raw", work / "pairs", settings=AlignSettings(scale=SCALE))
        write_text(work / "done", "simulated, aligned\n")
    accepted = {row["scene"] for row in records(read_manifest(work / "pairs")) if row["status"] == "accepted"}
    return dealt([pair for pair in find_pairs(work / "pairs") if pair.name in accepted], len(names))


def dealt(pairs: Sequence[Pair], photographs: int) -> Cards:
    """The pairs by part, in an order that is the same every time. ``photographs`` is how many there were before QA."""
    needed = sum(SHARES.values())
    if len(pairs) <= needed:
        raise UsageError(
            f"--photos: QA accepts the captures of {len(pairs)} of {photographs} photographs (*.jpg), expected more "
            f"than {needed}; add photographs, and give another --work"
        )
    order = [pairs[i] for i in np.random.default_rng(SEED).permutation(len(pairs))]
    return Cards(order[: SHARES["train"]], order[SHARES["train"] : needed], order[needed:], photographs - len(pairs))


def _recipe(number: int, photograph: str) -> dict[str, str | int]:
    """One photograph that fills a card."""
    return {
        "scene": f"{number:03d}",
        "group": photograph,
        "source": photograph,
        "source_licence": "",
        "generator": "filled",
        "texture_seed": number,
        "capture_seed": SEED + number,
    }


def kinds_of(pairs: Sequence[Pair]) -> list[list[Pair]]:
    """The pairs in groups of equal size, by the PSNR of bicubic interpolation: the finest detail first."""
    order = sorted(pairs, key=_bicubic_db)
    share = len(pairs) // KINDS
    return [order[first : first + share] for first in range(0, KINDS * share, share)]


def _bicubic_db(pair: Pair) -> float:
    lr, hr = read_image(pair.lr), read_image(pair.hr)
    image = to_uint8(bicubic(lr, hr.shape[1], hr.shape[0]))
    return float(quality(image, to_uint8(hr), SCALE, "basicsr-y").psnr)


def subset(kinds: Sequence[Sequence[Pair]], cards: int, draw: int) -> list[Pair]:
    """The subset of a draw, with equally many cards of each kind. It contains the smaller subsets of that draw."""
    rng = np.random.default_rng((SEED, draw))
    orders = [[kind[i] for i in rng.permutation(len(kind))] for kind in kinds]
    return [pair for order in orders for pair in order[: cards // len(kinds)]]
