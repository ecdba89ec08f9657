"""The output of ``cards``: what was drawn, what the print carries, and what to do next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.ui.terminal import Styled, styled
from d2crealsr.ui.text import counted

if TYPE_CHECKING:
    from d2crealsr.cards.make import Cards
    from d2crealsr.cards.settings import CardSettings

__all__ = ["summary", "warning"]


def summary(result: Cards, shown_out: str, settings: CardSettings) -> str:
    """What was made, in lines."""
    cards = sum(row["page"] is not None for row in result.rows)
    width, height = result.sheet.card
    lines: list[str | Styled] = [
        Styled(
            f"{counted(cards, 'card')} of {width:g} x {height:.4g} mm",
            {"bold": True},
            f" on {counted(result.pages, 'page')}",
        ),
        f"  HR frames of {settings.hr_width_px} px sample a card at {result.carried.hr_ppi:,.0f} px an inch",
    ]
    left = len(result.rows) - cards
    if left:
        keep = "keeps its number, its photograph is" if left == 1 else "keep their numbers, their photographs are"
        lines.append(f"  {counted(left, 'card')} of earlier runs {keep} no longer there")
    if result.carried.enough:
        lines.append(f"  at {settings.dpi} dpi the print has detail for pairs at x{settings.scale}")
    table = Path(shown_out).with_suffix(".csv")
    lines += [
        f"tables: {table}; fill in source_licence",
        f"next:   print at 100 %, shoot as docs/shooting-guide.md says, copy {table} to DCIM/cards.csv,",
        "        then d2crealsr ingest DCIM --out raw/",
    ]
    return styled(lines)


def warning(result: Cards, settings: CardSettings) -> str:
    """One line if the print has less detail than HR samples; empty otherwise."""
    found, width = result.carried, result.sheet.card[0]
    if found.enough:
        return ""
    return (
        f"HR's Nyquist frequency is not reached: HR samples {found.hr_ppi:,.0f} px an inch, a print of {settings.dpi} "
        f"dpi has detail for {found.in_words}, and pairs at x{settings.scale} will be as soft as that; print at "
        f"{found.hr_ppi:,.0f} dpi, or cards of {found.width_needed_mm(width):.0f} mm, or take HR frames of "
        f"{settings.hr_width_px * found.detail_ppi / found.hr_ppi:,.0f} px"
    )
