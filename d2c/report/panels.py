"""Pictures of a report's page: written as files, and described for the page."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import PIL.Image

from d2crealsr.store import files

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Panel", "PanelWriter"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One picture: its label, file under ``files/``, description, side in px, and PSNR-Y (nan if there is none)."""

    label: str
    file: str
    words: str
    side: int
    psnr_db: float = math.nan


class PanelWriter(NamedTuple):
    """Writes pictures as PNGs to ``folder`` under names with ``prefix``; ``scene`` is what they show a part of."""

    folder: Path
    prefix: str
    scene: str

    def write(self, label: str, picture: NDArray[np.uint8], words: str, psnr: float = math.nan) -> Panel:
        """Write one picture."""
        name = f"{self.prefix}-{label.replace(' ', '-').lower()}.png"
        with files.atomic_path(self.folder / name) as temporary:
            PIL.Image.fromarray(np.ascontiguousarray(picture)).save(temporary, format="png")
        words = f"{words} of scene {self.scene}"
        return Panel(label=label, file=name, words=words, side=max(picture.shape[:2]), psnr_db=psnr)
