"""A record of what was asked for, kept beside what was made of it, so that nothing else is taken for it later."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import UsageError
from d2crealsr.store.files import read_json, write_text
from d2crealsr.store.listing import list_images

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["REMEDY", "check_asked", "files_said", "photographs_said"]

REMEDY = "give another --work"


def check_asked(path: Path, asked: Mapping[str, Any], remedy: str = REMEDY) -> None:
    """Store a record of what is asked for; where there is one already, it must be the same.

    Parameters
    ----------
    path : Path
        The file of the record (JSON).
    asked : mapping
        Names and values.
    remedy : str
        What to do if it differs.

    Raises
    ------
    UsageError
        When the record says something else, or is damaged.
    """
    now: dict[str, Any] = json.loads(json.dumps(asked))
    if not path.exists():
        write_text(path, json.dumps(now, indent=2) + "\n")
        return
    before = read_json(path, dict)
    if before is None:
        raise UsageError(f"{path}: is damaged, expected the record of what {path.parent} was made with; {remedy}")
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if names:
        had, wanted = (", ".join(f"{name} {of.get(name)}" for name in names) for of in (before, now))
        raise UsageError(f"{path}: was made with {had}, now asked for {wanted}; {remedy}")


def photographs_said(photos: Path | None) -> str:
    """The photographs that `simulate` prints from a folder, None for those in scikit-image, in words and a digest."""
    if photos is None:
        return "those in scikit-image"
    return files_said(list_images(photos, deep=False).images)


def files_said(paths: Iterable[Path]) -> str:
    """The number of files, and a digest of their names and sizes."""
    facts = sorted((path.name, path.stat().st_size) for path in paths)
    return f"{len(facts)} files ({hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]})"
