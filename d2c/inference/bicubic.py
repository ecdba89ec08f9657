"""Bicubic resizing as usual in the field: Keys' kernel with a = −0.5, with antialiasing (as in Pillow and MATLAB).

OpenCV and torch use a = −0.75 without antialiasing, which changes PSNR by .04 to .07 dB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["bicubic"]


def bicubic(image: NDArray[Any], width: int, height: int) -> NDArray[Any]:
    """Resize an ``(h, w)`` or ``(h, w, C)`` image to ``(height, width[, C])`` of the same type.

    The computation is in float32. Integers are clipped and rounded once at the end. Pixel centres are mapped by
    ``x' = s·x + (s−1)/2``.

    References
    ----------
    Keys, "Cubic convolution interpolation for digital image processing", doi:10.1109/TASSP.1981.1163711
    """
    if image.ndim == 3:
        planes = [bicubic(image[..., c].astype(np.float32), width, height) for c in range(image.shape[2])]
        resized = np.stack(planes, axis=-1)
    else:
        plane = PIL.Image.fromarray(image.astype(np.float32))
        resized = np.asarray(plane.resize((width, height), PIL.Image.Resampling.BICUBIC))
    if np.issubdtype(image.dtype, np.integer):
        limits = np.iinfo(image.dtype)
        resized = np.rint(np.clip(resized, limits.min, limits.max))
    return np.asarray(resized.astype(image.dtype))
