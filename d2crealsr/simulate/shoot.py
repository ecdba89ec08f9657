"""Make one scene from its recipe in memory: print the card, take both shots, render the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from d2crealsr.errors import SettingsError
from d2crealsr.simulate.camera import distort
from d2crealsr.simulate.card import draw_artwork
from d2crealsr.simulate.desk import lay_desk
from d2crealsr.simulate.nuisances import NUISANCES
from d2crealsr.simulate.photographs import Library, wheel_library
from d2crealsr.simulate.printing import PrintedCard, print_card
from d2crealsr.simulate.recipe import OF_PHOTOGRAPHS, Recipe, stream
from d2crealsr.simulate.render import Grid, Sampling, Tabletop, light_on, sampling_for
from d2crealsr.simulate.sensor import develop, expose, reference_tones, rggb
from d2crealsr.simulate.session import CARD_MM, Session, draw_session
from d2crealsr.simulate.truth import Truth, default_crop, reference_grid, truth_of
from d2crealsr.types import Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2crealsr.simulate.sensor import ColourFilter
    from d2crealsr.simulate.settings import SimulateSettings

__all__ = [
    "CARD_PX_PER_HR_PX",
    "Scene",
    "card_size",
    "landscape_card",
    "lay_card",
    "mosaics",
    "printed",
    "render_reference",
    "session_for",
    "shoot",
    "tele_shot",
    "wide_shot",
]

CARD_PX_PER_HR_PX = 1.5
"""Card px per HR px of the default framing."""

_SAME_SCALE_SAMPLING = Sampling(oversampling=3, card_reduction=1)
"""Sampling at scale 1. With the two sub-pixels of :func:`sampling_for`, which are half a pixel apart where card pixels
are .67 px apart, fine print appears as coarse patterns that move with the camera: two shots of one text then differ by
up to .02 px. Larger scales average HR over so many pixels that the patterns vanish."""

_PAPER = 250
"""Level of unprinted paper."""

_STRIP = 128
"""Rows rendered at a time, which limits the memory. It must be even because of the colour filter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """Two upright captures of one card, and the truth about them.

    Attributes
    ----------
    hr, lr : (H, W, 3) ndarray of uint8
        sRGB as developed. :func:`d2crealsr.simulate.encode_capture` turns and compresses them for storage.
    reference : (h, w, 3) ndarray of uint8
        The card rendered without noise from the true LR pose, on a grid that is scale times finer than LR.
    """

    hr: NDArray[np.uint8]
    lr: NDArray[np.uint8]
    reference: NDArray[np.uint8]
    truth: Truth


def session_for(recipe: Recipe, settings: SimulateSettings) -> Session:
    """The numbers drawn for a scene, after the changes by its nuisances."""
    seeds = (recipe.capture_seed, settings.seed)
    session = draw_session(stream("session", *seeds), settings.sensor, settings.scale)
    for name, nuisance in NUISANCES.items():
        if name in settings.nuisances:
            session = nuisance.change(session, stream(name, *seeds))
    return session


def card_size(session: Session) -> Size:
    """Size of the card in card px, in multiples of 24."""
    return _card_px(session.size, session.card_mm)


def landscape_card(sensor: Size) -> Size:
    """Size of a card in card px in captures that are wider than high."""
    return _card_px(sensor, CARD_MM)


def _card_px(sensor: Size, card_mm: tuple[float, float]) -> Size:
    long_side = CARD_PX_PER_HR_PX * 1.1 * max(sensor)
    width, height = (24 * round(long_side * mm / 150 / 24) for mm in card_mm)
    return Size(width, height)


def shoot(
    recipe: Recipe,
    settings: SimulateSettings,
    *,
    library: Library | None = None,
    session: Session | None = None,
    artwork: NDArray[np.uint8] | None = None,
) -> Scene:
    """Make one scene in memory. The same recipe and settings always give the same pixels.

    Parameters
    ----------
    recipe : Recipe
        What is on the card and the seeds.
    settings : SimulateSettings
        Size, scale, seed and nuisances.
    library : Library, optional
        Photographs. By default those of the scikit-image wheel.
    session : Session, optional
        Numbers that replace those drawn from recipe and settings.
    artwork : (H, W, 3) ndarray of uint8, optional
        A picture to print in place of the recipe's, without grain. Its sides must be multiples of 24.

    Raises
    ------
    SettingsError
        When LR must show another card, and there is no photograph for it.
    """
    session = session or session_for(recipe, settings)
    library = library or wheel_library()
    on_lr = recipe if session.same_scene else _another(recipe, session, library)
    seeds = (recipe.capture_seed, settings.seed)
    truth = truth_of(session)
    table = lay_card(printed(recipe, session, library, artwork), session, stream("desk", *seeds))
    reference = render_reference(session, table, truth)
    hr = tele_shot(session, table, stream("noise-hr", *seeds))
    if not session.same_scene:
        del table
        table = lay_card(printed(on_lr, session, library), session, stream("desk", *seeds))
    lr = wide_shot(session, table, stream("noise-lr", *seeds))
    return Scene(hr=hr, lr=lr, reference=reference, truth=truth)


def lay_card(card: PrintedCard, session: Session, rng: np.random.Generator) -> Tabletop:
    """A card on the desk that the wide shot of a session shows around it."""
    return Tabletop(card, lay_desk(_wide_frame_mm(session), session.size, rng), session.sleeve)


def _another(recipe: Recipe, session: Session, library: Library) -> Recipe:
    """The recipe of a card with other photographs and other texture."""
    source = library.others(recipe.group, recipe.source) if recipe.source else ()
    if (session.card_kind or recipe.generator) in OF_PHOTOGRAPHS and not source:
        raise SettingsError(
            f"nuisances: wrong-scene needs a photograph that the card of scene {recipe.scene} does not show, and there "
            "is none; add one to --photos"
        )
    return Recipe(
        scene=recipe.scene,
        group=recipe.group,
        generator=recipe.generator,
        source=source,
        texture_seed=recipe.texture_seed + 1_000_003,
    )


def printed(
    recipe: Recipe, session: Session, library: Library, artwork: NDArray[np.uint8] | None = None
) -> PrintedCard:
    """The card of a recipe, or one with an artwork of one's own, as it is printed in a session."""
    size = card_size(session)
    kind = session.card_kind or recipe.generator
    own = artwork is not None
    if artwork is None:
        photographs = [library.read(name) for name in recipe.source]
        px_per_mm = size.width / session.card_mm[0]
        border = round(session.border * max(size))
        picture = Size(size.width - 2 * border, size.height - 2 * border)
        artwork = draw_artwork(kind, picture, px_per_mm, photographs, stream("card", recipe.texture_seed))
        artwork = np.pad(artwork, ((border, border), (border, border), (0, 0)), constant_values=_PAPER)
    return print_card(
        artwork,
        session.card_mm,
        screen=session.screen,
        grain=not own and kind not in ("smooth", "plain"),
        rng=stream("print", recipe.texture_seed),
    )


def _wide_frame_mm(session: Session) -> tuple[float, float]:
    px_mm = session.hr_px_mm * session.zoom
    return session.size.width * px_mm, session.size.height * px_mm


def _card_px_per_hr_px(session: Session, table: Tabletop) -> float:
    return float(session.hr_px_mm * table.card.light.shape[1] / table.card.width_mm)


def _sampling(session: Session, card_px_per_grid_px: float) -> Sampling:
    return _SAME_SCALE_SAMPLING if session.scale == 1 else sampling_for(card_px_per_grid_px)


def _whole(size: Size) -> Grid:
    return Grid(left=-0.5, top=-0.5, pitch=1.0, width=size.width, height=size.height)


def mosaics(
    recipe: Recipe, settings: SimulateSettings, *, library: Library | None = None, colour_filter: ColourFilter = rggb
) -> tuple[NDArray[np.uint16], NDArray[np.uint16], Session]:
    """The raw values of both sensors for the scene that :func:`shoot` makes, HR and LR, and its session.

    With a ``colour_filter`` that filters nothing (:func:`d2crealsr.simulate.sensor.expose`), they are (H, W, 3).
    """
    session, library = session_for(recipe, settings), library or wheel_library()
    seeds = (recipe.capture_seed, settings.seed)
    table = lay_card(printed(recipe, session, library), session, stream("desk", *seeds))
    hr, lr = (stream(name, *seeds) for name in ("noise-hr", "noise-lr"))
    return tele_mosaic(session, table, hr, colour_filter), wide_mosaic(session, table, lr, colour_filter), session


def tele_shot(session: Session, table: Tabletop, rng: np.random.Generator) -> NDArray[np.uint8]:
    """What the tele camera of a session develops: (H, W, 3) sRGB of the session's size."""
    return develop(tele_mosaic(session, table, rng), session.hr)


def wide_shot(session: Session, table: Tabletop, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The same for the wide camera."""
    return develop(wide_mosaic(session, table, rng), session.lr)


def tele_mosaic(
    session: Session, table: Tabletop, rng: np.random.Generator, colour_filter: ColourFilter = rggb
) -> NDArray[np.uint16]:
    """Raw values of the tele camera's sensor, (H, W)."""
    camera, shot, size = session.cameras[0], session.hr, session.size
    sampling = _sampling(session, _card_px_per_hr_px(session, table))
    strips = []
    for first in range(0, size.height, _STRIP):
        count = min(_STRIP, size.height - first)
        light = light_on(_whole(size).strip(first, count), table, camera, shot.psf_sigma, shot.overlay, sampling)
        strips.append(expose(light, first, size, shot, rng, colour_filter))
    return np.concatenate(strips)


def wide_mosaic(
    session: Session, table: Tabletop, rng: np.random.Generator, colour_filter: ColourFilter = rggb
) -> NDArray[np.uint16]:
    """Raw values of the wide camera's sensor: one sample per pixel, which suffices for the desk, more on the card."""
    camera, shot, size = session.cameras[1], session.lr, session.size
    fine = _sampling(session, _card_px_per_hr_px(session, table) * session.zoom)
    coarse = Sampling(1, fine.card_reduction)
    left, top, right, bottom = _card_window(session)
    strips = []
    for first in range(0, size.height, _STRIP):
        count = min(_STRIP, size.height - first)
        light = light_on(_whole(size).strip(first, count), table, camera, shot.psf_sigma, shot.overlay, coarse)
        above, below = max(top, first), min(bottom, first + count)
        if above < below and left < right:
            part = Grid(left=left - 0.5, top=above - 0.5, pitch=1.0, width=right - left, height=below - above)
            light[above - first : below - first, left:right] = light_on(
                part, table, camera, shot.psf_sigma, shot.overlay, fine
            )
        strips.append(expose(light, first, size, shot, rng, colour_filter))
    return np.concatenate(strips)


def _card_window(session: Session) -> tuple[int, int, int, int]:
    """Columns and rows of the LR frame that the card and its blur can reach: first, and last plus one, of each."""
    camera, size = session.cameras[1], session.size
    half_w, half_h = (side / 2 for side in session.card_mm)
    corners = np.array([[x, y, 1.0] for x in (-half_w, half_w) for y in (-half_h, half_h)]) @ camera.card_to_image.T
    seen = distort(corners[:, :2] / corners[:, 2:], size, camera.k1)
    margin = 6 + 4 * session.lr.psf_sigma
    left, top = np.floor(np.maximum(seen.min(axis=0) - margin, 0)).astype(int)
    right, bottom = np.ceil(np.minimum(seen.max(axis=0) + margin, [size.width, size.height])).astype(int)
    return int(left), int(top), int(right), int(bottom)


def render_reference(session: Session, table: Tabletop, truth: Truth) -> NDArray[np.uint8]:
    """The card from the true LR pose on the ×scale grid with the blur of the tele lens, but no noise or vignetting."""
    grid = reference_grid(default_crop(session, truth.H_hr_to_lr), session.scale)
    per_grid_px = session.zoom / session.scale  # HR px per px of this grid
    sampling = _sampling(session, _card_px_per_hr_px(session, table) * per_grid_px)
    out = np.empty((grid.height, grid.width, 3), np.uint8)
    for first in range(0, grid.height, _STRIP):
        strip = grid.strip(first, min(_STRIP, grid.height - first))
        light = light_on(strip, table, session.cameras[1], session.hr.psf_sigma / per_grid_px, None, sampling)
        out[first : first + strip.height] = reference_tones(light)
    return out
