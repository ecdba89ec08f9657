"""A small memory card whose scenes are known: textures as cards, in the middle of a desk that all LR shots share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import PIL.ImageFilter
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

WIDTH, HEIGHT = 240, 160
_EXIF, _GPS = 0x8769, 0x8825


def texture(seed: int, width: int, height: int) -> PIL.Image.Image:
    """Blobs of all sizes in colour; another one for each seed."""
    rng = np.random.default_rng(seed)
    total: NDArray[np.float64] = np.zeros((height, width, 3))
    for cell in (2, 4, 8, 16, 32):
        coarse = rng.uniform(-1, 1, (height // cell + 2, width // cell + 2, 3))
        part = PIL.Image.fromarray(np.uint8(127.5 + 127.5 * coarse)).resize(
            (width, height), PIL.Image.Resampling.BICUBIC
        )
        total += (np.asarray(part, np.float64) - 127.5) * cell**0.3
    return PIL.Image.fromarray(np.uint8(np.clip(128 + total / 3.2, 4, 246)))


def wide(card: PIL.Image.Image, scale: int, desk: int = 999) -> PIL.Image.Image:
    """The LR shot of a card: it is in the middle, ``scale`` times smaller, on a desk."""
    shot = texture(desk, WIDTH, HEIGHT)
    size = (WIDTH // scale, HEIGHT // scale)
    shot.paste(card.resize(size, PIL.Image.Resampling.LANCZOS), ((WIDTH - size[0]) // 2, (HEIGHT - size[1]) // 2))
    return shot


def blurred(shot: PIL.Image.Image, radius: float) -> PIL.Image.Image:
    return shot.filter(PIL.ImageFilter.GaussianBlur(radius))


@dataclass
class MemoryCard:
    """A folder of frames with EXIF data, and what each of them is."""

    path: Path
    truth: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, what: str, shot: PIL.Image.Image, focal_mm: float = 50.0, camera: str = "EOS R6") -> None:
        """A frame, taken by the clock a minute after the one before it."""
        exif = PIL.Image.Exif()
        exif[0x010F], exif[0x0110] = "Canon", camera
        time = f"2026:05:01 10:{len(self.truth):02d}:00"
        exif.get_ifd(_EXIF).update(
            {
                0x829A: 0.01,
                0x829D: 8.0,
                0x8827: 100,
                0x9003: time,
                0x920A: focal_mm,
                0xA431: "SECRET-1",
                0xA434: "RF 24",
            }
        )
        exif.get_ifd(_GPS).update({1: "N", 2: (52.0, 30.0, 0.0), 3: "W", 4: (13.0, 24.0, 0.0)})
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shot.save(path, quality=95, exif=exif)
        self.truth[name] = what


@pytest.fixture
def memory_card(tmp_path: Path) -> MemoryCard:
    """A card with nothing on it."""
    folder = tmp_path / "DCIM"
    folder.mkdir()
    return MemoryCard(folder)


@pytest.fixture(scope="package")
def shoot(tmp_path_factory: pytest.TempPathFactory) -> MemoryCard:
    """Two cards by two cameras in disorder; the first at x2 and x4, with a blurred HR, a copy and a stranger."""
    made = MemoryCard(tmp_path_factory.mktemp("shoot") / "DCIM")
    one, two = texture(1, WIDTH, HEIGHT), texture(2, WIDTH, HEIGHT)
    made.add("101/C7.JPG", "1 x4", wide(one, 4))
    made.add("100/A9.JPG", "2 x2", wide(two, 2), camera="ILCE-7")
    made.add("100/A2.JPG", "1 blurred", blurred(one, 2.0), 200.0)
    made.add("101/B1.JPG", "nothing", texture(3, WIDTH, HEIGHT))
    made.add("100/A5.JPG", "1 hr", one, 200.0)
    made.add("100/B3.JPG", "1 x2", wide(one, 2))
    made.add("100/C1.JPG", "2 hr", two, 100.0, camera="ILCE-7")
    (made.path / "100/D1.JPG").write_bytes((made.path / "100/B3.JPG").read_bytes())
    (made.path / "100/E1.JPG").write_bytes((made.path / "100/B3.JPG").read_bytes()[:900])
    (made.path / "100/E2.PSD").write_bytes(b"raw")
    return made
