"""The PDF of cards: photographs, marks as vectors, cut marks, and the boxes by which a print shop cuts."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from d2crealsr import opencv
from d2crealsr.cards.card import label_of, mark_places, sticker_of
from d2crealsr.cards.sheets import BLEED, CUT_MARK
from d2crealsr.errors import SettingsError
from d2crealsr.imaging.marks import modules_of
from d2crealsr.types import Size
from d2crealsr.ui.versions import how_to_install

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2crealsr.cards.card import Rectangle
    from d2crealsr.cards.sheets import Sheet
    from d2crealsr.types import Image

__all__ = ["CREATOR", "CardToDraw", "Pages", "printed_image"]

CREATOR = "d2crealsr cards"
"""What the PDF says about who made it, by which a later run knows its own file."""

_MM = 72 / 25.4
"""Points of a PDF in a millimetre."""

_JPEG_QUALITY = 95
_FONT = "Vera"
_HAIRLINE = 0.25
_LINE, _INSET = 2, 2
"""Height of the line of text, and its distance from the cut marks left and right, in mm."""
_GAP, _CUT_OFF = "   ", "..."
_LONGEST_SOURCE, _SHORTEST_SOURCE = 60, 8
"""Characters of a photograph's name from which on it is cut off, and to which it may be cut off."""


class CardToDraw(NamedTuple):
    """A card: its scene, the JPEG of its picture with bleed, the name of the photograph, and what to print it with.

    Scene, name and advice stand in a line outside of the card: the first ``advice`` for which there is room.
    """

    scene: str
    jpeg: bytes
    source: str
    advice: tuple[str, ...]


def printed_image(photograph: Image, card: tuple[float, float], dpi: int) -> bytes:
    """The JPEG of a photograph that fills a card with its bleed, with no more pixels than the printer can use."""
    size = Size.of(photograph)
    most = Size(*(round((side + 2 * BLEED) / 25.4 * dpi) for side in card))
    shrink = max(size.width / most.width, size.height / most.height)
    if shrink > 1:
        photograph = opencv.as_image(opencv.resize(photograph, most, "area"))
    pixels: NDArray[np.uint8] = (
        (photograph // 257).astype(np.uint8) if photograph.dtype == np.uint16 else photograph.astype(np.uint8)
    )
    return opencv.encode_jpeg(pixels, _JPEG_QUALITY, full_colour=True)


class Pages:
    """A PDF that grows card by card; :meth:`finish` gives its bytes, which are the same for the same cards.

    Raises
    ------
    SettingsError
        When reportlab is not installed.
    """

    def __init__(self, sheet: Sheet) -> None:
        try:
            from reportlab.pdfbase import pdfmetrics
            from reportlab.pdfbase.ttfonts import TTFont
            from reportlab.pdfgen.canvas import Canvas
        except ImportError as error:
            raise SettingsError(f"cards: reportlab is not installed; {how_to_install('cards')}") from error
        spec = importlib.util.find_spec("reportlab")
        fonts = Path(str(spec.origin)).parent / "fonts" if spec else Path()
        pdfmetrics.registerFont(TTFont(_FONT, str(fonts / "Vera.ttf")))
        self._sheet, self._file, self._drawn = sheet, io.BytesIO(), 0
        size = tuple(side * _MM for side in sheet.page)
        self._canvas: Any = Canvas(self._file, pagesize=size, invariant=True, pageCompression=1)
        self._canvas.setCreator(CREATOR)
        self._canvas.setTitle("Cards for d2crealsr")

    def add(self, card: CardToDraw) -> int:
        """Draw a card in the next place, on a new page if the last one is full; gives the number of the page."""
        place = self._drawn % len(self._sheet.places)
        if place == 0:
            if self._drawn:
                self._canvas.showPage()
            if self._sheet.fills:
                self._set_boxes()
        self._card(self._sheet.places[place], card)
        self._drawn += 1
        return self.count

    @property
    def count(self) -> int:
        """Number of pages."""
        return -(-self._drawn // len(self._sheet.places))

    def finish(self) -> bytes:
        """The bytes of the PDF."""
        self._canvas.save()
        return self._file.getvalue()

    def _set_boxes(self) -> None:
        """The trim box is the card, and the bleed box has the bleed around it (ISO 32000, 14.11.2)."""
        (left, top), (width, height) = self._sheet.places[0], self._sheet.card
        for set_box, grow in ((self._canvas.setTrimBox, 0.0), (self._canvas.setBleedBox, BLEED)):
            box = (left - grow, top - grow, left + width + grow, top + height + grow)
            set_box(tuple(side * _MM for side in box))

    def _card(self, place: tuple[float, float], card: CardToDraw) -> None:
        from reportlab.lib.utils import ImageReader

        canvas, (width, height) = self._canvas, self._sheet.card
        canvas.saveState()
        # From here on, positions are mm from the centre of the card, x right and y up.
        canvas.translate((place[0] + width / 2) * _MM, (self._sheet.page[1] - place[1] - height / 2) * _MM)
        canvas.scale(_MM, _MM)
        whole = (width + 2 * BLEED, height + 2 * BLEED)
        canvas.drawImage(ImageReader(io.BytesIO(card.jpeg)), -whole[0] / 2, -whole[1] / 2, *whole)
        for mark in mark_places(width):
            self._mark(mark, card.scene)
        self._cut_marks()
        canvas.setFillGray(0.25)
        canvas.setFont(_FONT, _LINE)
        canvas.drawString(-width / 2 + _INSET, -height / 2 - BLEED - 4, _line(card, width - 2 * _INSET))
        canvas.restoreState()

    def _mark(self, mark: Rectangle, scene: str) -> None:
        """A mark on white, and the scene's number below. All modules are one path, so that no seam shows."""
        canvas, width = self._canvas, self._sheet.card[0]
        for rectangle, grey in ((sticker_of(mark, width), 1), (mark, 0)):
            canvas.setFillGray(grey)
            canvas.rect(*_upwards(rectangle), stroke=0, fill=1)
        modules = modules_of(scene)
        side = mark.width / len(modules)
        path = canvas.beginPath()
        for row, column in zip(*np.nonzero(modules), strict=True):
            path.rect(mark.x + column * side, -(mark.y + (row + 1) * side), side, side)
        canvas.setFillGray(1)
        canvas.drawPath(path, stroke=0, fill=1)
        label = label_of(mark, width)
        canvas.setFillGray(0)
        canvas.setFont(_FONT, label.height)
        canvas.drawCentredString(label.x + label.width / 2, -(label.y + 0.8 * label.height), scene)

    def _cut_marks(self) -> None:
        """Two lines at each corner, outside of the bleed."""
        canvas, (width, height) = self._canvas, self._sheet.card
        canvas.setLineWidth(_HAIRLINE / _MM)
        canvas.setStrokeGray(0)
        for x in (-1, 1):
            for y in (-1, 1):
                at_x, at_y = x * width / 2, y * height / 2
                canvas.line(at_x + x * BLEED, at_y, at_x + x * (BLEED + CUT_MARK), at_y)
                canvas.line(at_x, at_y + y * BLEED, at_x, at_y + y * (BLEED + CUT_MARK))


def _line(card: CardToDraw, room: float) -> str:
    """The line of text beside a card, no wider than ``room`` mm, so that it meets no cut mark and no other card."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    for advice in card.advice:
        for length in range(_LONGEST_SOURCE, _SHORTEST_SOURCE - 1, -1):
            text = _GAP.join((card.scene, _shortened(card.source, length), advice))
            if stringWidth(text, _FONT, _LINE) <= room:
                return text
    return card.scene


def _shortened(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - len(_CUT_OFF)] + _CUT_OFF


def _upwards(rectangle: Rectangle) -> tuple[float, float, float, float]:
    """A rectangle of the card as PDF wants it: from its lower left corner, with y up."""
    return rectangle.x, -(rectangle.y + rectangle.height), rectangle.width, rectangle.height
