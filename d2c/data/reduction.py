"""An LR image at HR's size that is box-reduced as it is read, so that a patch needs only its own pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from d2c.data.patches import PixelPair
from d2crealsr.store.layouts import box_reduced, reduced_size, whole_part

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2c.data.cache import Mapped
    from d2c.data.layouts import Pair

__all__ = ["ReducedImage", "as_pixels"]


class ReducedImage:
    """An image, ``(H, W, 3)``, that looks like its reduction, ``(H // factor, W // factor, 3)``."""

    def __init__(self, image: Mapped, factor: int) -> None:
        self._image, self._factor = image, factor
        width, height = reduced_size((image.shape[1], image.shape[0]), factor)
        self.shape, self.dtype, self.ndim = (height, width, 3), image.dtype, 3

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(box_reduced(self._image, self._factor), dtype=dtype)

    def __getitem__(self, key: tuple[slice, slice]) -> Mapped:
        """A rectangle of pixels."""
        rows, columns = (
            slice(start * self._factor, stop * self._factor)
            for start, stop, _ in (part.indices(side) for part, side in zip(key, self.shape, strict=False))
        )
        return box_reduced(self._image[rows, columns], self._factor)


def as_pixels(pair: Pair, lr: Mapped, hr: Mapped) -> PixelPair:
    """The pixels of a pair as files have them; or LR reduced and HR cropped, where LR has HR's size."""
    if pair.reduce == 1:
        return PixelPair(pair.title, lr, hr)
    return PixelPair(pair.title, ReducedImage(lr, pair.reduce), whole_part(hr, pair.reduce))  # type: ignore[arg-type]
