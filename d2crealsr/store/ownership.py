"""Whose folder is it? A command overwrites or removes only files that its own records name, never through a link.

Before it writes into a folder that it has not made itself, a command asks here what the folder holds. Pairs, captures,
checkpoints and pages are somebody's work and are refused; other files are no obstacle and are never touched.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from typing import TYPE_CHECKING, Literal, TypeAlias

from d2crealsr.errors import LayoutError
from d2crealsr.store.files import read_json, read_text
from d2crealsr.store.readers import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Holding", "first_image", "holdings", "is_run", "refuse_foreign", "refuse_links"]

Holding: TypeAlias = Literal["pairs", "captures", "a training run", "checkpoints", "a page"]

_WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".pkl", ".onnx")
_IMAGES = IMAGE_SUFFIXES
_CAPTURE = re.compile(r".+_(HR|LR\d+)|.*\d[HL]", re.IGNORECASE)


def refuse_foreign(folder: Path, *, own: Holding) -> None:
    """Raise LayoutError if a folder contains somebody's work other than ``own``; the error names an example.

    ``own`` is the kind of content that the calling command keeps there. The caller must know whether it made it.
    """
    for holding, example in holdings(folder).items():
        if holding != own:
            raise LayoutError(
                f"{folder}: holds {holding} ({example.name}), which this command did not make; "
                "give another folder with --out"
            )


def refuse_links(folder: Path, *names: str) -> None:
    """Raise LayoutError if one of the entries that a command writes into or empties is a link."""
    for name in names:
        if (folder / name).is_symlink():
            raise LayoutError(
                f"{folder / name}: is a link, and what it leads to may be somebody else's; replace it by a folder, or "
                "give another folder with --out"
            )


def first_image(folder: Path) -> Path | None:
    """The first picture directly in a folder, by its ending; None if there is none."""
    return next(_pictures(folder), None) if folder.is_dir() else None


def holdings(folder: Path) -> dict[Holding, Path]:
    """What of value a folder holds, each with one of its files; of subfolders only ``hr`` and ``lr`` count."""
    found: dict[Holding, Path] = {}
    if not folder.is_dir():
        return found
    for holding, path in _seen(folder):
        found.setdefault(holding, path)
    if "pairs" in found:
        found.pop("captures", None)
    if "a training run" in found:
        found.pop("checkpoints", None)
    return found


def _pictures(folder: Path) -> Iterator[Path]:
    """The pictures directly in a folder; not hidden ones, such as the ._ files that macOS puts beside every file."""
    return (p for p in sorted(folder.iterdir()) if p.suffix.lower() in _IMAGES and not p.name.startswith("."))


def _seen(folder: Path) -> Iterator[tuple[Holding, Path]]:
    for path in sorted(folder.iterdir()):
        name, suffix = path.name.lower(), path.suffix.lower()
        if name.startswith("._"):
            continue
        if name in ("hr", "lr") and path.is_dir():
            yield from (("captures", image) for image in _pictures(path))
        elif name == "dataset.json" and (read_json(path, dict) or {}).get("format") == "d2crealsr-pairs":
            yield "pairs", path
        elif name == "manifest.csv":
            yield ("pairs" if "hr_path" in _first_line(path) else "captures"), path
        elif name in ("truth.csv", ".scenes") or (suffix in _IMAGES and _CAPTURE.fullmatch(path.stem)):
            yield "captures", path
        elif name == "config.toml" and is_run(path):
            yield "a training run", path
        elif suffix in _WEIGHTS:
            yield "checkpoints", path
        elif name in ("index.html", "index.htm"):
            yield "a page", path


def is_run(config: Path) -> bool:
    """Whether a ``config.toml`` belongs to a training run: those of other tools have no table ``train``."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        return config.is_file() and isinstance(tomllib.loads(read_text(config, "utf-8-sig")).get("train"), dict)
    return False


def _first_line(path: Path) -> str:
    """The first line of a table; empty if it cannot be read."""
    with contextlib.suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.readline(1 << 16).decode("utf-8", "replace")
    return ""
