"""Self-ensemble: the mean of a network's outputs for the eight flips and transposes of an image.

The image is upscaled eight times, each output is turned back, and the mean of all is taken, in the strips in which the
network runs anyway.

References
----------
Timofte, Rothe and Van Gool, "Seven Ways to Improve Example-Based Single Image Super Resolution", CVPR 2016, section
3.5, doi:10.1109/CVPR.2016.206.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from d2c.networks.base.upscaler import Strip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from d2c.networks.base.upscaler import Plan

__all__ = ["MARK", "TURNS", "averaged", "marked", "turned"]

TURNS = 8
"""Number of flips and transposes."""
MARK = "+"
"""Follows the name of every output that is such a mean, as in publications."""

_TRANSPOSED = 4


def marked(methods: Iterable[str]) -> list[str]:
    """Names of outputs that are means over the turns."""
    return [method + MARK for method in methods]


def turned(array: NDArray[Any], turn: int, axes: tuple[int, int] = (-2, -1)) -> NDArray[Any]:
    """One of the eight flips and transposes of an array as a view; 0 leaves it. ``axes`` are height and width.

    Examples
    --------
    >>> [turned(np.array([[1, 2], [3, 4]]), turn).tolist() for turn in (0, 1, 4)]
    [[[1, 2], [3, 4]], [[2, 1], [4, 3]], [[1, 3], [2, 4]]]
    """
    found = np.swapaxes(array, *axes) if turn & _TRANSPOSED else array
    sides = tuple(axis for bit, axis in ((1, axes[1]), (2, axes[0])) if turn & bit)
    return np.asarray(np.flip(found, sides))


def averaged(
    pixels: NDArray[Any], plan: Plan, scale: int, strips: Callable[[NDArray[Any], Plan], Iterable[Strip]]
) -> Iterator[Strip]:
    """The mean over the turns of an image ``(h, w, 3)``, from top to bottom.

    The mean is moved towards each output in its turn. Equal outputs therefore have exactly themselves as mean.

    Parameters
    ----------
    plan : Plan
        With ``turned``, the plan for the transposed image.
    scale : int
        Scale of the network.
    strips : callable
        Upscales an image by a plan.
    """
    assert plan.turned is not None
    means: dict[str, Tensor] = {}  # on the device, so that nothing waits for it between strips
    for turn in range(TURNS):
        image = np.ascontiguousarray(turned(pixels, turn, (0, 1)))
        for strip in strips(image, plan.turned if turn & _TRANSPOSED else plan):
            outputs = {"sr": strip.sr, **(strip.more if plan.keep_all else {})}
            for name, planes in outputs.items():
                if name not in means:
                    size = (*planes.shape[:-2], scale * plan.height, scale * plan.width)
                    means[name] = torch.zeros(size, device=planes.device)
                part = _part(means[name], turn, strip.first, planes.shape[-2])
                part += (_upright(planes.float(), turn) - part) / (turn + 1)
    rows = scale * plan.strip
    for first in range(0, scale * plan.height, rows):
        more = {name: mean[..., first : first + rows, :] for name, mean in means.items()}
        yield Strip(first, more.pop("sr"), more)


def _part(image: Tensor, turn: int, first: int, rows: int) -> Tensor:
    """The part of an image that becomes some rows of the turned one, as a view."""
    axis = -1 if turn & _TRANSPOSED else -2
    return image.narrow(axis, image.shape[axis] - first - rows if turn & 2 else first, rows)


def _upright(rows: Tensor, turn: int) -> Tensor:
    """Rows of a turned image, turned back."""
    flipped = rows.flip([axis for bit, axis in ((1, -1), (2, -2)) if turn & bit])
    return flipped.transpose(-2, -1) if turn & _TRANSPOSED else flipped
