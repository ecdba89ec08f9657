"""Pairs that methods are measured on, and the measuring: PSNR and SSIM by named protocols, and the checkerboard."""

from __future__ import annotations

import csv
import functools
import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from d2c.comparison.lattice import lattice_rms
from d2c.data.belonging import check_belonging
from d2c.data.layouts import find_pairs, split_of, with_split
from d2c.errors import DataError
from d2c.evaluation.evaluate import FilePairs, check_measurable
from d2c.metrics import PROTOCOLS, quality, to_uint8, y_basicsr
from d2crealsr.store import files, layouts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from d2c.data.layouts import Pair
    from d2c.data.patches import PixelPair
    from d2crealsr.ui.progress import Reporter

__all__ = [
    "Measured",
    "TestSet",
    "measure",
    "name_of",
    "open_test_set",
    "pairs_digest",
    "read_measured",
    "write_measured",
]

_NAMED = 3


class Measured(NamedTuple):
    """One output of a method for one image by one protocol. ``lattice`` is in levels of the 8-bit Y."""

    image: str
    output: str
    protocol: str
    psnr_db: float
    ssim: float
    lattice: float


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """Pairs to measure on.

    Attributes
    ----------
    name, data : str, Path
        For tables, and where they are.
    scale : int
    pairs : sequence of Pair
    layout : str
        Name of the layout, or ``list`` for a D2C-SR list.
    fingerprint : str
        SHA-256 of the pairs' names and contents.
    """

    __test__ = False  # not a test class

    name: str
    data: Path
    scale: int
    pairs: Sequence[Pair]
    layout: str
    fingerprint: str

    @property
    def pixels(self) -> FilePairs:
        """The pixels of the pairs, read on access."""
        return FilePairs(self.pairs)


def name_of(data: Path) -> str:
    """A short name of a dataset for files and tables: that of its folder or list, with the parent's if it is general.

    Examples
    --------
    >>> from pathlib import Path
    >>> name_of(Path("RealSR(V3)")), name_of(Path("mine/pairs")), name_of(Path("D2CRealSR/test.txt"))
    ('RealSR-V3', 'mine-pairs', 'D2CRealSR-test')
    """
    path = data.resolve()
    name = path.stem if data.suffix == ".txt" else path.name
    if name.lower() in ("pairs", "data", "dataset") or split_of(name):
        name = f"{path.parent.name}-{name}"
    kept = "".join(c if c.isalnum() or c in "._" else "-" for c in name)
    return "-".join(part for part in kept.split("-") if part) or "data"


def open_test_set(data: Path, scale: int, trained_on: Path, reporter: Reporter) -> TestSet:
    """The pairs of a dataset to measure on: its test split, or all of them if it is not split and not trained on.

    Raises
    ------
    DataError
        When there are none, they do not belong together, one is too small to be measured, or they were trained on,
        which copies of the training pairs were as well.
    """
    pairs = find_pairs(data, scale=scale, note=reporter.note)
    if any(pair.split for pair in pairs):
        pairs = with_split(pairs, "test", data, reporter.note)
    elif data.resolve() == trained_on.resolve():
        raise DataError(f"{data}: is trained on and has no test split; split it, or measure on another one with --test")
    else:
        reporter.note(f"{data}: measuring all {len(pairs)} pairs, as it has no test split")
    for pair in pairs:
        check_measurable(pair, PROTOCOLS)
    digest = functools.cache(files.sha256_of)
    _refuse_trained(pairs, data, _trained(find_pairs(trained_on, scale=scale)), trained_on, digest)
    check_belonging(pairs, FilePairs(pairs), digest, None)
    return TestSet(
        name=name_of(data),
        data=data,
        scale=scale,
        pairs=pairs,
        layout=layouts.find_pair_folder(data, scale=scale).layout if data.is_dir() else "list",
        fingerprint=pairs_digest(pairs, digest),
    )


def _trained(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs of the training split, or all of them if there are no splits."""
    split = "train" if any(pair.split for pair in pairs) else ""
    return [pair for pair in pairs if pair.split == split]


def _refuse_trained(
    pairs: Sequence[Pair], data: Path, trained: Sequence[Pair], trained_on: Path, digest: Callable[[Path], str]
) -> None:
    """Raise :class:`DataError` if HR of a pair to measure on has the bytes of HR of a training pair.

    Only files of equal sizes are hashed.
    """
    sizes = {pair.hr.stat().st_size for pair in pairs}
    seen = {digest(pair.hr): pair.name for pair in trained if pair.hr.stat().st_size in sizes}
    both = [pair for pair in pairs if digest(pair.hr) in seen] if seen else []
    if both:
        names = [f"{pair.name} has that of {seen[digest(pair.hr)]}" for pair in both[:_NAMED]]
        raise DataError(
            f"{data}: {len(both)} of the {len(pairs)} pairs to measure on have the HR image of a training pair of "
            f"{trained_on} ({', '.join(names)}{', …' if len(both) > _NAMED else ''}), and pairs that were trained on "
            "are never measured; remove them, or measure on another dataset with --test"
        )


def pairs_digest(pairs: Sequence[Pair], digest: Callable[[Path], str] = files.sha256_of) -> str:
    """SHA-256 of the names and contents of pairs. ``digest`` is that of a file."""
    lines = [f"{pair.name} {digest(pair.lr)} {digest(pair.hr)} {pair.reduce}" for pair in pairs]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def measure(
    outputs: Callable[[PixelPair], Mapping[str, NDArray[Any]]],
    tested: TestSet,
    progress: Callable[[int, int], None] | None = None,
) -> list[Measured]:
    """Every output of a method on every pair by every protocol. ``outputs`` makes HR images, by name."""
    rows = []
    for done, stored in enumerate(tested.pixels, start=1):
        pixels: list[Any] = [np.asarray(image) for image in (stored.lr, stored.hr)]
        lr, truth = pixels
        pair: PixelPair = stored._replace(lr=lr, hr=truth)
        eight_bit = to_uint8(truth)
        for name, image in outputs(pair).items():
            error = y_basicsr(image) - y_basicsr(eight_bit)
            lattice = lattice_rms(error, tested.scale)
            for protocol in PROTOCOLS:
                found = quality(image, eight_bit if protocol == "basicsr-y" else truth, tested.scale, protocol)
                rows.append(Measured(pair.name, name, protocol, found.psnr, found.ssim, lattice))
        if progress is not None:
            progress(done, len(tested.pairs))
    return rows


def write_measured(path: Path, rows: Sequence[Measured]) -> None:
    """Write rows as CSV, completely or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Measured._fields)
    writer.writerows((*row[:3], f"{row.psnr_db:.6f}", f"{row.ssim:.8f}", f"{row.lattice:.6f}") for row in rows)
    files.write_text(path, text.getvalue())


def read_measured(path: Path) -> list[Measured]:
    """The rows of a file that :func:`write_measured` wrote."""
    try:
        names, *lines = csv.reader(io.StringIO(files.read_text(path), newline=""))
        if tuple(names) != Measured._fields:
            raise ValueError("other columns")
        return [
            Measured(image, output, protocol, float(psnr), float(ssim), float(lattice))
            for image, output, protocol, psnr, ssim, lattice in lines
        ]
    except (ValueError, TypeError, csv.Error, OSError) as error:
        raise DataError(f"{path}: cannot be read ({error}); delete it to measure again") from error
