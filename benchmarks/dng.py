"""A DNG from the raw values of a simulated sensor, as a camera with the colours of sRGB would write it.

Tags are those of the DNG specification 1.4. tifffile writes the file, so that it shares no code with what reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from d2crealsr.simulate.sensor import RAW_LEVELS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["write_dng"]

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SIGNED = 1, 2, 3, 4, 5, 10
_CFA = 32803
_D65 = 21
_SRGB_TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                         [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip


def write_dng(
    path: Path,
    mosaic: NDArray[np.uint16],
    *,
    wb: Sequence[float] = (1.0, 1.0, 1.0),
    phase: str = "RGGB",
    orientation: int = 1,
    levels: tuple[int, int] = RAW_LEVELS,
) -> None:
    """Write raw values (H, W) of a sensor with a colour filter of repeating squares, such as Bayer's.

    Parameters
    ----------
    path : Path
    mosaic : (H, W) ndarray of uint16
    wb : sequence of float
        Gains of red, green and blue that make white neutral: the white balance of the camera.
    phase : str
        Colours of the first square, row after row: of 2×2 pixels for Bayer, of 6×6 for X-Trans.
    orientation : int
        Flag that turns the picture upright (CIPA DC-008, tag 0x0112).
    levels : (int, int)
        Raw levels without light and of a full well.
    """
    side = round(len(phase) ** 0.5)
    neutral = 1 / np.array(wb)
    neutral /= neutral.max()
    to_camera = np.diag(neutral) @ np.linalg.inv(_SRGB_TO_XYZ)
    tags: list[tuple[int, int, int, Any]] = [
        (271, _ASCII, 0, "Simulated"),  # Make
        (272, _ASCII, 0, "Bayer"),  # Model
        (274, _SHORT, 1, orientation),
        (33421, _SHORT, 2, (side, side)),  # CFARepeatPatternDim
        (33422, _BYTE, side * side, bytes("RGB".index(letter) for letter in phase)),  # CFAPattern
        (50706, _BYTE, 4, bytes([1, 4, 0, 0])),  # DNGVersion
        (50708, _ASCII, 0, "Simulated Bayer"),  # UniqueCameraModel
        (50714, _SHORT, 1, levels[0]),  # BlackLevel
        (50717, _SHORT, 1, levels[1]),  # WhiteLevel
        (50721, _SIGNED, 9, _fractions(to_camera)),  # ColorMatrix1
        (50728, _RATIONAL, 3, _fractions(neutral)),  # AsShotNeutral
        (50778, _SHORT, 1, _D65),  # CalibrationIlluminant1
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(
        path, mosaic, photometric=_CFA, metadata=None, software=False,
        extratags=[(*tag, True) for tag in tags],
    )  # fmt: skip


def _fractions(numbers: NDArray[Any]) -> list[int]:
    """Numbers as numerators and denominators."""
    return [part for number in np.ravel(numbers) for part in (round(float(number) * 1_000_000), 1_000_000)]
