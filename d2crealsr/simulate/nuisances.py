"""Nuisances by name. Each changes the drawn numbers of a scene, and draws its own numbers from a separate stream.

A scene with a nuisance therefore differs from the scene without it only in the nuisance itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from d2crealsr.simulate.overlay import Overlay
from d2crealsr.simulate.sleeve import Sleeve
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.simulate.session import Screen, Session

__all__ = ["MARKED_CARDS", "NUISANCES", "Nuisance"]

MARKED_CARDS = "marked-cards"
"""Name of the nuisance whose cards are rendered pages, one for each scene."""

Change: TypeAlias = "Callable[[Session, np.random.Generator], Session]"


class Nuisance(NamedTuple):
    """What a nuisance does, in words, and the change itself."""

    about: str
    change: Change


def _lr(session: Session, **changes: Any) -> Session:
    return replace(session, lr=replace(session.lr, **changes))


def _hr(session: Session, **changes: Any) -> Session:
    return replace(session, hr=replace(session.hr, **changes))


def _sign(rng: np.random.Generator) -> float:
    return float(rng.choice([-1.0, 1.0]))


def _either(session: Session, rng: np.random.Generator, overlay: Overlay) -> Session:
    """Put the overlay into the HR or the LR shot, with equal probability."""
    return _hr(session, overlay=overlay) if rng.random() < 0.5 else _lr(session, overlay=overlay)


def _exposure(session: Session, rng: np.random.Generator) -> Session:
    return _lr(session, exposure=4 * session.lr.exposure)


def _occlusion(session: Session, rng: np.random.Generator) -> Session:
    width, height = session.card_mm
    angle = float(rng.uniform(0, 2 * np.pi))
    # Distances from the card's centre along the sheet's axis: 30 % of the card lies beyond the 70th percentile.
    grid_x, grid_y = np.meshgrid(np.linspace(-0.5, 0.5, 301) * width, np.linspace(-0.5, 0.5, 201) * height)
    edge = float(np.quantile(np.cos(angle) * grid_x + np.sin(angle) * grid_y, 0.7))
    half = 70.0
    red, green, blue = (float(c) for c in rng.uniform(0.15, 0.7, 3))
    overlay = Overlay(
        kind="sheet",
        x=(edge + half) * float(np.cos(angle)),
        y=(edge + half) * float(np.sin(angle)),
        angle=angle,
        half_length=half,
        half_width=120.0,
        colour=(red, green, blue),
    )
    return _either(session, rng, overlay)


def _glare(session: Session, rng: np.random.Generator) -> Session:
    width, height = session.card_mm
    longer = float(rng.uniform(1.0, 1.6))
    area = 0.2 * width * height / np.pi
    overlay = Overlay(
        kind="glare",
        x=float(rng.uniform(-0.12, 0.12)) * width,
        y=float(rng.uniform(-0.12, 0.12)) * height,
        angle=float(rng.uniform(0, np.pi)),
        half_length=float(np.sqrt(area * longer)),
        half_width=float(np.sqrt(area / longer)),
    )
    return _either(session, rng, overlay)


def _small_object(session: Session, rng: np.random.Generator) -> Session:
    """A slip of paper within the default crop, between white and black, whose sides are 36 to 96 HR px."""
    width, height = (side * session.hr_px_mm for side in session.size)
    half_length, half_width = (float(side) / 2 * session.hr_px_mm for side in rng.uniform(36, 96, 2))
    x, y = (float(share) for share in rng.uniform(-0.22, 0.22, 2))
    red, green, blue = (float(c) for c in rng.uniform(0.02, 0.9, 3))
    overlay = Overlay(
        kind="sheet",
        x=x * width,
        y=y * height,
        angle=float(rng.uniform(0, np.pi)),
        half_length=half_length,
        half_width=half_width,
        colour=(red, green, blue),
    )
    return _either(session, rng, overlay)


def _tilt(session: Session, rng: np.random.Generator) -> Session:
    """Both cameras look at the card at an angle of 15°; the small difference between the shots remains."""
    direction = rng.uniform(0, 2 * np.pi)
    goal_x, goal_y = 15 * np.cos(direction), 15 * np.sin(direction)
    add_x, add_y = float(goal_x) - session.hr.tilt_x, float(goal_y) - session.hr.tilt_y
    session = _lr(session, tilt_x=session.lr.tilt_x + add_x, tilt_y=session.lr.tilt_y + add_y)
    return _hr(session, tilt_x=float(goal_x), tilt_y=float(goal_y))


def _distortion(share: float) -> Change:
    return lambda session, rng: _hr(session, k1=share * _sign(rng))


def _chromatic(session: Session, rng: np.random.Generator) -> Session:
    red = 5e-4 * _sign(rng)
    return _hr(session, ca_r=red, ca_b=-red)


def _printed(screen: Screen) -> Change:
    return lambda session, rng: replace(session, screen=screen)


def _card(kind: Literal["plain", "repeated", "smooth"]) -> Change:
    return lambda session, rng: replace(session, card_kind=kind)


def _off_centre(session: Session, rng: np.random.Generator) -> Session:
    """Aim the wide camera past the card by a fifth of its frame, whose width is ``zoom`` tele frames."""
    x, y = 0.2 * session.zoom * _sign(rng), 0.2 * session.zoom * _sign(rng)
    return _lr(session, shift_x=session.lr.shift_x + x, shift_y=session.lr.shift_y + y)


def _off_centre_lens(session: Session, rng: np.random.Generator) -> Session:
    return _lr(_off_centre(session, rng), k1=0.03 * _sign(rng))


def _white_border(session: Session, rng: np.random.Generator) -> Session:
    """A small card whose white border begins within the default crop, while its edge lies outside."""
    return replace(session, card_fraction=0.66, border=0.08)


def _sleeve(session: Session, rng: np.random.Generator) -> Session:
    """A small card in a clear sleeve, whose rim begins within the default crop."""
    sleeve = Sleeve(
        rim_mm=float(rng.uniform(6, 12)),
        shine=float(rng.uniform(0.2, 0.8)),
        period_mm=float(rng.uniform(15, 60)),
        phase=float(rng.uniform(0, 2 * np.pi)),
    )
    return replace(session, card_fraction=0.5, sleeve=sleeve)


_SKIN = ((0.16, 0.08, 0.05), (0.6, 0.38, 0.28))
"""Light that dark and pale skin reflects."""


def _hand(session: Session, rng: np.random.Generator) -> Session:
    """A finger that reaches from beside the card 5 to 12 mm into the default crop. It is in both shots."""
    half = np.array(session.card_mm) / 2
    crop = 0.576 * np.array(session.size) * session.hr_px_mm / 2
    axis, side = int(rng.integers(2)), _sign(rng)
    tip, towards = np.empty(2), np.empty(2)
    tip[axis], tip[1 - axis] = side * (crop[axis] - rng.uniform(5, 12)), rng.uniform(-0.8, 0.8) * crop[1 - axis]
    towards[axis], towards[1 - axis] = side, rng.uniform(-0.3, 0.3)
    towards /= np.hypot(*towards)
    half_length = float(half[axis])  # so long that the hand is not seen
    x, y = (float(at) for at in tip + half_length * towards)
    dark, pale = np.array(_SKIN)
    red, green, blue = (float(c) for c in dark + rng.random() * (pale - dark))
    finger = Overlay(
        kind="finger",
        x=x,
        y=y,
        angle=float(np.arctan2(towards[1], towards[0])),
        half_length=half_length,
        half_width=float(rng.uniform(6, 10)),
        colour=(red, green, blue),
    )
    return _lr(_hr(session, overlay=finger), overlay=finger)


def _portrait(session: Session, rng: np.random.Generator) -> Session:
    return replace(session, size=Size(session.size.height, session.size.width))


def _flags(session: Session, rng: np.random.Generator) -> Session:
    hr, lr = (int(flag) for flag in rng.permutation([1, 3, 6, 8])[:2])
    return _lr(_hr(session, orientation=hr), orientation=lr)


def _turned(session: Session, rng: np.random.Generator) -> Session:
    return _lr(session, roll=session.lr.roll + float(rng.choice([90.0, 180.0, 270.0])))


def _rolled(session: Session, rng: np.random.Generator) -> Session:
    return _lr(session, roll=session.lr.roll + _sign(rng) * float(rng.uniform(30, 90)))


NUISANCES: dict[str, Nuisance] = {
    "lr-exposure-x4": Nuisance("the LR shot is exposed two stops longer and clips", _exposure),
    "occlusion": Nuisance("a sheet hides 30 % of the card in one of the shots", _occlusion),
    "glare": Nuisance("a glare drowns 20 % of the card in one of the shots", _glare),
    "small-object": Nuisance("a slip of paper of 36 to 96 HR px lies on the card in one of the shots", _small_object),
    "lr-psf": Nuisance("the LR shot is out of focus: PSF sigma 3.5 px", lambda s, rng: _lr(s, psf_sigma=3.5)),
    "tilt": Nuisance("both shots look at the card from 15 degrees aside", _tilt),
    "distortion-0.5": Nuisance("the tele lens distorts by 0.5 % at the frame's corner", _distortion(0.005)),
    "distortion-2": Nuisance("the tele lens distorts by 2 % at the frame's corner", _distortion(0.02)),
    "chromatic-aberration": Nuisance("red and blue of the tele lens are 0.05 % larger and smaller", _chromatic),
    "halftone-133": Nuisance("the card is printed with an AM screen of 133 lines per inch", _printed("am-133")),
    "halftone-200": Nuisance("the card is printed with an AM screen of 200 lines per inch", _printed("am-200")),
    "inkjet": Nuisance("the card is printed with the random dots of an ink jet", _printed("inkjet")),
    "bowed-card": Nuisance("the card is bowed by 3 mm", lambda s, rng: replace(s, bow_mm=3.0 * _sign(rng))),
    "off-centre": Nuisance("the card lies a fifth of the frame off the LR frame's centre", _off_centre),
    "off-centre-lens": Nuisance("the same, and the wide lens distorts by 3 % at the frame's corner", _off_centre_lens),
    "desk-in-frame": Nuisance("the card fills 80 % of the HR frame", lambda s, rng: replace(s, card_fraction=0.8)),
    "white-border": Nuisance("a small card with a white border, which begins within the default crop", _white_border),
    "desk-in-crop": Nuisance("the card fills half of the HR frame", lambda s, rng: replace(s, card_fraction=0.5)),
    "sleeve": Nuisance("a small card in a clear sleeve, whose rim begins within the default crop", _sleeve),
    "hand": Nuisance("a finger reaches from beside the card into the default crop, in both shots", _hand),
    "low-texture": Nuisance("the card is nearly blank", _card("plain")),
    "repetition": Nuisance("the card shows one pattern over and over", _card("repeated")),
    "wrong-scene": Nuisance("the LR shot is of another card", lambda s, rng: replace(s, same_scene=False)),
    "portrait": Nuisance("both cameras and the card are turned upright", _portrait),
    "orientation-flags": Nuisance("the files lie turned, with EXIF flags that differ between HR and LR", _flags),
    "turned-camera": Nuisance("the LR camera is turned by 90, 180 or 270 degrees and no flag says so", _turned),
    "rolled": Nuisance("the LR camera is turned by 30 to 90 degrees to either side", _rolled),
    MARKED_CARDS: Nuisance("the card is a rendered page of marked cards, a file of --photos", _card("smooth")),
}
"""Every nuisance by its name in ``--nuisance``."""
