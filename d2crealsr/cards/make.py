"""Make the cards of a folder of photographs: number them, look at them, draw the PDF, write ``cards.csv``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from d2crealsr.cards.carried import Carried, carried
from d2crealsr.cards.pdf import CREATOR, CardToDraw, Pages, printed_image
from d2crealsr.cards.photograph import MAX_CLIPPED, MIN_TEXTURED, Looks, fitted, looks_of
from d2crealsr.cards.sheets import BLEED, Sheet, sheet_for
from d2crealsr.errors import ImageError, LayoutError, TableError, UsageError
from d2crealsr.imaging.marks import MOST_SCENES, modules_of, scene_of
from d2crealsr.store.cards_table import CARD_COLUMNS, read_cards, write_cards
from d2crealsr.store.csv_files import rows_in_parts
from d2crealsr.store.files import sha256_of, write_bytes
from d2crealsr.store.images import read_capture
from d2crealsr.store.listing import list_images, shown
from d2crealsr.store.naming import picture_of
from d2crealsr.store.outputs import check_output
from d2crealsr.store.pairs import cell_problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from d2crealsr.cards.settings import CardSettings

__all__ = ["Cards", "make_cards"]

_START, _END = 1024, 65536
"""Bytes of a PDF in which it is looked for who made it: reportlab writes that near the end."""


class Cards(NamedTuple):
    """What was made.

    Attributes
    ----------
    rows : list of dict
        Rows of ``cards.csv``, those of photographs that are no longer there included.
    carried : Carried
        What the print carries where photographs have pixels enough.
    sheet : Sheet
    pages : int
    problems : list of str
        One line for each photograph that is left out or has something wrong.
    """

    rows: list[dict[str, Any]]
    carried: Carried
    sheet: Sheet
    pages: int
    problems: list[str]


def make_cards(
    photos: Path, out: Path, *, settings: CardSettings, on_card: Callable[[int, int], None] | None = None
) -> Cards:
    """Write a PDF with a card for each photograph of a folder, and ``cards.csv`` beside it.

    Photographs that an earlier ``cards.csv`` lists keep their numbers, and what a person wrote into its columns
    ``group`` and ``source_licence`` and into columns of their own. New ones get the next numbers, in the order of their
    names.

    Raises
    ------
    LayoutError
        When there is no photograph that can be read, or there are more than there are marks.
    TableError
        When the earlier ``cards.csv`` has been damaged.
    UsageError
        When a file of another kind would be replaced.
    """
    table = out.with_suffix(".csv")
    _check(photos, out, table)
    sheet = sheet_for(settings)
    pages = Pages(sheet)
    paths, problems = _photographs(photos)
    rows = {row["source_sha256"]: row | {"page": None} for row in _known(table)}
    for number, path in enumerate(paths, start=1):
        if on_card:
            on_card(number, len(paths))
        source = path.relative_to(photos).as_posix()
        try:
            row, jpeg = _card(path, source, rows, sheet, settings)
        except ImageError as error:
            why = str(error).removeprefix(f"{path.name}: ")
            problems.append(f"left out: {source}: {why}")
            continue
        if row is None:
            same = rows[sha256_of(path)]["source"]
            problems.append(f"left out: {source} has the same content as {same}")
            continue
        row["page"] = pages.add(CardToDraw(row["scene"], jpeg, _latin(row["source"]), _advice(settings)))
        rows[row["source_sha256"]] = row
        problems += [f"{source} (card {row['scene']}): {note}" for note in row["notes"].split("; ") if note]
    if not pages.count:
        raise LayoutError(f"{photos}: none of its {len(paths)} photographs can be used; {problems[-1]}")
    write_cards(table, rows.values())
    write_bytes(out, pages.finish())
    every = sorted(rows.values(), key=lambda row: str(row["scene"]))
    return Cards(every, _carried(sheet, settings, settings.dpi), sheet, pages.count, problems)


def _known(table: Path) -> list[dict[str, Any]]:
    """The rows of an earlier run."""
    rows = read_cards(table) if table.exists() else []
    for row in rows:
        try:
            modules_of(row["scene"])
        except ValueError as error:
            raise TableError(f"{table}: {error}; restore it") from error
    return rows


def _check(photos: Path, out: Path, table: Path) -> None:
    if out.suffix.lower() != ".pdf":
        raise UsageError(f"{out}: the cards become a PDF, expected a name that ends in .pdf; change --out")
    if not photos.is_dir():
        raise LayoutError(f"{photos}: no such folder of photographs; check its name")
    check_output(out, "a PDF of cards", _is_own)
    check_output(table, "a table of cards", _is_own_table)


def _is_own(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(_START)
        file.seek(max(0, path.stat().st_size - _END))
        return start.startswith(b"%PDF-") and f"({CREATOR})".encode() in file.read()


def _is_own_table(path: Path) -> bool:
    """Whether a table has the columns of ``cards.csv``. A person may have added others."""
    return {column.name for column in CARD_COLUMNS if column.fixed} <= set(rows_in_parts(path)[0])


def _photographs(photos: Path) -> tuple[list[Path], list[str]]:
    """The photographs of the folder, and a line for each kind of file that is left out."""
    listing = list_images(photos)
    names = {path: cell_problem(path.relative_to(photos).as_posix()) for path in listing.images}
    left = [f"left out: {shown(path, photos)}: its name {why}; rename it" for path, why in names.items() if why]
    found = [path for path, why in names.items() if not why]
    said = [*listing.notes, *left]
    if not found:
        raise LayoutError("; ".join((f"{photos}: holds no photograph; name a folder of photographs", *said)))
    return found, said


def _next_scene(rows: dict[str, dict[str, Any]]) -> str:
    number = max((int(row["scene"]) for row in rows.values()), default=0) + 1
    if number > MOST_SCENES:
        raise LayoutError(
            f"PHOTOS has more photographs than there are marks, {MOST_SCENES}; begin another cards.pdf in another "
            "folder, and keep the frames of both apart"
        )
    return scene_of(number)


def _card(
    path: Path, source: str, rows: dict[str, dict[str, Any]], sheet: Sheet, settings: CardSettings
) -> tuple[dict[str, Any] | None, bytes]:
    """The row of a photograph's card, and its JPEG; no row if this run has drawn the same content already."""
    try:
        sha256 = sha256_of(path)
    except OSError as error:
        raise ImageError(f"{path.name}: cannot be read ({error.strerror}); copy it again") from error
    old = rows.get(sha256, {})
    if old.get("page"):
        return None, b""
    photograph = fitted(read_capture(path, convert=True).pixels, sheet.card[0] / sheet.card[1])
    own_ppi = photograph.shape[1] / ((sheet.card[0] + 2 * BLEED) / 25.4)
    found = _carried(sheet, settings, min(settings.dpi, own_ppi))
    looks = looks_of(photograph)
    row = old | {
        "scene": old.get("scene") or _next_scene(rows),
        "group": old.get("group") or picture_of(source.rpartition(".")[0] or source),
        "source": source,
        "source_licence": old.get("source_licence") or "",
        "width_mm": sheet.card[0],
        "detail_ppi": found.detail_ppi,
        "detail_scale": found.scale,
        "textured_fraction": looks.textured,
        "clipped_fraction": looks.clipped,
        "notes": "; ".join(_notes(own_ppi, found, looks, settings)),
        "source_sha256": sha256,
    }
    return row, printed_image(photograph, sheet.card, settings.dpi)


def _notes(own_ppi: float, found: Carried, looks: Looks, settings: CardSettings) -> list[str]:
    """What is wrong with a photograph; none of the texts has a semicolon."""
    notes = []
    if own_ppi < settings.dpi:
        notes.append(
            f"too few pixels: {own_ppi:.0f} on an inch of the card, the print has {settings.dpi}, "
            f"so pairs at x{settings.scale} have detail for {found.in_words}"
        )
    if looks.textured < MIN_TEXTURED:
        notes.append(f"too little texture: {looks.textured:.0%} of the default crop has any, {MIN_TEXTURED:.0%} needed")
    if looks.clipped > MAX_CLIPPED:
        notes.append(f"clipped: {looks.clipped:.0%} of the default crop is blank white or black, mostly {looks.where}")
    return notes


def _carried(sheet: Sheet, settings: CardSettings, detail_ppi: float) -> Carried:
    return carried(
        width_mm=sheet.card[0], hr_width_px=settings.hr_width_px, scale=settings.scale, detail_ppi=detail_ppi
    )


def _latin(source: str) -> str:
    """The name of a photograph in characters that the font has."""
    return source.encode("latin-1", "replace").decode("latin-1")


def _advice(settings: CardSettings) -> tuple[str, ...]:
    """How to print, in as many words as there is room for."""
    return (
        f"{settings.dpi} dpi   print at 100 %, do not fit to the page",
        f"{settings.dpi} dpi   print at 100 %",
        f"{settings.dpi} dpi",
    )
