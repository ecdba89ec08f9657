"""Attention among the pixels of a window, on a grid of windows that may be shifted.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021,
doi:10.1109/ICCV48922.2021.00986. Nothing here depends on the values of pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn, unflatten

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["WindowAttention", "shift_mask"]

_FORBIDDEN = -100.0
"""What is added to the weight's exponent for pixels that may not attend to each other; the authors' value."""


class WindowAttention(nn.Module):
    """Multi-head attention among the pixels of each window of ``(N, h, w, n)``, with a bias by their distance.

    Parameters
    ----------
    shift : int
        Rows and columns by which the grid of windows is shifted. The image is then rolled, and :func:`shift_mask` keeps
        apart what was not next to each other.
    """

    def __init__(self, features: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.any_size = False
        """Whether windows are joined in a form that can be exported for all sizes, at the cost of a copy."""
        self.table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        self.qkv = nn.Linear(features, 3 * features)
        self.proj = nn.Linear(features, features)
        nn.init.normal_(self.table, std=0.02)  # the authors truncate it, at 100 standard deviations

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        shift, side, bias = self.shift, self.window, self.bias()
        if shift:
            x = x.roll((-shift, -shift), (1, 2))
        cells = unflatten(unflatten(x, 2, (-1, side)), 1, (-1, side)).transpose(2, 3)  # (N, h/a, w/a, a, a, n)
        qkv = self.qkv(cells.flatten(3, 4).flatten(1, 2))  # (N, windows, a², 3n)
        parts = unflatten(qkv, -1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)  # (3, N, windows, heads, a², n/heads)
        if shift:  # each window has its own mask, so all windows of an image are treated like heads
            parts, bias = parts.flatten(2, 3), (bias + mask[:, None]).flatten(0, 1)
        else:
            parts = parts.flatten(1, 2)
        q, k, v = parts.unbind()
        made = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None].to(q.dtype))
        made = made.reshape(*cells.shape[:3], self.heads, side**2, -1).transpose(3, 4).flatten(4)
        made = self.joined(unflatten(self.proj(made), 3, (side, side)))
        return made.roll((shift, shift), (1, 2)) if shift else made

    def joined(self, cells: Tensor) -> Tensor:
        """Windows ``(N, h/a, w/a, a, a, n)`` as an image ``(N, h, w, n)``."""
        if self.any_size:
            planes = cells.permute(0, 5, 3, 4, 1, 2).flatten(1, 3)  # (N, n·a², h/a, w/a)
            return F.pixel_shuffle(planes, self.window).permute(0, 2, 3, 1).contiguous()
        return cells.transpose(2, 3).flatten(3, 4).flatten(1, 2)

    def bias(self) -> Tensor:
        """``(heads, a², a²)``: the entries of the table for the distances between two pixels in rows and columns.

        Along each axis, pixel i attends to pixel j with entry i − j + a − 1.
        """
        side = self.window
        table = unflatten(self.table, 0, (2 * side - 1, -1))
        entries = table.unfold(0, side, 1).unfold(1, side, 1).flip(3, 4)  # (a, a, heads, a, a): i, i, ·, j, j
        return entries.permute(2, 0, 1, 3, 4).reshape(self.heads, side**2, side**2)


def shift_mask(features: Tensor, window: int) -> Tensor:
    """``(windows, a², a²)``: 0 between pixels that may attend to each other after the roll by half a window, else -100.

    Parameters
    ----------
    features : (N, n, h, w) tensor
        Sides are multiples of the window. Only the shape, the type and the device are used.
    """
    rows, columns = (_parts(side, window, features.device) for side in features.shape[2:])
    parts = 3 * rows[:, None, :, None] + columns[None, :, None, :]  # (h/a, w/a, a, a)
    parts = parts.flatten(2).flatten(0, 1)
    return _FORBIDDEN * (parts[:, :, None] != parts[:, None, :]).to(features.dtype)


def _parts(side: int, window: int, device: torch.device) -> Tensor:
    """``(side/a, a)``: in the last window of a rolled side 2 for what came from its other end, else 1; elsewhere 0."""
    position = torch.arange(side, device=device)
    last, rolled = position >= side - window, position >= side - window // 2
    return unflatten(last.int() + rolled.int(), 0, (-1, window))
