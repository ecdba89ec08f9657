"""``dataset.json``, the description of a pairs folder: its entries, its checksum, and those of the tables."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import LayoutError, MachineError
from d2crealsr.store.checksums import CHECKSUM, sealed
from d2crealsr.store.files import read_bytes, write_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

__all__ = [
    "DATASET_FILE",
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "SHA256",
    "WITH_CHECKSUM",
    "entries_of",
    "load_description",
    "write_description",
]

FORMAT_NAME = "d2crealsr-pairs"
FORMAT_VERSION = 2
DATASET_FILE = "dataset.json"
SHA256 = "sha256"
"""Entry with the SHA-256 of each table."""
WITH_CHECKSUM = ("manifest.csv", "alignment.csv", "residuals.csv")
"""Tables whose SHA-256 is recorded. Nothing depends on ``timings.csv``."""

_VERSIONS = (1, FORMAT_VERSION)
_OWN = ("format", "version", SHA256, CHECKSUM)

_ENTRIES: dict[str, tuple[type, str]] = {
    "scale": (int, "a whole number from 1 to 16"),
    "settings": (dict, "an object"),
    "tool": (str, "text"),
    "tool_version": (str, "text"),
    "raw_root": (str, "a path"),
    "licence": (str, "text"),
    "citation": (str, "text"),
    "points": (dict, "an object"),
    "imported_from": (str, "a path"),
    "prefer": (str, "text"),
    SHA256: (dict, "an object"),
}
"""The entries of a description that are read: the type of each, and the type in words."""
_LARGEST_SCALE = 16


def write_description(
    pairs: Path, entries: Mapping[str, Any], sha256: Mapping[str, str], version: int = FORMAT_VERSION
) -> None:
    """Write ``dataset.json``, completely or not at all, unless it is there with the same bytes. Raises MachineError.

    Parameters
    ----------
    entries : mapping
        Scale, settings and so on. Entries about the format and its checksums are ignored.
    sha256 : mapping
        SHA-256 of tables by name, of which those that have one recorded are taken. Version 1 has no checksums.
    """
    content = {"format": FORMAT_NAME, "version": version, **entries_of(entries)}
    if version == 1:
        data = (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode(errors="backslashreplace")
    else:
        data = sealed({**content, SHA256: {name: sha256[name] for name in WITH_CHECKSUM if name in sha256}}, indent=2)
    path = pairs / DATASET_FILE
    with contextlib.suppress(OSError):
        if read_bytes(path) == data:
            return
    write_bytes(path, data)


def entries_of(description: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a description without those about the format and its checksums."""
    return {name: value for name, value in description.items() if name not in _OWN}


def load_description(pairs: str | os.PathLike[str], needed: Sequence[str] = ()) -> dict[str, Any]:
    """As :func:`d2crealsr.store.pairs.read_dataset`, without a look at the checksums."""
    path = Path(pairs) / DATASET_FILE
    try:
        content = json.loads(read_bytes(path).decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise LayoutError(f"{path} is not there; give a pairs folder made by `d2crealsr align`") from error
    except (ValueError, RecursionError) as error:
        raise LayoutError(f"{path}: not JSON ({error}); restore it from a copy") from error
    except OSError as error:
        raise MachineError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT_NAME:
        raise LayoutError(f"{path}: expected a description of format {FORMAT_NAME!r}; give a pairs folder")
    if content.get("version") not in _VERSIONS:
        got = content.get("version")
        raise LayoutError(
            f"{path}: got format version {got!r:.80}, expected at most {FORMAT_VERSION}; update d2crealsr"
        )
    _check_entries(content, needed, path)
    return content


def _check_entries(content: Mapping[str, Any], needed: Sequence[str], path: Path) -> None:
    """Raise LayoutError that names the first missing or wrong entry of a description."""
    for name, (kind, expected) in _ENTRIES.items():
        value = content.get(name)
        if name not in content and name not in needed:
            continue
        good = isinstance(value, kind) and not isinstance(value, bool)
        if isinstance(value, str) and name in ("raw_root", "imported_from"):
            good = "\0" not in value
        if isinstance(value, int) and good:
            good = 1 <= value <= _LARGEST_SCALE
        if not good:
            got = "nothing" if name not in content else f"{type(value).__name__} {str(value)[:40]!r}"
            raise LayoutError(f"{path}: {name} is {got}, expected {expected}; restore the file, or run align again")
