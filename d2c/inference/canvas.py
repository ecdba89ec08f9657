"""A result that is put together from strips: on a card, where the strips are made, or in memory.

A card is given the next strip without waiting for the last one. The finished pixels are copied from it once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from d2c.inference import output

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["Canvas", "rows_as_type"]


class Canvas:
    """The pixels ``(H, W, 3)`` of a result, of 8 or 16 bit.

    Parameters
    ----------
    shape : (int, int, int)
    dtype : dtype
        ``uint8`` or ``uint16``.
    grey : bool
        Whether the three channels become the luma of the colours, as in :func:`d2c.inference.output.as_grey`.
    device : torch.device
        Where the strips are made.
    """

    def __init__(self, shape: tuple[int, int, int], dtype: np.dtype[Any], device: torch.device, *, grey: bool) -> None:
        self.dtype, self.grey = dtype, grey
        kind = torch.uint8 if dtype == np.uint8 else torch.int16  # with the bits of uint16
        self._pixels = torch.empty(shape, dtype=kind, device=device)
        self._rows: Callable[[Tensor], Tensor] = self._on_the_card if device.type != "cpu" else self._in_memory

    def put(self, first: int, planes: Tensor) -> None:
        """Put the strip ``(3, ·, W)``, floats on [0, 1], to the rows from ``first`` on."""
        self._pixels[first : first + planes.shape[1]].copy_(self._rows(planes))

    def pixels(self) -> NDArray[Any]:
        """All rows."""
        return self._pixels.cpu().numpy().view(self.dtype)

    def _in_memory(self, planes: Tensor) -> Tensor:
        rows = rows_as_type(planes, self.dtype, grey=self.grey)
        return torch.from_numpy(rows if rows.dtype == np.uint8 else rows.view(np.int16))

    def _on_the_card(self, planes: Tensor) -> Tensor:
        if self.grey:
            luma = sum(weight * plane for weight, plane in zip(output.LUMA.tolist(), planes.float(), strict=True))
            planes = luma.expand(3, -1, -1)
        levels = (planes.float().clamp(0, 1) * float(np.iinfo(self.dtype).max)).round()
        return levels.to(torch.int32).to(self._pixels.dtype).movedim(0, -1)


def rows_as_type(planes: Tensor, dtype: np.dtype[Any], *, grey: bool) -> NDArray[Any]:
    """A strip ``(3, ·, W)`` of floats on any device as rows of integers in memory."""
    image = np.ascontiguousarray(np.moveaxis(planes.float().cpu().numpy(), -3, -1))
    return output.as_type(output.as_grey(image) if grey else image, dtype)
