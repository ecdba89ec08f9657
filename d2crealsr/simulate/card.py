"""The artwork that is printed on a card, as 8-bit sRGB: one function for each kind of card."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from d2crealsr import opencv
from d2crealsr.simulate.recipe import OF_PHOTOGRAPHS
from d2crealsr.simulate.textures import dead_leaves, smooth_noise, text_page
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["draw_artwork"]

Pixels: TypeAlias = "NDArray[np.uint8]"


def draw_artwork(
    kind: str, size: Size, px_per_mm: float, photographs: Sequence[Pixels], rng: np.random.Generator
) -> Pixels:
    """The picture to print.

    Parameters
    ----------
    kind : str
        One of :data:`d2crealsr.simulate.recipe.GENERATORS`.
    size : Size
        Size of the card in card px.
    px_per_mm : float
        Card px per mm, which determines the size of letters.
    photographs : sequence of (H, W, 3) ndarray
        8-bit RGB photographs of one group. All kinds need them but leaves, text, plain and repeated.

    Returns
    -------
    (H, W, 3) ndarray of uint8
        sRGB.
    """
    if kind in OF_PHOTOGRAPHS and not photographs:
        raise ValueError(f"card of kind {kind}: got no photograph, expected at least one; name it in `source`")
    if kind == "leaves":
        return dead_leaves(size, rng)
    if kind == "photos":
        return _collage(size, photographs, rng)
    if kind == "mixed":
        return _mixed(size, px_per_mm, photographs, rng)
    if kind == "text":
        return text_page(size, px_per_mm, rng)
    if kind == "smooth":
        return _interpolated(size, photographs[0])
    if kind == "filled":
        return _filled(size, photographs[0])
    if kind == "tiles":
        return _tiles(size, photographs, rng)
    if kind == "plain":
        return _plain(size, rng)
    if kind == "repeated":
        return _repeated(size, rng)
    raise ValueError(f"unknown kind of card {kind!r}")


def _interpolated(size: Size, photograph: Pixels) -> Pixels:
    """One photograph that fills the card, with cubic interpolation; the parts that stick out are cut off."""
    return np.asarray(opencv.resize(_cut(size, photograph), size, "cubic"), np.uint8)


def _filled(size: Size, photograph: Pixels) -> Pixels:
    """The same, in which the pixels of a photograph that is larger than the card are averaged."""
    cut = _cut(size, photograph)
    shown = opencv.resize(cut, size, "area" if cut.shape[1] > size.width else "cubic")
    return np.asarray(shown, np.uint8)


def _tiles(size: Size, photographs: Sequence[Pixels], rng: np.random.Generator) -> Pixels:
    """Two rows of two photographs, in random order. Fewer than four are repeated."""
    cell, card = Size(size.width // 2, size.height // 2), np.empty((size.height, size.width, 3), np.uint8)
    for place, number in enumerate(rng.permutation(4)):
        top, left = place // 2 * cell.height, place % 2 * cell.width
        shown = _filled(cell, photographs[int(number) % len(photographs)])
        card[top : top + cell.height, left : left + cell.width] = shown
    return card


def _cut(size: Size, photograph: Pixels) -> Pixels:
    """The largest part of a photograph, turned if necessary, with the shape of ``size``."""
    height, width = photograph.shape[:2]
    if (width > height) != (size.width > size.height) and abs(width - height) > 0.2 * width:
        photograph, width, height = np.ascontiguousarray(np.rot90(photograph)), height, width
    grow = max(size.width / width, size.height / height)
    keep_w, keep_h = min(width, round(size.width / grow)), min(height, round(size.height / grow))
    top, left = (height - keep_h) // 3, (width - keep_w) // 2  # heads are in the upper part, so cut less there
    return np.ascontiguousarray(photograph[top : top + keep_h, left : left + keep_w])


def _collage(size: Size, photographs: Sequence[Pixels], rng: np.random.Generator) -> Pixels:
    """Slightly rotated prints of several sizes on a background made of one of them; the smallest lie on top."""
    backdrop = _interpolated(size, photographs[int(rng.integers(len(photographs)))])
    card = np.asarray(backdrop // 2 + 90, np.uint8)
    long_side = max(size)
    # (card px per photo px, largest side of the print as a share of the card, how many)
    shares = [(long_side / 800, 0.5, 5), (long_side / 1700, 0.3, 9), (1.8, 0.22, 12), (1.2, 0.16, 14)]
    for grow, share, count in shares:
        for _ in range(count):
            _stick(card, photographs[int(rng.integers(len(photographs)))], grow, share * long_side, rng)
    return card


def _stick(card: Pixels, photograph: Pixels, grow: float, longest: float, rng: np.random.Generator) -> None:
    """Stick part of a photograph with a white rim on the card: scaled by ``grow``, turned up to 25°, maybe mirrored."""
    height, width = photograph.shape[:2]
    part_w = min(width, int(longest / grow * rng.uniform(0.7, 1)))
    part_h = min(height, int(part_w * rng.uniform(0.6, 1)))
    left, top = int(rng.integers(0, width - part_w + 1)), int(rng.integers(0, height - part_h + 1))
    part = np.rot90(photograph[top : top + part_h, left : left + part_w], int(rng.integers(0, 4)))
    if rng.random() < 0.5:
        part = part[:, ::-1]
    rim = max(1, round(0.02 * max(part.shape[:2])))
    part = np.pad(part, ((rim, rim), (rim, rim), (0, 0)), constant_values=245)
    _place(card, np.ascontiguousarray(part), grow, float(rng.uniform(-0.44, 0.44)), rng)


def _place(card: Pixels, part: Pixels, grow: float, angle: float, rng: np.random.Generator) -> None:
    height, width = part.shape[:2]
    cos, sin = np.cos(angle), np.sin(angle)
    reach_x = 0.5 * grow * (abs(cos) * width + abs(sin) * height) + 2
    reach_y = 0.5 * grow * (abs(sin) * width + abs(cos) * height) + 2
    centre_x, centre_y = rng.random(2) * (card.shape[1], card.shape[0])
    x0, x1 = max(0, int(centre_x - reach_x)), min(card.shape[1], int(centre_x + reach_x) + 1)
    y0, y1 = max(0, int(centre_y - reach_y)), min(card.shape[0], int(centre_y + reach_y) + 1)
    to_part = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, grow]]) / grow
    shift_in = np.array([[1, 0, x0 - centre_x], [0, 1, y0 - centre_y], [0, 0, 1.0]])
    shift_out = np.array([[1, 0, (width - 1) / 2], [0, 1, (height - 1) / 2], [0, 0, 1.0]])
    H = shift_out @ to_part @ shift_in
    window = Size(x1 - x0, y1 - y0)
    print_ = opencv.warp(part, H, window, "cubic")
    xs, ys = np.arange(window.width), np.arange(window.height)[:, None]
    u, v = H[0, 0] * xs + H[0, 1] * ys + H[0, 2], H[1, 0] * xs + H[1, 1] * ys + H[1, 2]
    inside = (u > 0) & (u < width - 1) & (v > 0) & (v < height - 1)
    card[y0:y1, x0:x1] = np.where(inside[..., None], print_, card[y0:y1, x0:x1])


def _mixed(size: Size, px_per_mm: float, photographs: Sequence[Pixels], rng: np.random.Generator) -> Pixels:
    """A collage, a panel of dead leaves and one of text, side by side in random order."""
    card = _collage(size, photographs, rng)
    landscape = size.width > size.height
    third = (size.width if landscape else size.height) // 3
    panel = Size(third, size.height) if landscape else Size(size.width, third)
    slots = rng.permutation(3)
    for slot, picture in zip(slots[:2], (dead_leaves(panel, rng), text_page(panel, px_per_mm, rng)), strict=True):
        start = int(slot) * third
        if landscape:
            card[:, start : start + third] = picture
        else:
            card[start : start + third] = picture
    return card


def _plain(size: Size, rng: np.random.Generator) -> Pixels:
    """A pale card with faint clouds of about one grey level and no edge."""
    clouds = smooth_noise(size, (6, 4), rng)
    tone = rng.uniform(180, 215, 3).astype(np.float32)
    return np.asarray(np.clip(tone + 1.2 * clouds[..., None], 0, 255).round(), np.uint8)


def _repeated(size: Size, rng: np.random.Generator) -> Pixels:
    """One small tile of dead leaves, repeated like wallpaper."""
    side = max(24, max(size) // 60)
    tile = dead_leaves(Size(side, side), rng)
    across, down = -(-size.width // side), -(-size.height // side)
    return np.ascontiguousarray(np.tile(tile, (down, across, 1))[: size.height, : size.width])
