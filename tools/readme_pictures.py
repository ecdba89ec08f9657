"""Draw the README's row of pictures from the folder that `make demo` leaves.

    make demo pictures
    python tools/readme_pictures.py demo docs/images     # the same, without the demo

`captures.webp`: the HR and the LR shot, with HR's place in LR. `aligned.webp`: the published pair, LR enlarged and HR
in turn. `upscaled.webp`: a part of it as bicubic interpolation enlarges LR, as `builtin:x8` does, and HR.
`rejected.webp`: a scene of the demo, simulated once more with a sheet of paper on the card, and why it is rejected.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from d2crealsr import Alignment, align_pair, read_manifest
from d2crealsr.errors import D2CRealSRError, LayoutError
from d2crealsr.imaging import geometry
from d2crealsr.imaging.estimate import mapping_from_row
from d2crealsr.simulate import SimulateSettings, simulate
from d2crealsr.store.images import read_image
from d2crealsr.types import Size

if TYPE_CHECKING:
    from d2crealsr.types import Image as Pixels

RECIPE = Path(__file__).parents[1] / "d2crealsr" / "command" / "demo.csv"
SCENE, COVERED = "001", "006"
"""The scene of the demo that is shown, whose photograph neither model was trained on, and the one that is covered."""

READY = "builtin:x8"
"""The checkpoint of the third picture. `d2c demo` upscales the scene by it."""

WIDTH, HEIGHT, GAP = 480, 648, 12
"""Of every picture, in px: about twice of what a page shows, for screens of high resolution."""

BLINK_MS = 900
_LABEL = 26
"""Size of the letters."""


def panel(pixels: Pixels, label: str, parts: int, box: tuple[int, int, int, int] | None = None) -> Image.Image:
    """An image, or its part ``box``, cut to the shape of one of ``parts`` in a picture, with its label on it."""
    size = (WIDTH, (HEIGHT - (parts - 1) * GAP) // parts)
    image = Image.fromarray(pixels).crop(box) if box else Image.fromarray(pixels)
    scale = max(size[0] / image.width, size[1] / image.height)
    width, height = size[0] / scale, size[1] / scale
    left, top = (image.width - width) / 2, (image.height - height) / 2
    seen = image.resize(size, Image.Resampling.BICUBIC, (left, top, left + width, top + height))
    draw, font = ImageDraw.Draw(seen, "RGBA"), ImageFont.load_default(_LABEL)
    draw.rectangle((0, 0, draw.textlength(label, font) + 20, _LABEL + 14), (0, 0, 0, 170))
    draw.text((10, 5), label, "white", font)
    return seen


def stacked(panels: list[Image.Image]) -> Image.Image:
    """Panels one above the other, transparent between them."""
    picture = Image.new("RGBA", (WIDTH, HEIGHT))
    for number, part in enumerate(panels):
        picture.paste(part, (0, number * (part.height + GAP)))
    return picture


def enlarged(lr: Pixels, hr: Pixels) -> Pixels:
    """LR at the size of HR, as bicubic interpolation enlarges it."""
    return np.asarray(Image.fromarray(lr).resize(hr.shape[1::-1], Image.Resampling.BICUBIC))


def captures(demo: Path, row: dict[Any, Any]) -> Image.Image:
    """Both shots; in LR a frame around what HR shows."""
    hr, lr = (read_image(demo / "raw" / row[f"{side}_source"]) for side in ("hr", "lr"))
    sizes = [Size(image.shape[1], image.shape[0]) for image in (hr, lr)]
    mapping = mapping_from_row(row, *sizes)
    if mapping is None:
        raise LayoutError(f"{demo / 'pairs'}: scene {SCENE} has no estimate; run make demo again")
    outline = mapping.hr_to_lr(geometry.corners(sizes[0]))
    framed = Image.fromarray(lr)
    ImageDraw.Draw(framed).polygon([tuple(point) for point in outline.tolist()], outline="white", width=9)
    return stacked([panel(hr, "HR shot", 2), panel(np.asarray(framed), "LR shot", 2)])


def blink(lr: Pixels, hr: Pixels) -> list[Image.Image]:
    """The two frames: LR enlarged, and HR."""
    return [panel(enlarged(lr, hr), "LR, enlarged", 1), panel(hr, "HR", 1)]


def upscaled(lr: Pixels, ready: Pixels, hr: Pixels) -> Image.Image:
    """The same part three times; ``ready``: LR upscaled by the checkpoint that comes with the package."""
    height, width = hr.shape[:2]
    box = (width // 4, height // 4, width * 7 // 8, height * 5 // 8)
    images = {"bicubic": enlarged(lr, hr), READY: ready, "HR": hr}
    return stacked([panel(image, label, 3, box) for label, image in images.items()])


def rejected() -> Image.Image:
    """A covered scene's pair, which is not published, and its reasons."""
    recipe = pd.read_csv(RECIPE, dtype=str)
    with tempfile.TemporaryDirectory() as temporary:
        raw = Path(temporary) / "raw"
        recipe[recipe["scene"] == COVERED].to_csv(f"{raw}.csv", index=False)
        settings = SimulateSettings(size="mini", nuisances=("occlusion",))
        simulate(raw, manifest=Path(f"{raw}.csv"), settings=settings)
        found = align_pair(raw / "hr" / f"{COVERED}.jpg", raw / "lr" / f"{COVERED}.jpg")
    if not isinstance(found, Alignment) or found.accepted:
        raise D2CRealSRError(f"scene {COVERED}: expected an estimate that is rejected; choose another scene here")
    share = found.statistics["content_differs_fraction"]
    sys.stdout.write(f"rejected.webp: {', '.join(found.reasons)}; {100 * share:.0f} % of the crop differs\n")
    return stacked([panel(found.hr, "HR", 2), panel(enlarged(found.lr, found.hr), "LR, enlarged", 2)])


def main(demo: Path, out: Path) -> None:
    """Read the demo's folder, draw the four pictures."""
    ready = demo / "run" / READY.replace(":", "-") / f"{SCENE}_x8.png"
    if not ready.is_file():
        raise LayoutError(f"{ready}: is not there; run make demo first")
    row = next(row for row in read_manifest(demo / "pairs").to_dict("records") if row["scene"] == SCENE)
    hr, lr = (read_image(demo / "pairs" / row[f"{side}_path"]) for side in ("hr", "lr"))
    out.mkdir(parents=True, exist_ok=True)
    first, second = blink(lr, hr)
    first.save(out / "aligned.webp", save_all=True, append_images=[second], duration=BLINK_MS, loop=0, quality=80)
    third = upscaled(lr, read_image(ready), hr)
    pictures = {"captures": captures(demo, row), "upscaled": third, "rejected": rejected()}
    for name, picture in pictures.items():
        picture.save(out / f"{name}.webp", quality=85)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except D2CRealSRError as error:
        sys.exit(f"readme_pictures: {error}")
