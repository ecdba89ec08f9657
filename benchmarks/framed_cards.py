"""Simulated cards with something around their picture: borders, desks of many kinds, a sleeve, a finger.

What the simulator has a nuisance for is taken from there. The other kinds paint the printed card or replace the desk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.card_pages import artwork_of, pages_of
from benchmarks.scenes import PLAIN, BenchScene
from d2crealsr import opencv
from d2crealsr.imaging.largest_rectangle import largest_rectangle
from d2crealsr.simulate.camera import cast_rays
from d2crealsr.simulate.desk import Desk
from d2crealsr.simulate.overlay import covers
from d2crealsr.simulate.photographs import wheel_library
from d2crealsr.simulate.printing import PrintedCard
from d2crealsr.simulate.recipe import stream
from d2crealsr.simulate.render import Tabletop
from d2crealsr.simulate.shoot import lay_card, printed, session_for, tele_shot, wide_shot
from d2crealsr.simulate.textures import dead_leaves
from d2crealsr.simulate.truth import truth_of
from d2crealsr.types import Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.simulate.overlay import Overlay
    from d2crealsr.simulate.session import Session
    from d2crealsr.simulate.settings import SizeName
    from d2crealsr.types import Array, Crop, Image

    Random = np.random.Generator

__all__ = ["KINDS", "FramedCard"]

KINDS = {
    PLAIN: PLAIN,
    "inner-frame": PLAIN,
    "white-areas": PLAIN,
    "marked": PLAIN,
    "white-border": "white-border",
    "coloured-border": "white-border",
    "turned-border": "white-border",
    "desk": "desk-in-crop",
    "cloth": "desk-in-crop",
    "printed-desk": "desk-in-crop",
    "dark": "desk-in-crop",
    "sleeve": "sleeve",
    "hand": "hand",
    "partial-border": "white-border",
    "turned-far": "white-border",
    "plain on print": PLAIN,
    "inner-frame on print": PLAIN,
}
"""Every kind, and the simulator's nuisance on which it is built.

inner-frame: the picture itself shows a frame within the crop; white-areas: it has a white band along one or two sides
that reaches into the crop; marked: a card of ``d2crealsr cards``; coloured-border: a border of any even colour;
turned-border: the card is turned by 4 to 9 degrees before the cameras; cloth: a checked cloth; printed-desk: a cloth
printed with discs of all colours; dark: a dark card on a dark desk; partial-border: a white border on one side or two;
turned-far: a white border, and the card is turned by 11 to 20 degrees; plain on print and inner-frame on print: the
same as those kinds, on the cloth of printed-desk.
"""

_TURNED = {"turned-border": (4, 9), "turned-far": (11, 20)}
"""Degrees by which cards are turned."""

_ON_PRINT = ("printed-desk", "plain on print", "inner-frame on print")
"""Kinds on a printed cloth."""


@dataclass(frozen=True, kw_only=True)
class FramedCard:
    """A card of a kind; a seed decides what is on it and around it."""

    kind: str
    seed: int
    size: SizeName = "mini"

    @cached_property
    def scene(self) -> BenchScene:
        """The scene without what the simulator has no nuisance for."""
        return BenchScene(seed=self.seed, size=self.size, nuisance=KINDS[self.kind])

    @cached_property
    def session(self) -> Session:
        """Its drawn numbers."""
        session, rng = session_for(self.scene.recipe, self.scene.settings), self._random(0)
        if self.kind == "white-areas":  # the card ends just outside of the crop
            return replace(session, card_fraction=0.75)
        if self.kind not in _TURNED:
            return session
        turn = float(rng.choice([-1, 1]) * rng.uniform(*_TURNED[self.kind]))
        hr, lr = (replace(shot, roll=shot.roll + turn) for shot in (session.hr, session.lr))
        return replace(session, hr=hr, lr=lr)

    @cached_property
    def borders(self) -> tuple[float, float, float, float]:
        """Widths of the border left, above, right and below the picture, as shares of the card's long side."""
        if self.kind != "partial-border":
            return (self.session.border,) * 4
        rng = self._random(2)
        sides = rng.choice(4, size=int(rng.integers(1, 3)), replace=False)
        left, top, right, bottom = (self.session.border if side in sides else 0.0 for side in range(4))
        return left, top, right, bottom

    @property
    def true_mapping(self) -> CaptureMapping:
        """Where HR truly lies in LR."""
        return self.scene.mapping(truth_of(self.session).H_hr_to_lr)

    @property
    def lr(self) -> Image:
        """LR, as a JPEG file of quality 95 returns it."""
        return self._shot(1)

    @property
    def hr(self) -> Image:
        """HR, likewise."""
        return self._shot(0)

    @cached_property
    def _table(self) -> Tabletop:
        session, rng = self.session, self._random(1)
        is_partial = self.kind == "partial-border"
        card = _printed(self.seed, self.size, 0.0 if is_partial else session.border, self.kind == "marked")
        card = _bordered(card, self.borders) if is_partial else _painted(self.kind, card, session, rng)
        table = lay_card(card, session, stream("desk", *self._seeds))
        return Tabletop(card, _desk(self.kind, table.desk, rng), session.sleeve)

    @property
    def _seeds(self) -> tuple[int, int]:
        return self.scene.recipe.capture_seed, self.scene.settings.seed

    def _shot(self, camera: int) -> Image:
        take, name = ((tele_shot, "noise-hr"), (wide_shot, "noise-lr"))[camera]
        shot = take(self.session, self._table, stream(name, *self._seeds))
        return opencv.as_image(opencv.decode(opencv.encode_jpeg(shot, 95)))

    def beyond_picture(self, crop: Crop) -> tuple[float, float]:
        """How far a crop reaches beyond the picture or under a finger (LR px; 0 or less: not), and its share there."""
        x = np.linspace(crop.x - 0.5, crop.x + crop.width - 0.5, 2 * crop.width + 1)
        y = np.linspace(crop.y - 0.5, crop.y + crop.height - 0.5, 2 * crop.height + 1)
        beyond = self._foreign(x, y)
        return float(beyond.max()), float((beyond > 0).mean())

    def best_area(self, crop: Crop) -> int:
        """Area in LR px of the largest part of a crop that is picture and nothing else."""
        x, y = (np.arange(n + 1) + at - 0.5 for n, at in ((crop.width, crop.x), (crop.height, crop.y)))
        free = self._foreign(x, y) <= 0
        cells = free[1:, 1:] & free[1:, :-1] & free[:-1, 1:] & free[:-1, :-1]
        return int(np.prod(largest_rectangle(cells)[2:]))

    def _foreign(self, xs: NDArray[np.floating], ys: NDArray[np.floating]) -> Array:
        """How far places of LR lie beyond the picture or under a finger, in LR px: columns ``xs``, rows ``ys``."""
        session, finger = self.session, self.session.lr.overlay
        px_mm = session.hr_px_mm * session.zoom
        x, y = cast_rays(session.cameras[1], xs.astype(np.float64), ys.astype(np.float64))
        left, top, right, bottom = (border * max(session.card_mm) for border in self.borders)
        half_width, half_height = (side / 2 for side in session.card_mm)
        across = np.maximum(left - half_width - x, x - half_width + right)
        beyond = np.maximum(across, np.maximum(top - half_height - y, y - half_height + bottom)) / px_mm
        return np.asarray(beyond) if finger is None else np.maximum(beyond, _under(finger, x, y, px_mm))

    def _random(self, number: int) -> Random:
        return np.random.default_rng([self.seed, list(KINDS).index(self.kind), number])


@lru_cache(maxsize=3)
def _printed(seed: int, size: SizeName, border: float, is_page: bool) -> PrintedCard:
    """The card of a seed, with a white border or as ``d2crealsr cards`` makes it. Most kinds have the same one."""
    scene = BenchScene(seed=seed, size=size)
    session = replace(session_for(scene.recipe, scene.settings), border=border)
    page = pages_of([artwork_of(scene)])[0].astype(np.uint8) if is_page else None
    return printed(scene.recipe, session, wheel_library(), page)


def _under(finger: Overlay, x: Array, y: Array, px_mm: float) -> Array:
    """How far places on a card lie within the outline of a finger, in px to a quarter; less than 0 outside."""
    depth = np.full(x.shape, -np.inf)
    for less in np.arange(0, finger.half_width, 0.25 * px_mm):
        smaller = replace(finger, half_length=finger.half_length - less, half_width=finger.half_width - less)
        depth[covers(smaller, x, y)] = max(less / px_mm, 0.01)
    return depth


def _painted(kind: str, card: PrintedCard, session: Session, rng: Random) -> PrintedCard:
    """The printed card of a kind."""
    light = card.light.copy()
    height, width = light.shape[:2]
    if kind == "coloured-border":
        border = round(session.border * max(height, width))
        light = np.full_like(light, 1) * (65535 * rng.uniform(0.03, 0.8, 3)).astype(np.uint16)
        inner = (slice(border, height - border), slice(border, width - border))
        light[inner] = card.light[inner]
    elif kind == "dark":
        light = (0.12 * light + 300).astype(np.uint16)
    elif kind in ("inner-frame", "inner-frame on print"):
        left, top, wide = (round(share * width) for share in (*rng.uniform(0.26, 0.36, 2) * (1, height / width), 0.02))
        light[top : height - top, left : width - left] = 57000 if rng.random() < 0.5 else 2500
        inner = (slice(top + wide, height - top - wide), slice(left + wide, width - left - wide))
        light[inner] = card.light[inner]
    elif kind == "white-areas":
        first = int(rng.integers(4))
        for side in {first, (first + int(rng.integers(2))) % 4}:
            turned = np.rot90(light, side)
            turned[: round(rng.uniform(0.15, 0.25) * len(turned))] = 55000
    return PrintedCard(light, card.width_mm, card.height_mm)


def _bordered(card: PrintedCard, borders: tuple[float, float, float, float]) -> PrintedCard:
    """A card whose outer parts are white, as wide on each side as its long side times a share."""
    light = card.light.copy()
    height, width = light.shape[:2]
    left, top, right, bottom = (round(border * max(height, width)) for border in borders)
    for strip in (light[:top], light[height - bottom :], light[:, :left], light[:, width - right :]):
        strip[:] = 55000
    return PrintedCard(light, card.width_mm, card.height_mm)


def _desk(kind: str, desk: Desk, rng: Random) -> Desk:
    """The desk of a kind: the simulator's of wood or stone, or one of its own, as large and twice as fine."""
    height, width = (2 * side for side in desk.light.shape[:2])
    if kind == "dark":
        return Desk((0.15 * desk.light + 600).astype(np.uint16), desk.mm_per_px)
    if kind == "cloth":
        across, down = rng.uniform(14, 40, 2)
        y, x = np.mgrid[:height, :width]
        threads = ((x // across) % 2 + (y // down) % 2)[..., None] / 2
        one, other = rng.uniform(0.05, 0.6, (2, 3))
        weave = 0.04 * rng.standard_normal((height, width, 1))
        return _finer(desk, one + (other - one) * threads + weave)
    if kind in _ON_PRINT:
        return _finer(desk, 0.02 + 0.8 * (dead_leaves(Size(width, height), rng) / 255) ** 2.2)
    return desk


def _finer(desk: Desk, light: NDArray[np.floating]) -> Desk:
    return Desk((65535 * np.clip(light, 0.01, 0.9)).astype(np.uint16), desk.mm_per_px / 2)
