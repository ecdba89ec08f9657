"""Draw the pictures of the shooting guide, and set the page as a PDF to print, from `docs/shooting-guide.md`.

make guide
python tools/shooting_guide.py docs
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from reportlab.graphics import renderSVG
from reportlab.graphics.shapes import Circle, Drawing, Line, Polygon, Rect, String
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table

from d2crealsr.cards.card import CARD_PER_FRAME, mark_places
from d2crealsr.imaging.crop import DEFAULT_SHARE

INK, SOFT, HR, CROP, LAMP = (colors.HexColor(c) for c in ("#222222", "#8a8a8a", "#0a6c9e", "#b0451b", "#d99a00"))
PAPER = colors.HexColor("#eef1f3")
SANS, BOLD = "Vera", "VeraBd"
MARGIN = 34


def setup() -> Drawing:
    """Camera, card and two lamps, seen from above."""
    drawing = Drawing(250, 150)
    add(drawing, Rect(30, 128, 190, 4, fillColor=INK, strokeColor=None), text(125, 137, "wall or board with the card"))
    add(drawing, Rect(90, 124, 70, 4, fillColor=HR, strokeColor=None))
    add(drawing, Rect(108, 18, 34, 20, fillColor=SOFT, strokeColor=None))
    add(drawing, Rect(116, 38, 18, 14, fillColor=INK, strokeColor=None), text(125, 6, "camera on the tripod"))
    for x in (118, 132):
        add(drawing, Line(x, 52, 92 if x < 125 else 158, 124, strokeColor=HR, strokeWidth=0.8, strokeDashArray=(3, 2)))
    for x, lean in ((22, 1), (228, -1)):
        add(drawing, Circle(x, 40, 9, fillColor=LAMP, strokeColor=None), text(x, 22, "lamp"))
        add(drawing, Line(x + 8 * lean, 48, x + 76 * lean, 120, strokeColor=LAMP, strokeWidth=1.2))
    add(drawing, text(64, 104, "45°"), text(186, 104, "45°"))
    add(drawing, Line(125, 54, 125, 122, strokeColor=INK, strokeWidth=0.6), text(166, 70, "distance"))
    for y, way in ((54, 1), (122, -1)):
        add(drawing, Polygon([125, y, 122.5, y + 5 * way, 127.5, y + 5 * way], fillColor=INK, strokeColor=None))
    return drawing


def frames() -> Drawing:
    """The HR frame and the default crop on a card of 3:2 with its marks; beside it, the card in LR frames."""
    drawing = Drawing(280, 150)
    width = 165.0
    frame_w = width / CARD_PER_FRAME
    x, y = 90.0, 76.0

    def framed(w: float, h: float, **style: Any) -> Rect:
        return Rect(x - w / 2, y - h / 2, w, h, **style)

    add(drawing, framed(width, width / 1.5, fillColor=PAPER, strokeColor=SOFT, strokeWidth=0.6))
    for mark in mark_places(width):
        add(drawing, Rect(x + mark.x, y + mark.y, mark.width, mark.height, fillColor=INK, strokeColor=None))
    add(drawing, framed(frame_w, frame_w / 1.5, fillColor=None, strokeColor=HR, strokeWidth=1.4))
    crop = frame_w * DEFAULT_SHARE
    add(drawing, framed(crop, crop / 1.5, fillColor=None, strokeColor=CROP, strokeWidth=1.4, strokeDashArray=(4, 2)))
    add(drawing, text(x, y + 4, "what is published", CROP), text(x, y - 47, "HR frame", HR))
    add(drawing, text(x, 8, "card with four marks"))
    for row, scale in enumerate((2, 4, 8)):
        top, left, w = 104 - 45 * row, 202.0, 57.0
        add(drawing, Rect(left, top, w, w / 1.5, fillColor=None, strokeColor=INK, strokeWidth=1))
        card = min(w, w * CARD_PER_FRAME / scale)
        place = (left + (w - card) / 2, top + (w - card) / 3)
        add(drawing, Rect(*place, card, card / 1.5, fillColor=SOFT, strokeColor=None))
        add(drawing, text(left + w + 11, top + 16, f"x{scale}"))
    add(drawing, text(230, 4, "LR frames"))
    return drawing


def text(x: float, y: float, words: str, colour: Any = INK) -> String:
    """Centred words."""
    return String(x, y, words, fontName=SANS, fontSize=7, textAnchor="middle", fillColor=colour)


def add(drawing: Drawing, *shapes: Any) -> None:
    """Add shapes to a drawing."""
    for shape in shapes:
        drawing.add(shape)


def page(guide: str, drawings: list[Drawing]) -> list[Any]:
    """The guide as flowing parts: title, drawings, paragraphs, table."""
    body = ParagraphStyle(
        "body",
        fontName=SANS,
        fontSize=8.6,
        leading=11.6,
        spaceAfter=4,
        leftIndent=12,
        bulletFontName=SANS,
        bulletFontSize=8.6,
    )
    lead = ParagraphStyle("lead", parent=body, leftIndent=0)
    cell = ParagraphStyle("cell", fontName=SANS, fontSize=7.8, leading=9.8)
    title = ParagraphStyle("title", fontName=BOLD, fontSize=15, leading=20, spaceAfter=4)
    parts: list[Any] = []
    rows = []
    for block in re.split(r"\n(?=\d\. |\||!|#|\n)", guide):
        line = " ".join(block.split())
        if line.startswith("# "):
            parts.append(Paragraph(line[2:], title))
        elif line.startswith("|"):
            cells = [marked(part.strip()) for part in line.strip("|").split("|")]
            if not line.startswith("|---"):
                rows.append([Paragraph(part, cell) for part in cells])
        elif line.startswith("!["):
            if drawings:
                parts.append(Table([drawings], hAlign="LEFT", style=[("LEFTPADDING", (0, 0), (-1, -1), 0)]))
                drawings = []
        elif number := re.match(r"(\d)\. (.*)", line):
            parts.append(Paragraph(marked(number[2]), body, bulletText=f"{number[1]}."))
        elif line:
            parts.append(Paragraph(marked(line.split(" Print this page")[0]), lead))
    style = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.25, SOFT),
        *((side, (0, 0), (-1, -1), 1.6) for side in ("TOPPADDING", "BOTTOMPADDING")),
    ]
    return [*parts, Spacer(1, 5), Table(rows, colWidths=(158, 158, 199), hAlign="LEFT", style=style)]


def marked(line: str) -> str:
    """Markdown's bold and code as ReportLab writes them."""
    line = re.sub(r"\*\*(.+?)\*\*", rf'<font name="{BOLD}">\1</font>', line)
    return re.sub(r"`(.+?)`", rf'<font name="{SANS}" color="#0a6c9e">\1</font>', line)


def main(docs: Path) -> None:
    """Write the drawings and the PDF."""
    spec = importlib.util.find_spec("reportlab")
    fonts = Path(str(spec.origin if spec else "")).parent / "fonts"
    for name in (SANS, BOLD):
        pdfmetrics.registerFont(TTFont(name, str(fonts / f"{name}.ttf")))
    for name, drawing in (("setup", setup()), ("frames", frames())):
        svg = renderSVG.drawToString(drawing).replace("font-family: Vera", "font-family: sans-serif")
        (docs / "images" / f"shooting-{name}.svg").write_text(svg, encoding="utf-8")
    guide = (docs / "shooting-guide.md").read_text(encoding="utf-8")
    sides = dict.fromkeys(("leftMargin", "rightMargin", "topMargin", "bottomMargin"), MARGIN)
    document = SimpleDocTemplate(
        str(docs / "shooting-guide.pdf"), pagesize=A4, title="Shooting guide", invariant=1, **sides
    )
    document.build(page(guide, [setup(), frames()]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
