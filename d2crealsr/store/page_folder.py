"""The folder of a page: ``index.html`` and, if needed, files under ``files/`` that it loads when they are viewed."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

from d2crealsr.errors import LayoutError
from d2crealsr.store.files import cannot_write, open_regular, read_json, write_text
from d2crealsr.store.outputs import check_folder
from d2crealsr.store.ownership import first_image, refuse_foreign, refuse_links

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

__all__ = ["FILES", "PAGE", "claim", "publish"]

PAGE = "index.html"
FILES = "files"
"""Folder beside the page with the files that it needs."""
RECORD = ".page.json"
"""File with the names under ``files/`` that the page needs, and which a later page may therefore remove."""


def claim(folder: Path, generator: str, earlier: re.Pattern[str]) -> None:
    """Make sure that a folder has no page, or one made by the same generator.

    Parameters
    ----------
    generator : str
        Content of the page's meta element of that name.
    earlier : re.Pattern
        Names under ``files/`` that an interrupted command may have left before publishing its page.

    Raises
    ------
    LayoutError
        When the folder contains a page or files of other origin, pairs, captures, checkpoints or other pictures, or
        ``files`` is a link.
    UsageError
        When something other than a folder is in its place, or the folder may not be written to.
    """
    index, files = folder / PAGE, folder / FILES
    check_folder(folder)
    refuse_links(folder, FILES, PAGE, RECORD)
    refuse_foreign(folder, own="a page")
    if index.exists():
        meta = f'<meta name="generator" content="{generator}">'
        ours = index.is_file() and meta in _beginning(index)
    else:
        if image := first_image(folder):
            raise LayoutError(
                f"{folder}: holds pictures ({image.name}), among which a page would be written; give a folder of its "
                f"own with --out, such as {folder / 'report'}"
            )
        entries = files.iterdir() if files.is_dir() else ()
        ours = (folder / RECORD).is_file() or all(earlier.fullmatch(entry.name) for entry in entries)
    if not ours:
        raise LayoutError(
            f"{folder}: holds {index.name} or {files.name} that no `{generator}` made; give another folder with --out"
        )


def _beginning(page: Path) -> str:
    with open_regular(page) as file:
        return file.read(4000).decode("utf-8", "replace")


def publish(folder: Path, html: str, files: Collection[str] = (), *, earlier: re.Pattern[str]) -> None:
    """Write the page to ``folder/index.html``, then remove files under ``folder/files/`` that only an earlier one used.

    The page replaces the old one in a single step, when all files that it names exist. A reader who opens the folder at
    any moment therefore finds a complete report, either the old one or the new one.

    Parameters
    ----------
    files : collection of str
        Names of the folders and files directly under ``files/`` that the page needs. They must exist already.
    earlier : re.Pattern
        Names that are assumed to belong to an earlier page if there is no record of one.

    Raises
    ------
    MachineError
        When the disk cannot store it.
    """
    try:
        refuse_links(folder, FILES)
        recorded = _recorded(folder)
        write_text(folder / PAGE, html)
        for entry in (folder / FILES).iterdir() if (folder / FILES).is_dir() else ():
            known = earlier.fullmatch(entry.name) if recorded is None else entry.name in recorded
            if entry.name in files or not known:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        write_text(folder / RECORD, json.dumps(sorted(files)) + "\n")
    except OSError as error:
        raise cannot_write(folder, error) from error


def _recorded(folder: Path) -> set[str] | None:
    """Names under ``files/`` that the present page needs; None if this is not known."""
    names = read_json(folder / RECORD, list)
    return None if names is None else {name for name in names if isinstance(name, str)}
