"""Pictures of one place in turn, as an animated WebP that plays wherever pictures are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imageio.v3
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from d2crealsr.store.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["write_animation"]

_FRAME_MS = 800
_QUALITY = 85
_EFFORT = 2
"""Of the encoder, from 0 to 6. The usual 4 takes twice as long, and its files are 2 % smaller."""
_LABEL_PX, _MARGIN_PX = 18, 6
_LABEL_PAPER, _LABEL_INK = (0, 0, 0, 184), "white"


def write_animation(path: Path, frames: Mapping[str, NDArray[np.uint8]]) -> None:
    """Write an animated WebP without end, .8 s a frame. Equal frames give equal bytes.

    Parameters
    ----------
    path : Path
        The file, which is replaced in one step.
    frames : mapping of str to (h, w, 3) ndarray
        Pictures of the same size by their names. Each name, in ASCII, stands in the picture's lower left corner.

    Raises
    ------
    MachineError
        When the disk cannot store it.
    """
    shown = np.stack([_labelled(picture, name) for name, picture in frames.items()])
    made: bytes = imageio.v3.imwrite(
        "<bytes>",
        shown,
        extension=".webp",
        plugin="pillow",
        duration=_FRAME_MS,
        loop=0,
        quality=_QUALITY,
        method=_EFFORT,
    )
    write_bytes(path, made)


def _labelled(picture: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    """The picture with its name on it."""
    image = PIL.Image.fromarray(np.ascontiguousarray(picture))
    draw, font = PIL.ImageDraw.Draw(image, "RGBA"), PIL.ImageFont.load_default(_LABEL_PX)
    top = image.height - _LABEL_PX - 2 * _MARGIN_PX
    draw.rectangle((0, top, draw.textlength(name, font) + 2 * _MARGIN_PX, image.height), _LABEL_PAPER)
    draw.text((_MARGIN_PX, image.height - _MARGIN_PX), name, _LABEL_INK, font, anchor="ls")
    return np.asarray(image)
