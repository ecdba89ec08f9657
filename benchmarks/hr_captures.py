"""HR captures of one simulated card: sharp ones, soft ones, and ones that owe a share of their zoom to enlargement.

What the lens contributes is rendered once for each scene, with noise and demosaicing, and kept in a folder if asked.
What software contributes (enlargement, sharpening, JPEG) is done in memory.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.scenes import simulator_fingerprint
from benchmarks.smooth_cards import published_part
from d2crealsr import opencv
from d2crealsr.imaging import photometry
from d2crealsr.imaging.estimate import Estimate
from d2crealsr.imaging.photometry import Photometry
from d2crealsr.imaging.placement import Placement
from d2crealsr.imaging.warp import warp_hr
from d2crealsr.simulate.photographs import wheel_library
from d2crealsr.simulate.printing import PrintedCard
from d2crealsr.simulate.recipe import stream
from d2crealsr.simulate.render import Grid, Tabletop, light_on, sampling_for
from d2crealsr.simulate.sensor import develop, expose
from d2crealsr.simulate.shoot import lay_card, printed, render_reference, session_for, wide_shot
from d2crealsr.store.files import write_bytes
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.scenes import BenchScene
    from d2crealsr.simulate.session import Session
    from d2crealsr.types import Image

__all__ = ["SHARES", "SHARP", "SOFT", "Captures", "captures", "enlarged", "jpeg", "shares_at", "sharpened"]

SHARES = (8.0, 4.0, 2.0, 1.5)
"""Digital shares of the zoom: the lens is set to the scale divided by the share, and software does the rest."""

SHARP = "sharp"
SOFT = ("defocus-2", "defocus-4", "motion-8", "print-300-dpi-24-MP", "print-300-dpi-6-MP")
"""Soft captures: a blur of the lens with σ = 2 or 4 HR px, a shake of 8 HR px, and cards printed with 300 dots per inch
in front of cameras with that many pixels."""

_STRIP_ROWS = 64
"""Rows rendered at a time, which limits the memory."""
_SHAKE_HR_PX = 8
_DOTS = 300 * 150 / 25.4
_FRAMES = {"print-300-dpi-24-MP": 6000, "print-300-dpi-6-MP": 3000}
"""Dots along a card of 150 mm, and the longer side of the frame in HR px."""


@dataclass(frozen=True, kw_only=True)
class Captures:
    """What the lens contributes to the captures of one scene, as it was developed."""

    scene: BenchScene
    files: dict[str, NDArray[np.uint8]]

    def picture(self, name: str) -> Image:
        """A capture by name: ``lr``, ``sharp``, a soft one, ``zoom-4`` for a share of 4, or ``reference``."""
        return opencv.as_image(opencv.decode(self.files[name].tobytes()))

    @cached_property
    def true_placement(self) -> Placement:
        """Where the default crop lies."""
        return Placement(self.scene.true_mapping, self.scene.true_crop, self.scene.scale)

    def published(self, hr: Image) -> Image:
        """An HR capture as the pair of the true mapping publishes it, in its own brightness."""
        return warp_hr(hr, Estimate(placement=self.true_placement, light=Photometry(tone="srgb")))

    @property
    def published_reference(self) -> Image:
        """The card without noise, over the same crop."""
        return published_part(self.scene, self.picture("reference"))


def captures(scene: BenchScene, folder: Path | None) -> Captures:
    """The captures of a scene; kept in ``folder`` if given."""
    path = folder and folder / simulator_fingerprint() / f"{scene.size}-x{scene.scale}" / f"{scene.name}-hr.npz"
    if path and path.exists():
        with np.load(path) as kept:
            return Captures(scene=scene, files=dict(kept))
    files = {name: np.frombuffer(data, np.uint8) for name, data in _made(scene).items()}
    if path:
        packed = io.BytesIO()
        np.savez(packed, allow_pickle=False, **files)
        write_bytes(path, packed.getvalue())
    return Captures(scene=scene, files=files)


def shares_at(scale: int) -> list[float]:
    """The shares of digital zoom at a scale."""
    return [share for share in SHARES if share < 1.6 * scale]


def _made(scene: BenchScene) -> dict[str, bytes]:
    recipe, settings = scene.recipe, scene.settings
    session, library = session_for(recipe, settings), wheel_library()
    seeds = (recipe.capture_seed, settings.seed)
    card = printed(recipe, session, library)
    table = lay_card(card, session, stream("desk", *seeds))
    noise = stream("noise-hr", *seeds)
    light = _light(session, table)
    blurs = {SHARP: lambda seen: seen, "motion-8": _shaken(noise)}
    for sigma in (2, 4):
        more = float(np.sqrt(sigma**2 - session.hr.psf_sigma**2))
        blurs[f"defocus-{sigma}"] = functools.partial(opencv.blur, sigma=more)
    developed = {name: _developed(blur(light), session, noise) for name, blur in blurs.items()}
    for name, frame in _FRAMES.items():
        dots = round(_DOTS * max(session.size) / frame)
        light = _light(session, Tabletop(_coarse(card, dots), table.desk))
        developed[name] = _developed(light, session, noise)
    files = {name: opencv.encode_jpeg(image) for name, image in developed.items()}
    for share in shares_at(scene.scale):
        sides = (2 * round(side / share / 2) for side in session.size)
        shorter = replace(session, size=Size(*sides))
        files[f"zoom-{share:g}"] = opencv.encode_png(_developed(_light(shorter, table), shorter, noise))
    files["lr"] = opencv.encode_jpeg(wide_shot(session, table, stream("noise-lr", *seeds)))
    files["reference"] = opencv.encode_png(render_reference(session, table, scene.truth))
    return files


def _light(session: Session, table: Tabletop) -> NDArray[np.float32]:
    """The light on the sensor of the tele camera. A smaller size is a shorter lens in front of the same pixels."""
    size = session.size
    whole = Grid(left=-0.5, top=-0.5, pitch=1.0, width=size.width, height=size.height)
    sampling = sampling_for(session.hr_px_mm * table.card.light.shape[1] / table.card.width_mm)
    light = np.empty((size.height, size.width, 3), np.float32)
    for top in range(0, size.height, _STRIP_ROWS):
        strip = whole.strip(top, min(_STRIP_ROWS, size.height - top))
        light[top : top + strip.height] = light_on(
            strip, table, session.cameras[0], session.hr.psf_sigma, None, sampling
        )
    return light


def _developed(light: NDArray[np.float32], session: Session, rng: np.random.Generator) -> NDArray[np.uint8]:
    return develop(expose(light, 0, session.size, session.hr, rng), session.hr)


def _shaken(rng: np.random.Generator) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """A uniform movement in a random direction."""
    angle, reach = rng.uniform(0, np.pi), _SHAKE_HR_PX // 2 + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel = np.clip(_SHAKE_HR_PX / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    return lambda light: opencv.filter2d(light, kernel)


def _coarse(card: PrintedCard, dots: int) -> PrintedCard:
    """The card printed with a number of dots along its longer side, with ink that spreads by half a dot."""
    height, width = card.light.shape[:2]
    few = Size(dots, round(dots * height / width)) if width > height else Size(round(dots * width / height), dots)
    spread = opencv.blur(opencv.resize(card.light, few, "area").astype(np.float32), 0.5)
    fine = np.clip(opencv.resize(spread, Size(width, height), "linear"), 0, 65535).astype(np.uint16)
    return PrintedCard(fine, card.width_mm, card.height_mm)


def enlarged(image: Image, size: Size, kernel: opencv.Interpolation) -> Image:
    """An image enlarged to a size about its centre, as cameras do: on encoded values, rounded once."""
    share = max(size) / max(image.shape[:2])
    shift = [(small - 1) / 2 - (large - 1) / (2 * share) for small, large in zip(Size.of(image), size, strict=True)]
    from_large = np.array([[1 / share, 0, shift[0]], [0, 1 / share, shift[1]], [0, 0, 1]])
    bright = opencv.warp(image.astype(np.float32), from_large, size, kernel)
    return opencv.as_image(np.clip(np.rint(bright), 0, 255).astype(np.uint8))


def sharpened(image: Image, *, radius: float, amount: float) -> Image:
    """Unsharp mask on encoded values: ``amount`` times the difference from a blur of ``radius`` px is added."""
    value = image.astype(np.float32)
    value += np.float32(amount) * (value - opencv.blur(value, radius))
    return opencv.as_image(np.clip(np.rint(value), 0, 255).astype(np.uint8))


def jpeg(image: Image, quality: int = 95) -> Image:
    """An image as a JPEG file returns it."""
    return opencv.as_image(opencv.decode(opencv.encode_jpeg(np.ascontiguousarray(image), quality)))


def luma(image: Image) -> NDArray[np.float32]:
    """Encoded luma, 0 to 255."""
    return np.asarray(255 * photometry.encoded_luma(image), np.float32)
