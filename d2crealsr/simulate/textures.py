"""Procedural pictures: dead leaves, text, and noise for the desk. All except the noise are 8-bit sRGB."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from d2crealsr import opencv
from d2crealsr.types import Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["dead_leaves", "paragraph", "smooth_noise", "text_page"]

Pixels: TypeAlias = "NDArray[np.uint8]"

_SYLLABLES = (
    *("ba", "co", "di", "fe", "gu", "ha", "jo", "ka", "lu", "mi", "no", "pa", "qui", "ra", "so", "ta", "ur", "ve"),
    *("wy", "xo", "za", "len", "mar", "tis", "dor", "pel", "gra", "nim"),
)


def dead_leaves(size: Size, rng: np.random.Generator) -> Pixels:
    """Discs that cover each other, with a scale-invariant density of radii ∝ r⁻³, and small discs scattered on top.

    Notes
    -----
    The dead leaves model: Lee, Mumford and Huang, "Occlusion models for natural images", IJCV 41 (2001),
    doi:10.1023/A:1011109015675. Here the smallest discs are scattered on top of the others instead of covering
    everything. This looks the same and takes a tenth of the time.

    Parameters
    ----------
    size : Size
        Width and height in px.

    Returns
    -------
    (H, W, 3) ndarray of uint8
    """
    palette = _palette(rng, 28)
    canvas = np.empty((size.height, size.width, 3), np.uint8)
    canvas[:] = palette[0]
    _strew(canvas, rng, palette, (6.0, 0.09 * max(size)), coverage=3.0)
    _strew(canvas, rng, palette, (1.2, 6.0), coverage=0.3)
    return canvas


def _palette(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Colours (N, 3) of all lightnesses, mostly muted."""
    lightness = rng.uniform(15, 240, (count, 1))
    tint = rng.normal(0, 1, (count, 3))
    return np.asarray(np.clip(lightness + 28 * (tint - tint.mean(axis=1, keepdims=True)), 4, 250))


def _strew(
    canvas: Pixels,
    rng: np.random.Generator,
    palette: NDArray[np.float64],
    radii: tuple[float, float],
    coverage: float,
) -> None:
    """Draw discs until their areas add up to ``coverage`` canvases, on average."""
    low, high = radii
    mean_area = 2 * np.pi * np.log(high / low) / (low**-2 - high**-2)
    count = int(coverage * canvas.shape[0] * canvas.shape[1] / mean_area)
    radius = (low**-2 - rng.random(count) * (low**-2 - high**-2)) ** -0.5
    centres = rng.random((count, 2)) * (canvas.shape[1], canvas.shape[0]) - 0.5
    colours = palette[rng.integers(0, len(palette), count)] + rng.normal(0, 12, (count, 1))
    opencv.draw_discs(canvas, centres, radius, np.clip(colours, 2, 252).astype(np.uint8))


def paragraph(size: Size, font_px: float, rng: np.random.Generator) -> Pixels:
    """Lines of invented words, black on white, that fill ``size``; (H, W) uint8."""
    font = PIL.ImageFont.load_default(max(4.0, font_px))
    image = PIL.Image.new("L", (size.width, size.height), 255)
    draw = PIL.ImageDraw.Draw(image)
    step = max(1, round(1.28 * font_px))
    for top in range(0, max(1, size.height - step + 1), step):
        draw.text((0, top), _line(rng, int(2.2 * size.width / font_px) + 4), fill=0, font=font)
    return np.asarray(image)


def _line(rng: np.random.Generator, length: int) -> str:
    """A line of at least ``length`` characters."""
    words: list[str] = []
    written = 0
    while written < length:
        word = "".join(rng.choice(_SYLLABLES, rng.integers(1, 4)))
        kind = rng.random()
        word = str(rng.integers(1, 2000)) if kind < 0.08 else word.capitalize() if kind < 0.25 else word
        words.append(word + ("," if rng.random() < 0.1 else ""))
        written += len(words[-1]) + 1
    return " ".join(words)


def text_page(size: Size, px_per_mm: float, rng: np.random.Generator) -> Pixels:
    """Blocks of text on coloured paper, from half a millimetre high to headlines; (H, W, 3) uint8."""
    page = np.empty((size.height, size.width, 3), np.uint8)
    page[:] = 255 - rng.integers(0, 26, 3)
    columns = 3 if size.width > size.height else 2
    gap = round(1.2 * px_per_mm)
    width = (size.width - gap) // columns - gap
    for column in range(columns):
        left, top = gap + column * (width + gap), gap
        while top < size.height - 2 * gap:
            height = min(round(rng.uniform(0.1, 0.28) * size.height), size.height - gap - top)
            letters = float(np.exp(rng.uniform(np.log(0.9), np.log(7.0)))) * px_per_mm
            ink_on(page[top : top + height, left : left + width], paragraph(Size(width, height), letters, rng), rng)
            top += height + gap
    return page


def ink_on(block: Pixels, mask: Pixels, rng: np.random.Generator) -> None:
    """Print ``mask`` (0 is ink) into ``block`` in place; one block in four is light on dark."""
    ink = rng.integers(0, 90, 3).astype(np.float32)
    paper = block[0, 0].astype(np.float32)
    if rng.random() < 0.25:
        ink, paper = paper, ink
    ramp = np.arange(256, dtype=np.float32)[:, None] / 255
    block[:] = np.round(ink + ramp * (paper - ink)).astype(np.uint8)[mask]


def smooth_noise(size: Size, cells: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Random values on a coarse grid of ``cells`` (columns, rows), enlarged smoothly to ``size``; σ about 0.8."""
    coarse = rng.standard_normal((max(2, cells[1]), max(2, cells[0])), dtype=np.float32)
    return np.asarray(opencv.resize(coarse, size, "cubic"), np.float32)
