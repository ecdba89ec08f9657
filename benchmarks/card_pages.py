"""Pages of ``d2crealsr cards``, rendered: what a print shop would print, as the artwork of simulated cards."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pypdfium2

from d2crealsr import opencv
from d2crealsr.cards.make import make_cards
from d2crealsr.cards.settings import CardSettings
from d2crealsr.store.images import write_image
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.types import Image

__all__ = ["page_of", "rendered"]

_DPI = 1200
"""Resolution at which cards are made where nothing is to be lost."""


def page_of(artwork: Image, size: Size) -> Image:
    """A card of 15x10 cm with this artwork and the marks of scene 0001, cut at its edges, at a size in px."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        photos.mkdir()
        write_image(photos / "artwork.png", artwork)
        out = Path(folder) / "cards.pdf"
        make_cards(photos, out, settings=CardSettings(dpi=_DPI))
        return rendered(out, 0, size)


def rendered(pdf: Path, page: int, size: Size) -> Image:
    """A page of a PDF within its trim box, at a size in px."""
    with pypdfium2.PdfDocument(pdf) as document:
        sheet = document[page]
        left, bottom, right, top = sheet.get_trimbox()
        width, height = sheet.get_size()
        cut = (left, bottom, width - right, height - top)
        pixels = np.asarray(sheet.render(scale=size.width / (right - left), crop=cut).to_pil().convert("RGB"))
    return opencv.as_image(opencv.resize(pixels, size, "area"))
