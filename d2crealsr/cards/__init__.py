"""From photographs to printed cards: what is on a card, how cards lie on a sheet, what a print can carry, the PDF."""
