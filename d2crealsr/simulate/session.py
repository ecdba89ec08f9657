"""The random numbers of a scene: two shots of one card, drawn from the simulator's fixed distributions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from d2crealsr.simulate.camera import Camera, look_at

if TYPE_CHECKING:
    import numpy as np

    from d2crealsr.simulate.overlay import Overlay
    from d2crealsr.simulate.sleeve import Sleeve
    from d2crealsr.types import Array, Size

__all__ = ["CARD_MM", "Screen", "Session", "Shot", "draw_session"]

CARD_MM = (150.0, 100.0)
"""Width and height of the printed card; a portrait capture shows a portrait card."""
_WIDE_FIELD_DEG = 50.0
Screen: TypeAlias = Literal["", "am-133", "am-200", "inkjet"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One of the two exposures. Shifts are in tele frames, tilts and roll in degrees, ``psf_sigma`` in sensor px."""

    psf_sigma: float
    tilt_x: float
    tilt_y: float
    roll: float
    shift_x: float
    shift_y: float
    exposure: float
    wb: tuple[float, float, float]
    vignetting: float
    k1: float = 0.0
    ca_r: float = 0.0
    ca_b: float = 0.0
    orientation: int = 1
    overlay: Overlay | None = None
    noise: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One scene: two shots of one card.

    Attributes
    ----------
    zoom : float
        Focal length of the tele shot divided by that of the wide shot.
    card_fraction : float
        Long side of the card divided by that of the tele frame.
    screen : str
        How the card is printed: in continuous tone, with an AM screen, or by ink jet.
    card_kind : str
        Kind of card that replaces the one of the recipe; empty to use the recipe's.
    border : float
        Width of the white border around the card's picture, divided by the card's long side.
    sleeve : Sleeve, optional
        The clear sleeve in which the card lies.
    """

    size: Size
    scale: int
    zoom: float
    hr: Shot
    lr: Shot
    card_fraction: float = 1.1
    bow_mm: float = 0.0
    screen: Screen = ""
    card_kind: str = ""
    same_scene: bool = True
    border: float = 0.0
    sleeve: Sleeve | None = None

    @property
    def card_mm(self) -> tuple[float, float]:
        """Width and height of the card in its orientation in the frame, in mm."""
        return CARD_MM if self.size.width >= self.size.height else (CARD_MM[1], CARD_MM[0])

    @property
    def hr_px_mm(self) -> float:
        """Size of a tele pixel on the card, in mm."""
        return CARD_MM[0] / (self.card_fraction * max(self.size))

    @property
    def cameras(self) -> tuple[Camera, Camera]:
        """The tele and the wide camera."""
        wide = max(self.size) / 2 / math.tan(math.radians(_WIDE_FIELD_DEG / 2))
        distance = wide * self.zoom * self.hr_px_mm
        return self._camera(self.hr, wide * self.zoom, distance), self._camera(self.lr, wide, distance)

    def _camera(self, shot: Shot, focal_px: float, distance: float) -> Camera:
        aim = (shot.shift_x * self.size.width * self.hr_px_mm, shot.shift_y * self.size.height * self.hr_px_mm)
        rotation, translation = look_at(aim, distance, (shot.tilt_x, shot.tilt_y), shot.roll)
        return Camera(
            size=self.size,
            focal_px=focal_px,
            rotation=rotation,
            translation=translation,
            k1=shot.k1,
            stretch=(1 + shot.ca_r, 1.0, 1 + shot.ca_b),
            bow_mm=self.bow_mm,
            half_card_mm=self.card_mm[0] / 2,
        )


def draw_session(rng: np.random.Generator, size: Size, scale: int) -> Session:
    """Draw the numbers of a scene from the fixed distributions. Nuisances change the result afterwards."""
    tilt = rng.uniform(-3, 3, 2)
    tilt_lr = tilt + rng.uniform(-1, 1, 2)
    zoom = rng.uniform(7.7, 8.4) * scale / 8
    exposure_lr = rng.uniform(0.8, 1.2)
    return Session(
        size=size,
        scale=scale,
        zoom=float(zoom),
        hr=_draw_shot(rng, tilt, 1.0, (0.05, 0.25)),
        lr=_draw_shot(rng, tilt_lr, float(exposure_lr), (0.1, 0.4)),
    )


def _draw_shot(rng: np.random.Generator, tilt: Array, exposure: float, vignetting: tuple[float, float]) -> Shot:
    psf, roll = rng.uniform(0.6, 1.2), rng.uniform(-1.5, 1.5)
    shift = rng.uniform(-0.03, 0.03, 2)
    red, green, blue = (float(gain) for gain in rng.uniform(0.96, 1.04, 3))
    return Shot(
        psf_sigma=float(psf),
        tilt_x=float(tilt[0]),
        tilt_y=float(tilt[1]),
        roll=float(roll),
        shift_x=float(shift[0]),
        shift_y=float(shift[1]),
        exposure=exposure,
        wb=(red, green, blue),
        vignetting=float(rng.uniform(*vignetting)),
    )
