"""The quality of `builtin:x8` beside bicubic interpolation and beside the exact least-squares filter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.training.builtin_data import SCALE, kept_pairs, pairs_of, training_data
from d2c.comparison.least_squares import fit
from d2c.evaluation.evaluate import FilePairs, method_images
from d2c.metrics import PROTOCOLS, quality, to_uint8
from d2crealsr.simulate.recipe import POSTCARDS
from d2crealsr.store.tables import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from torch import nn

    from benchmarks.result_tables import Row
    from d2c.comparison.least_squares import LinearFilter
    from d2c.data.patches import PixelPair

__all__ = ["fitted_filter", "image_rows", "mean_rows", "test_sets"]

METHODS = ("bicubic", "filter", "builtin")


def fitted_filter(work: Path) -> LinearFilter:
    """The best linear filter of 9×9 LR px in all colours on the pairs that the network was trained on."""
    pairs = [pair for data in training_data(work) for pair in pairs_of(data)]
    return fit(FilePairs(pairs), SCALE)


def test_sets(work: Path) -> dict[str, FilePairs]:
    """Pairs whose photographs were not trained on: those of the sixty by layout, and those of the wheel."""
    header, rows = read_rows(work / "test" / "raw" / "manifest.csv")
    layouts = {row[header.index("scene")]: row[header.index("generator")] for row in rows}
    pairs = pairs_of(work / "test" / "pairs")
    found = {f"the sixty, {name}": [pair for pair in pairs if layouts[pair.name] == name] for name in POSTCARDS}
    return {name: FilePairs(chosen) for name, chosen in (found | {"the wheel": kept_pairs(work)}).items()}


def image_rows(model: nn.Module, linear: LinearFilter, name: str, pairs: Iterable[PixelPair]) -> list[Row]:
    """PSNR and SSIM of each image by each method and protocol."""
    rows = []
    for pair in pairs:
        made = method_images(model, pair)
        images = {"bicubic": made["bicubic"], "filter": to_uint8(linear(pair.lr)), "builtin": _main(made)}
        for protocol in PROTOCOLS:
            row: dict[str, Any] = {"photographs": name, "image": pair.name, "protocol": protocol}
            for method in METHODS:
                found = quality(images[method], to_uint8(pair.hr), SCALE, protocol)
                row |= {f"{method}_db": found.psnr, f"{method}_ssim": found.ssim}
            rows.append(row)
    return rows


def _main(made: dict[str, Any]) -> Any:
    """The main output of a network."""
    return made["fused"] if "fused" in made else made["sr"]


def mean_rows(rows: Sequence[Row]) -> list[Row]:
    """Means over the images of each set and protocol, and of all layouts of the sixty, and gains over the filter."""
    sixty = [row | {"photographs": "the sixty, all"} for row in rows if row["photographs"].startswith("the sixty")]
    every, found = [*rows, *sixty], []
    for name, protocol in dict.fromkeys((row["photographs"], row["protocol"]) for row in every):
        chosen = [row for row in every if (row["photographs"], row["protocol"]) == (name, protocol)]
        means = {
            key: float(np.mean([row[key] for row in chosen])) for key in chosen[0] if key.endswith(("_db", "_ssim"))
        }
        gains = [row["builtin_db"] - row["filter_db"] for row in chosen]
        found.append(
            {
                "photographs": name,
                "protocol": protocol,
                "images": len(chosen),
                **means,
                "over_filter_db": float(np.mean(gains)),
                "least_over_filter_db": min(gains),
            }
        )
    return found
