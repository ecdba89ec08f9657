"""Pages of ``d2crealsr cards``, rendered: what a print shop would print, as the artwork of simulated cards."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pypdfium2

from d2crealsr import opencv
from d2crealsr.cards.make import make_cards
from d2crealsr.cards.settings import CardSettings
from d2crealsr.simulate.card import draw_artwork
from d2crealsr.simulate.photographs import wheel_library
from d2crealsr.simulate.recipe import stream
from d2crealsr.simulate.session import CARD_MM
from d2crealsr.simulate.shoot import card_size, session_for
from d2crealsr.store.images import write_image
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.scenes import BenchScene
    from d2crealsr.types import Image

__all__ = ["artwork_and_page", "artwork_of", "pages_of", "rendered"]

_DPI = 1200
"""Resolution at which cards are made where nothing is to be lost."""


def artwork_of(scene: BenchScene) -> Image:
    """What is on the card of a scene, as drawn before it is printed."""
    recipe, size, library = scene.recipe, card_size(session_for(scene.recipe, scene.settings)), wheel_library()
    photographs = [library.read(name) for name in recipe.source]
    return draw_artwork(
        recipe.generator, size, size.width / CARD_MM[0], photographs, stream("card", recipe.texture_seed)
    )


@lru_cache(maxsize=1)
def artwork_and_page(scene: BenchScene) -> tuple[Image, Image]:
    """The artwork of a scene, and its card as :func:`pages_of` makes it, with the marks of scene 0001."""
    artwork = artwork_of(scene)
    return artwork, pages_of([artwork])[0]


def pages_of(artworks: Sequence[Image]) -> list[Image]:
    """Cards of 15x10 cm with artworks that differ, and marks of scenes 0001, 0002 and so on, cut at their edges.

    Each has the size of its artwork in px.
    """
    with tempfile.TemporaryDirectory() as folder:
        photos, out = Path(folder, "photos"), Path(folder, "cards.pdf")
        photos.mkdir()
        for number, artwork in enumerate(artworks):
            write_image(photos / f"{number:04d}.png", artwork)
        made = make_cards(photos, out, settings=CardSettings(dpi=_DPI))
        assert made.pages == len(artworks), made.problems
        return [rendered(out, page, Size.of(artwork)) for page, artwork in enumerate(artworks)]


def rendered(pdf: Path, page: int, size: Size) -> Image:
    """A page of a PDF within its trim box, at a size in px."""
    with pypdfium2.PdfDocument(pdf) as document:
        sheet = document[page]
        left, bottom, right, top = sheet.get_trimbox()
        width, height = sheet.get_size()
        cut = (left, bottom, width - right, height - top)
        pixels = np.asarray(sheet.render(scale=size.width / (right - left), crop=cut).to_pil().convert("RGB"))
    return opencv.as_image(opencv.resize(pixels, size, "area"))
