"""Measure a model on pairs: every output of its network, and bicubic for comparison."""

from __future__ import annotations

import functools
import math
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from d2c.data.belonging import KEPT, check_belonging
from d2c.data.layouts import check_sizes, find_pairs, with_split
from d2c.data.patches import PixelPair
from d2c.data.records import read_records
from d2c.data.reduction import as_pixels
from d2c.device import naming_lack_of_memory
from d2c.errors import DataError
from d2c.evaluation.perceptual import DISTANCES, LEAST_SIDE, DistanceRow, check_distances, distance
from d2c.inference.bicubic import bicubic
from d2c.inference.ensemble import MARK, TURNS, marked
from d2c.inference.failures import Failures
from d2c.inference.plan import make_plan
from d2c.inference.run import upscale
from d2c.metrics import PROTOCOLS, least_side, quality, to_uint8
from d2c.networks import network_of
from d2c.networks.base.trial import check_images
from d2c.precision import available_precision
from d2crealsr.store import ImageError, ScaleError, files, images
from d2crealsr.ui.progress import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import Any

    import torch
    from numpy.typing import NDArray
    from torch import nn

    from d2c.data.layouts import Pair
    from d2c.evaluation.perceptual import PerceptualDistance
    from d2c.metrics import Protocol
    from d2c.networks import Network
    from d2c.settings.config import Precision

__all__ = [
    "EvalOptions",
    "FilePairs",
    "Row",
    "check_measurable",
    "evaluate",
    "evaluate_files",
    "is_measurable",
    "is_one_of_many",
    "means",
    "method_images",
    "methods",
]


class _Run(typing.Protocol):
    """The folder of a run, of which the list of pairs and the cache are used."""

    pairs: Path
    cache: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalOptions:
    """How pairs are read, checked and upscaled before they are measured.

    Attributes
    ----------
    run : RunFolder, optional
        Folder of the model's run. A note then says how many pairs it was trained on, and its cache stores results.
    trust_pairs : bool
        Whether to skip the check that both images of a pair show the same scene.
    convert_profile : bool
        Whether to convert images whose colour profile is not sRGB. Otherwise they cannot be measured.
    self_ensemble : bool
        Whether to measure the mean over eight flips and transposes. The methods are then marked: ``sr+``.
    precision : str
        Arithmetic of the network.
    """

    run: _Run | None = None
    trust_pairs: bool = False
    convert_profile: bool = False
    self_ensemble: bool = False
    precision: Precision = "fp32"


class Row(NamedTuple):
    """The result of one image by one method and protocol."""

    image: str
    method: str
    protocol: str
    psnr_db: float
    ssim: float


def methods(network: Network, config: Any, *, self_ensemble: bool = False) -> list[str]:
    """Names of the measured methods, in the order of the tables. With a self-ensemble they are marked."""
    outputs = network.outputs(config)
    return ["bicubic", *(marked(outputs) if self_ensemble else outputs)]


def is_one_of_many(method: str) -> bool:
    """Whether an output is one of several of its kind, such as ``sample_2``. Short tables leave these out."""
    return method.removesuffix(MARK).rpartition("_")[2].isdecimal()


def method_images(
    model: nn.Module, pair: PixelPair, *, self_ensemble: bool = False, precision: Precision | None = None
) -> dict[str, NDArray[Any]]:
    """The result of each method for the LR image of a pair, ``(H, W, 3)`` by name, in the order of :func:`methods`."""
    height, width = pair.hr.shape[:2]
    network, config = network_of(model)
    lr = np.asarray(pair.lr)
    upscaled = upscale(model, lr, name=pair.name, self_ensemble=self_ensemble, precision=precision)
    own = network.images(upscaled, pair.hr)
    check_images(network, config, own)
    made = {"bicubic": bicubic(lr, width, height)} | {name + MARK * self_ensemble: own[name] for name in own}
    return {method: made[method] for method in methods(network, config, self_ensemble=self_ensemble)}


def evaluate(
    model: nn.Module,
    pairs: Sequence[PixelPair],
    protocols: Sequence[Protocol] = PROTOCOLS[:1],
    progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """PSNR and SSIM of every image by every method and protocol. The removed border is the model's scale.

    An infinite PSNR (for equal images) is kept.
    """
    rows = []
    for done, pair in enumerate(pairs, start=1):
        rows += _measured(model, pair, protocols)
        if progress is not None:
            progress(done, len(pairs))
    return rows


def _measured(
    model: nn.Module,
    pair: PixelPair,
    protocols: Sequence[Any],
    *,
    self_ensemble: bool = False,
    precision: Precision | None = None,
) -> list[Any]:
    """The results of one pair by every method and protocol, which may be a perceptual distance."""
    truth, scale = np.asarray(pair.hr), network_of(model)[1].scale
    rows: list[Row | DistanceRow] = []
    for method, image in method_images(model, pair, self_ensemble=self_ensemble, precision=precision).items():
        for protocol in protocols:
            if protocol in DISTANCES:
                device = next(model.parameters()).device
                found = distance(image, truth, scale, protocol, device)
                rows.append(DistanceRow(pair.name, method, protocol, found))
                continue
            reference = to_uint8(truth) if protocol == "basicsr-y" else truth
            measured = quality(image, reference, scale, protocol)
            rows.append(Row(pair.name, method, protocol, measured.psnr, measured.ssim))
    return rows


def evaluate_files(
    model: nn.Module,
    data: Path,
    split: str,
    protocols: Sequence[Protocol | PerceptualDistance],
    reporter: Reporter | None = None,
    failures: Failures | None = None,
    options: EvalOptions | None = None,
) -> list[Row]:
    """Measure a model on a dataset of any known layout.

    If a pair cannot be read or is too small to measure, it is named, the others are measured, and the error is raised
    at the end (by ``failures`` if the caller provides it).

    Parameters
    ----------
    split : str
        ``test``, ``train``, ``all``, or ``auto``, which means the test split if there is one, else all pairs.

    Raises
    ------
    DataError
        When there are no pairs for this model, the only one cannot be measured, or images do not belong together.
    BatchError
        When some of several pairs cannot be measured.
    MemoryNeedError
        When one would not fit into memory. Nothing has been started then.
    """
    reporter, options = reporter or Reporter(), options or EvalOptions()
    check_distances(protocols)
    run, met = options.run, failures or Failures(reporter)
    pairs = _chosen(_pairs_for(model, data, reporter), split, data, reporter)
    met.total = len(pairs)
    chosen = _measurable(pairs, protocols, met)
    digest = functools.cache(files.sha256_of)
    pixels = FilePairs(chosen, convert_profile=options.convert_profile)
    if not options.trust_pairs:
        kept = run.cache / KEPT if run is not None and run.cache.is_dir() else None
        check_belonging(chosen, pixels, digest, kept)
    if run is not None and (trained := _trained_on(chosen, run, digest)):
        reporter.note(f"{trained} of these {len(pairs)} pairs were trained on: their figures say nothing of new images")
    device, ensemble = next(model.parameters()).device, options.self_ensemble
    precision = available_precision(options.precision, device, reporter.note)
    _check_memory(model, chosen, self_ensemble=ensemble, precision=precision)
    rows = []
    progress = reporter.images("evaluating")
    for done, pair in enumerate(chosen):
        with met.of(pair.name), naming_lack_of_memory(functools.partial(_lack, pair.name, device, ensemble=ensemble)):
            rows += _measured(model, pixels[done], protocols, self_ensemble=ensemble, precision=precision)
        progress(done + 1, len(chosen))
    if rows:
        _tell_how(model, reporter, self_ensemble=ensemble, precision=precision)
    if failures is None:
        met.conclude()
    return rows


def _measurable(pairs: Sequence[Pair], protocols: Sequence[Any], met: Failures) -> list[Pair]:
    """Those whose files can be read and are large enough; the others are named in ``met``."""
    chosen = []
    for pair in pairs:
        with met.of(pair.name):
            check_measurable(pair, protocols)
            pair.hr_size  # noqa: B018  (raises an error for a file that cannot be read)
            chosen.append(pair)
    check_sizes(chosen)
    return chosen


def _check_memory(model: nn.Module, pairs: Sequence[Pair], *, self_ensemble: bool, precision: Precision) -> None:
    """Raise MemoryNeedError if a result would not fit into memory."""
    device, (network, config) = next(model.parameters()).device, network_of(model)
    for pair in pairs:
        make_plan(
            network.upscaler(config),
            pair.lr_size,
            device,
            str(pair.lr),
            keep_all=True,
            self_ensemble=self_ensemble,
            precision=precision,
        )


def _tell_how(model: nn.Module, reporter: Reporter, *, self_ensemble: bool, precision: Precision) -> None:
    """Notes on how the results were computed."""
    network, config = network_of(model)
    if self_ensemble:
        reporter.note(f"methods marked {MARK} are means over {TURNS} flips and transposes of each image")
    if network.sampling is not None and network.sampling.samples:
        drawn = network.sampling
        reporter.note(
            f"samples are drawn at temperature {drawn.temperature:g} with fixed seeds; {network.main} is at 0"
        )
    said = "" if precision == "fp32" else f"; computed in {precision}"
    reporter.note(f"measured at scale {config.scale}, that of the checkpoint{said}")


def _lack(name: str, device: torch.device, *, ensemble: bool) -> str:
    """What is said when memory ran out while a pair was measured."""
    remedy = "leave --self-ensemble out, " if ensemble else ""
    remedy += "close other programs on it, or use --device cpu" if device.type == "cuda" else "close other programs"
    return f"{name}: memory ran out on {device}; {remedy}"


def _chosen(pairs: list[Pair], split: str, data: Path, reporter: Reporter) -> list[Pair]:
    """The pairs of a split, with a note on the choice of ``auto``."""
    if split == "auto":
        split = "test" if any(pair.split == "test" for pair in pairs) else "all"
        said = "the test split" if split == "test" else f"all {len(pairs)} pairs, as there is no test split"
        reporter.note(f"{data}: measuring {said}")
    if split == "all":
        return pairs
    return with_split(pairs, "train" if split == "train" else "test", data, reporter.note)


def _pairs_for(model: nn.Module, data: Path, reporter: Reporter) -> list[Pair]:
    """All pairs of the model's scale. Their sizes are not checked yet."""
    scale = network_of(model)[1].scale
    try:
        return find_pairs(data, scale=scale, sizes=False, note=reporter.note)
    except DataError as error:
        if not isinstance(error.__cause__, ScaleError):
            raise
        others = ", ".join(map(str, error.__cause__.scales))
        raise DataError(
            f"{data}: no pairs of scale {scale}, only of {others}; the model upscales by {scale}, "
            f"so give pairs of that scale, or a model of scale {others}"
        ) from error


def check_measurable(pair: Pair, protocols: Sequence[Any] = PROTOCOLS[:1]) -> None:
    """Raise :class:`DataError` for a pair that is too small for a protocol."""
    side = pair.scale * min(pair.lr_size)
    needed = max(
        2 * pair.scale + LEAST_SIDE if protocol in DISTANCES else least_side(pair.scale, protocol)
        for protocol in protocols
    )
    if side < needed:
        raise DataError(
            f"{pair.lr}: gives a result of {side} pixels on its shorter side, too small to be measured: at least "
            f"{needed} are needed; remove the pair"
        )


def is_measurable(pair: Pair) -> bool:
    """Whether a pair is suitable for validation."""
    try:
        check_measurable(pair)
    except DataError:
        return False
    return True


def _trained_on(pairs: Iterable[Pair], run: _Run, digest: Callable[[Path], str]) -> int:
    """Number of pairs with an HR image on which the run was trained."""
    seen = {record.hr_sha256 for record in read_records(run.pairs) if record.part == "train"}
    return sum(digest(pair.hr) in seen for pair in pairs) if seen else 0


class FilePairs(Sequence[PixelPair]):
    """Pairs of files as sRGB pixels, which are read on access and not kept.

    Images with another colour profile are converted with ``convert_profile``, and refused without it.
    """

    def __init__(self, pairs: Sequence[Pair], *, convert_profile: bool = False) -> None:
        self.pairs, self.convert_profile = pairs, convert_profile

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: Any) -> Any:
        pair = self.pairs[index]
        try:
            lr, hr = (images.read_image(path, convert=self.convert_profile) for path in (pair.lr, pair.hr))
            return as_pixels(pair, lr, hr)
        except ImageError as error:
            raise DataError(f"{pair.lr} or {pair.hr}: {error}") from error


def means(rows: Iterable[Row | DistanceRow]) -> list[Any]:
    """Means over the images: one row for each method and protocol, in their order."""
    collected: dict[tuple[str, Any], list[Any]] = {}
    for row in rows:
        collected.setdefault((row.method, row.protocol), []).append(row)
    return [
        type(group[0])("mean", *key, *map(_mean, zip(*(row[3:] for row in group), strict=True)))
        for key, group in collected.items()
    ]


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)
