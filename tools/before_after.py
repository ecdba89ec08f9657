"""Draw the README's picture: one pair before and after alignment.

    d2crealsr simulate --out raw --size half --scenes 6 --seed 5
    d2crealsr align raw --out pairs
    python tools/before_after.py raw pairs 002 docs/images/before-after.jpg

Each of the lower panels is a checkerboard of the enlarged LR and of HR: edges go on across the squares where the two
lie on each other. "Before" is the HR capture as it was shot, its middle on the middle of LR, at the nominal scale.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from d2crealsr import read_manifest
from d2crealsr.store.captures import find_captures
from d2crealsr.store.images import read_image

WIDTH, HEIGHT = 80, 50  # LR px that are shown, from the middle of the crop
SQUARE = 80  # HR px
BAND = 34

Pixels = NDArray[np.uint8]


def middle(image: NDArray[Any], width: int, height: int) -> Pixels:
    """The middle of an image."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def checkerboard(a: Pixels, b: Pixels) -> Pixels:
    """Squares of two images in turn."""
    y, x = np.indices(a.shape[:2]) // SQUARE
    return np.where(((x + y) % 2 == 0)[..., None], a, b)


def labelled(panel: Pixels, text: str) -> Image.Image:
    """A panel with a line of text above it."""
    picture = Image.new("RGB", (panel.shape[1], panel.shape[0] + BAND), "white")
    picture.paste(Image.fromarray(panel), (0, BAND))
    ImageDraw.Draw(picture).text((2, 5), text, fill="black", font=ImageFont.load_default(size=20))
    return picture


def main(raw: Path, pairs: Path, scene: str, out: Path) -> None:
    """Read one scene's captures and its published pair, draw four panels."""
    row = read_manifest(pairs).set_index("scene").loc[scene]
    capture = next(capture for capture in find_captures(raw) if capture.scene == scene)
    scale = int(row["scale"])
    size = (WIDTH * scale, HEIGHT * scale)
    lr_small = middle(read_image(pairs / row["lr_path"]), WIDTH, HEIGHT)
    lr = np.asarray(Image.fromarray(lr_small).resize(size, Image.Resampling.BICUBIC))
    hr = middle(read_image(pairs / row["hr_path"]), *size)
    shot = middle(read_image(capture.hr), *size)
    panels = [
        labelled(lr, f"LR, enlarged {scale} times"),
        labelled(hr, "HR, published"),
        labelled(checkerboard(lr, shot), "before: LR and the HR capture in turn"),
        labelled(checkerboard(lr, hr), "after: LR and the published HR in turn"),
    ]
    width, height = panels[0].size
    sheet = Image.new("RGB", (2 * width + 12, 2 * height), "white")
    for number, panel in enumerate(panels):
        sheet.paste(panel, (number % 2 * (width + 12), number // 2 * height))
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out, quality=85)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
