"""``cards.csv``: which scene shows which photograph, written beside the PDF of the cards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from d2crealsr.store.columns import Column
from d2crealsr.store.tables import frame_of, read_table, records, write_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["CARD_COLUMNS", "read_cards", "write_cards"]


CARD_COLUMNS = (
    Column(name="scene", kind="text", meaning="the number in the marks of the card", required=True, unique=True),
    Column(
        name="group", kind="text", meaning="the printed picture; pairs of one group stay in one split", required=True
    ),
    Column(name="source", kind="text", meaning="the photograph, a file of PHOTOS", required=True),
    Column(name="source_licence", kind="text", meaning="the terms of the photograph; to be filled in"),
    Column(name="page", kind="int", meaning="page of the PDF; empty if the photograph is no longer in PHOTOS"),
    Column(name="width_mm", kind="float", meaning="longer side of the card, in mm", fixed=False),
    Column(name="detail_ppi", kind="float", meaning="pixels per inch for which the card has detail", fixed=False),
    Column(name="detail_scale", kind="float", meaning="scale up to which pairs from the card have detail", fixed=False),
    Column(name="textured_fraction", kind="float", meaning="share of the default crop that has texture", fixed=False),
    Column(
        name="clipped_fraction",
        kind="float",
        meaning="share of the default crop that is blank white or black",
        fixed=False,
    ),
    Column(name="notes", kind="text", meaning="what is wrong with the photograph", fixed=False),
    Column(
        name="source_sha256",
        kind="text",
        meaning="SHA-256 of the photograph's file, by which a later run knows it",
        required=True,
    ),
)
"""Columns of ``cards.csv``."""


def read_cards(path: Path) -> list[dict[str, Any]]:
    """The rows of ``cards.csv`` by column name.

    Raises
    ------
    TableError, LayoutError
        When the table is not there or has been damaged.
    """
    return records(read_table(path, CARD_COLUMNS))


def write_cards(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows, sorted by scene, completely or not at all."""
    write_table(path, frame_of(sorted(rows, key=lambda row: str(row["scene"])), CARD_COLUMNS), CARD_COLUMNS)
