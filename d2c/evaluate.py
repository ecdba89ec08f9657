"""Measure a model on pairs: every branch, their plain mean, the fused output, the oracle, and bicubic beside them."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from d2c.bicubic import bicubic
from d2c.crops import PixelPair
from d2c.errors import DataError
from d2c.infer import upscale
from d2c.layouts import find_pairs, size_of, with_split
from d2c.metrics import PROTOCOLS, quality, to_uint8, y_basicsr
from d2c.plan import make_plan
from d2c.reporter import Reporter
from d2crealsr.store import ImageError, files, images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from d2c.layouts import Pair
    from d2c.metrics import Protocol
    from d2c.model import D2CSR

__all__ = ["FilePairs", "Row", "evaluate", "evaluate_files", "means", "method_images", "methods", "oracle", "write_csv"]


class Row(NamedTuple):
    """One image by one method and protocol."""

    image: str
    method: str
    protocol: str
    psnr_db: float
    ssim: float


def methods(predictions: int) -> list[str]:
    """Names of what is measured, in the order of the tables."""
    return ["bicubic", *(f"branch_{k}" for k in range(1, predictions + 1)), "mean", "fused", "oracle"]


def oracle(predictions: NDArray[Any], hr: NDArray[Any]) -> NDArray[Any]:
    """The best of the branches in each pixel: from ``(P, H, W, 3)``, the one whose 8-bit Y is nearest to HR's.

    No network can know it; it says how much the divergence would be worth to a perfect convergence net.
    """
    errors = np.stack([np.abs(y_basicsr(p) - y_basicsr(hr)) for p in predictions])  # (P, H, W)
    best = errors.argmin(axis=0)
    return np.asarray(np.take_along_axis(predictions, best[None, :, :, None], axis=0)[0])


def method_images(model: D2CSR, pair: PixelPair) -> dict[str, NDArray[Any]]:
    """What each method makes of a pair's LR image, ``(H, W, 3)`` by name, in the order of :func:`methods`."""
    height, width = pair.hr.shape[:2]
    made = upscale(model, np.asarray(pair.lr), name=pair.name)
    images = [
        bicubic(np.asarray(pair.lr), width, height),
        *made.predictions,
        made.predictions.mean(axis=0),
        made.fused,
        oracle(made.predictions, pair.hr),
    ]
    return dict(zip(methods(len(made.predictions)), images, strict=True))


def evaluate(
    model: D2CSR,
    pairs: Sequence[PixelPair],
    protocols: Sequence[Protocol] = PROTOCOLS[:1],
    progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """PSNR and SSIM of every image by every method and protocol; the border is the model's scale.

    An infinite PSNR (equal images) is kept as it is.
    """
    rows = []
    for done, pair in enumerate(pairs, start=1):
        truth = np.asarray(pair.hr)
        for method, image in method_images(model, pair).items():
            for protocol in protocols:
                reference = to_uint8(truth) if protocol == "basicsr-y" else truth
                measured = quality(image, reference, model.config.scale, protocol)
                rows.append(Row(pair.name, method, protocol, measured.psnr, measured.ssim))
        if progress is not None:
            progress(done, len(pairs))
    return rows


def evaluate_files(
    model: D2CSR, data: Path, split: str, protocols: Sequence[Protocol], reporter: Reporter | None = None
) -> list[Row]:
    """Measure on a dataset of any known layout; ``split`` is ``test``, ``train`` or ``all``."""
    reporter = reporter or Reporter()
    pairs = find_pairs(data, scale=model.config.scale)
    if split != "all":
        pairs = with_split(pairs, "train" if split == "train" else "test", data)
    device = next(model.parameters()).device
    for pair in pairs:
        make_plan(model.config, size_of(pair.lr), device, str(pair.lr), keep_all=True)
    return evaluate(model, FilePairs(pairs), protocols, reporter.images("evaluating"))


class FilePairs(Sequence[PixelPair]):
    """Pairs of files as pixels, read when they are asked for and not kept."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: Any) -> Any:
        pair = self.pairs[index]
        try:
            return PixelPair(pair.name, images.read_image(pair.lr), images.read_image(pair.hr))
        except ImageError as error:
            raise DataError(f"{pair.lr} or {pair.hr}: {error}") from error


def means(rows: Iterable[Row]) -> list[Row]:
    """Mean over the images, a row for each method and protocol, in their order."""
    collected: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        collected.setdefault((row.method, row.protocol), []).append(row)
    return [
        Row("mean", method, protocol, _mean(r.psnr_db for r in group), _mean(r.ssim for r in group))
        for (method, protocol), group in collected.items()
    ]


def write_csv(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as ``image,method,protocol,psnr_db,ssim``, complete or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows((r.image, r.method, r.protocol, f"{r.psnr_db:.6f}", f"{r.ssim:.8f}") for r in rows)
    files.write_text(path, text.getvalue())


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)
