"""Camera RAW and the other captures of its scene: one white balance for both, and the same rendering.

What is said here of a file is empty unless the file is camera RAW (:mod:`d2crealsr.store.readers.raws`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from d2crealsr.store import files
from d2crealsr.store.readers import START, reader_of

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from d2crealsr.store.readers.reader import Balance, Reader
    from d2crealsr.types import Size

__all__ = ["balance_of", "developed_in_words", "rendering_of", "turned", "turned_phase"]


def rendering_of(path: Path) -> str:
    """The fixed rendering by which a capture is developed, in words; empty unless it is camera RAW that can be read."""
    try:
        with files.open_regular(path) as file:
            development = reader_of(file.read(START)).development
    except (OSError, ValueError):  # reading the image will report the error
        return ""
    return "" if development is None else development.settings()


def developed_in_words(reader: Reader, balance: Balance, *, of_hr: bool) -> str:
    """The cell that says how a capture was developed."""
    if reader.development is None:
        return ""
    numbers = " ".join(f"{number:.4f}" for number in balance[:3]) or "none"
    return f"{reader.development.settings()}, white balance {'of HR' if of_hr else 'as shot'} {numbers}"


def turned_phase(phase: str, size: Size, orientation: int) -> str:
    """The phase of a colour filter in the upright picture; ``size`` and ``phase`` are as stored."""
    if not phase:
        return ""
    odd = np.array([0, 1, 0, 1])[: 4 - size.height % 2], np.array([0, 1, 0, 1])[: 4 - size.width % 2]
    letters = np.array(list(phase)).reshape(2, 2)[np.ix_(*odd)]
    return "".join(turned(letters, orientation)[:2, :2].ravel())


def balance_of(path: Path | None) -> Balance:
    """The white balance that a camera stored in a file; empty if there is none, or the file is no camera RAW."""
    if path is None:
        return ()
    try:
        with files.open_regular(path) as file:
            start = file.read(START)
            development = reader_of(start).development
            return () if development is None else development.balance(start + file.read())
    except (ImportError, OSError, ValueError):  # reading HR reports the error
        return ()


def turned(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn a picture according to the EXIF orientation 1–8 (CIPA DC-008, tag 0x0112)."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image
