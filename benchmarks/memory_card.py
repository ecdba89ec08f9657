"""Simulated shoots as files of a camera, with EXIF data written by Pillow, for the programs about ``ingest``."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import PIL.Image
import PIL.ImageFilter

from benchmarks.scenes import captures_of
from d2crealsr import opencv
from d2crealsr.imaging import photometry

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.scenes import BenchScene
    from d2crealsr.types import Image

__all__ = ["CAMERAS", "Shot", "as_jpeg", "as_shots", "blurred", "overexposed", "shots_of"]

CAMERAS = ("EOS R6", "ILCE-7M4")
"""The two cameras. Their clocks differ by an hour."""

_FOCAL_MM = {"hr": 200.0, "lr": 24.0}
_QUALITY = 95


class Shot(NamedTuple):
    """A frame: its seed and what it shows (``hr``, ``lr``, or a fault of either), the picture, camera and minute."""

    seed: int
    what: str
    image: Image
    camera: str
    minute: int

    @property
    def name(self) -> str:
        """As in ``0101 hr``."""
        return f"{self.seed:04d} {self.what}"


def shots_of(scene: BenchScene, cache: Path | None, minute: int = 0) -> tuple[Shot, Shot]:
    """HR and LR of a scene, by the camera of its seed."""
    return as_shots(scene.seed, captures_of(scene, cache), minute)


def as_shots(seed: int, pair: tuple[Image, Image], minute: int) -> tuple[Shot, Shot]:
    """HR and LR of a card, by the camera of its seed."""
    (hr, lr), camera = pair, CAMERAS[seed % 2]
    return Shot(seed, "hr", hr, camera, minute), Shot(seed, "lr", lr, camera, minute + 1)


def blurred(shot: Shot, sigma: float) -> Shot:
    """The same frame out of focus."""
    picture = PIL.Image.fromarray(shot.image).filter(PIL.ImageFilter.GaussianBlur(sigma))
    return shot._replace(what=f"{shot.what} blurred", image=opencv.as_image(np.asarray(picture)))


def overexposed(shot: Shot, gain: float) -> Shot:
    """The same frame with more light."""
    light = np.minimum(gain * photometry.to_linear(shot.image, "srgb"), 1).astype(np.float32)
    return shot._replace(what=f"{shot.what} clipped", image=photometry.quantised(light, "srgb", np.dtype(np.uint8)))


def as_jpeg(shot: Shot, *, bare: bool = False) -> bytes:
    """The file that the camera writes, or a ``bare`` one without EXIF data."""
    exif = PIL.Image.Exif()
    exif[0x010F], exif[0x0110] = "Camera", shot.camera
    taken = datetime(2026, 5, 1, 10 + CAMERAS.index(shot.camera)) + timedelta(minutes=shot.minute)
    exif.get_ifd(0x8769).update(
        {
            0x829A: 0.01,
            0x829D: 8.0,
            0x8827: 100,
            0x9003: f"{taken:%Y:%m:%d %H:%M:%S}",
            0x920A: _FOCAL_MM[shot.what[:2]],
            0xA431: "0123456",
        }
    )
    stored = io.BytesIO()
    PIL.Image.fromarray(shot.image).save(stored, format="JPEG", quality=_QUALITY, exif=b"" if bare else exif)
    return stored.getvalue()
