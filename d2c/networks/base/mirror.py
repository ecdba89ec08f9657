"""Extend the sides of images to multiples by reflection, and cut off what was added."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["cut_off", "mirrored", "mirrored_once"]


def mirrored(x: Tensor, multiple: int) -> Tensor:
    """Extend ``(N, n, h, w)`` by mirroring its last rows and columns until both sides are multiples.

    A side that is shorter than what is added is mirrored again and again. Nothing is copied from the host, and the same
    operations are done for all sizes.

    Examples
    --------
    >>> mirrored(torch.tensor([[[[1.0, 2.0, 3.0]]]]), 5)[0, 0, 0].tolist()
    [1.0, 2.0, 3.0, 2.0, 1.0]
    """
    for side in (2, 3) if multiple > 1 else ():
        size = x.shape[side]
        there_and_back = 2 * (size - 1) or 1
        place = torch.arange((size + multiple - 1) // multiple * multiple, device=x.device) % there_and_back
        x = x.index_select(side, torch.minimum(place, there_and_back - place))
    return x


def mirrored_once(x: Tensor, multiple: int) -> Tensor:
    """The same, in operations that ONNX has for all sizes, for sides that have more pixels than are added."""
    for side in (2, 3) if multiple > 1 else ():
        last = x.shape[side] - 1
        place = torch.arange((last + multiple) // multiple * multiple, device=x.device)
        x = x.index_select(side, last - (place - last).abs())
    return x


def cut_off(image: Tensor, height: int, width: int) -> Tensor:
    """The first rows and columns of an image. A slice would make torch.export ask whether there are any others."""
    rows, columns = (torch.arange(side, device=image.device) for side in (height, width))
    return image.index_select(-2, rows).index_select(-1, columns)
