"""Draw figures from the cells of a comparison: which images, which places, and where the files go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import PIL.Image

from d2c.comparison.cells import Cell
from d2c.comparison.grids import Scene, contact_sheet, crop_grid
from d2c.comparison.places import RULE, largest_spread, spread_at
from d2c.comparison.plots import save_figure
from d2c.comparison.rates import trials_of, with_best_rates
from d2c.comparison.test_sets import name_of
from d2c.data.layouts import find_pairs
from d2c.errors import ConfigError
from d2c.evaluation.evaluate import FilePairs
from d2c.inference.figures import Box
from d2c.metrics import to_uint8

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from d2c.comparison.cells import Outputs, Work
    from d2c.comparison.methods import Method
    from d2c.comparison.test_sets import TestSet

__all__ = ["Choice", "draw_figures"]

_ON_A_SHEET = 96
_THUMBNAIL = 180


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which images and places are drawn: those named, or else by the rule."""

    names: tuple[str, ...] = ()
    count: int = 3
    box: str | None = None
    side: int = 32

    def given_box(self) -> Box | None:
        """The place that was given; raises :class:`ConfigError` if it is none."""
        if self.box is None:
            return None
        try:
            x, y, width, height = (int(part) for part in self.box.split(","))
        except ValueError as error:
            raise ConfigError(
                f"box: got {self.box[:80]!r}, expected four whole numbers x,y,width,height in LR px; change --box"
            ) from error
        return Box(x, y, width, height)


class _Found(NamedTuple):
    """A place in an image, and by how much the methods differ there."""

    spread: float
    position: int
    box: Box


def draw_figures(
    work: Work, methods: Sequence[Method], rates: Sequence[float], tests: Sequence[TestSet], choice: Choice
) -> Iterator[Path]:
    """Draw the crop grids of each test set, then contact sheets of the data; returns the PNG files as they are made.

    Raises
    ------
    ConfigError
        When nothing is trained, an image is not there, or a box is not inside an image.
    """
    cells = _trained_cells(work, methods, rates)
    folder = work.out / "figures"
    for tested in tests:
        for found in _places(cells, tested, choice):
            pair = tested.pixels[found.position]
            results = {cell.method.label: image for cell, image in _results(cells, pair).items()}
            scene = Scene(name=pair.name, scale=tested.scale, box=found.box, hr=np.asarray(pair.hr), results=results)
            path = folder / f"{tested.name}-{pair.name.replace('/', '-')}.png"
            save_figure(crop_grid(scene, _caption(found, choice)), path)
            yield path
    for data in dict.fromkeys([work.data, *(tested.data for tested in tests)]):
        yield _sheet(data, work.scale, folder)


def _trained_cells(work: Work, methods: Sequence[Method], rates: Sequence[float]) -> dict[Cell, Outputs]:
    """The cells of the first seed that are trained, one for each method, with what makes their images."""
    able = [m for m in methods if all(Cell(work, trial).is_trained for trial in trials_of(m, rates))]
    for method in methods:
        if method not in able:
            work.reporter.note(f"{method.label} is left out: not all of its trainings are finished in {work.out}")
    if not able:
        raise ConfigError(f"{work.out}: has none of these methods trained; run table1.py with the same options first")
    cells = [Cell(work, method) for method in with_best_rates(work, able, rates)[0]]
    for cell in cells:
        cell.trained()  # checks that it was trained as the options say
    return {cell: cell.outputs() for cell in cells}


def _results(cells: Mapping[Cell, Outputs], pair: Any) -> dict[Cell, NDArray[Any]]:
    pixels = pair._replace(lr=np.asarray(pair.lr), hr=np.asarray(pair.hr))
    return {cell: outputs(pixels)[cell.main] for cell, outputs in cells.items()}


def _places(cells: Mapping[Cell, Outputs], tested: TestSet, choice: Choice) -> list[_Found]:
    """The images and places to show: the named ones, or those with the largest spread of errors, in that order."""
    names = [pair.name for pair in tested.pairs]
    if missing := [name for name in choice.names if name not in names]:
        raise ConfigError(f"image: {tested.name} has no pair {missing[0]!r}, but {_few(names)}; change --image")
    box = choice.given_box()
    for pair in tested.pairs if box else ():
        if not choice.names or pair.name in choice.names:
            _check_inside(box, pair.lr_size, pair.name)
    found = []
    for position, pixels in enumerate(tested.pixels):
        if choice.names and pixels.name not in choice.names:
            continue
        hr = np.asarray(pixels.hr)
        results = _judged(_results(cells, pixels))
        place = box or largest_spread(results, hr, tested.scale, side=choice.side)[0]
        found.append(_Found(spread_at(results, hr, tested.scale, place), position, place))
    ordered = sorted(found, key=lambda place: -place.spread)
    return ordered if choice.names else ordered[: choice.count]


def _judged(results: Mapping[Cell, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """The results of trained methods, or all of them if fewer than two are."""
    trained = {cell.method.name: image for cell, image in results.items() if cell.method.name != "bicubic"}
    return trained if len(trained) > 1 else {cell.method.name: image for cell, image in results.items()}


def _check_inside(box: Box | None, size: tuple[int, int], name: str) -> None:
    width, height = size
    if box is None:
        return
    inside = box.x >= 0 and box.y >= 0 and box.x + box.width <= width and box.y + box.height <= height
    if not inside or min(box.width, box.height) < 1:
        raise ConfigError(
            f"box: got {','.join(map(str, box))}, expected x,y,width,height inside the {width}x{height} LR px of "
            f"{name}; change --box"
        )


def _caption(found: _Found, choice: Choice) -> str:
    x, y, width, height = found.box
    where = f"Place: {width}×{height} LR px at ({x}, {y}), "
    how = "given by --box." if choice.box else f"chosen by rule: {RULE}."
    return f"{where}{how} Numbers: PSNR dB / SSIM of the whole image, PSNR of the crop (basicsr-y). One seed."


def _sheet(data: Path, scale: int, folder: Path) -> Path:
    """The contact sheet of a dataset: HR of its pairs, evenly chosen if there are too many."""
    pairs = find_pairs(data, scale=scale)
    chosen = [pairs[k] for k in np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), _ON_A_SHEET)).astype(int))]
    pictures = [(pair.name, _thumbnail(pair.hr)) for pair in FilePairs(chosen)]
    count = f"{len(pairs)} pairs" if len(chosen) == len(pairs) else f"{len(chosen)} of {len(pairs)} pairs"
    path = folder / f"sheet-{name_of(data)}.png"
    save_figure(contact_sheet(pictures, f"{name_of(data)} ×{scale}: HR of {count}"), path)
    return path


def _thumbnail(image: Any) -> NDArray[np.uint8]:
    picture = PIL.Image.fromarray(np.ascontiguousarray(to_uint8(np.asarray(image))))
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL), PIL.Image.Resampling.BICUBIC)
    return np.asarray(picture)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
