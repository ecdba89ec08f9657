"""Run a network on whole images: predict the memory, and make the upscaled image from top to bottom.

By default the network runs on the whole image. If memory is short and the network states its reach, it runs in strips
of rows, each with as many additional rows on both sides as the reach requires.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from d2c.networks.base.memory import ALLOCATOR
from d2c.networks.base.mirror import mirrored
from d2c.networks.base.shapes import AliveBytes, shapes_only
from d2c.networks.base.trial import check_output, trial

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from d2c.networks.base.entry import Network
    from d2c.settings.config import Precision

__all__ = ["Plan", "Strip", "Upscaled", "Upscaler", "Way"]


class Strip(NamedTuple):
    """HR rows from ``first`` on: ``sr`` (3, ·, W), and further outputs of the network, each ``(…, C, ·, W)``."""

    first: int
    sr: Tensor
    more: Mapping[str, Tensor]


class Upscaled(NamedTuple):
    """The outputs of a network for one image, as floats. Colours are on [0, 1] but not clipped.

    They are ``sr`` (H, W, 3) RGB, and further outputs, each ``(…, H, W, C)``.
    """

    sr: NDArray[np.float32]
    more: Mapping[str, NDArray[np.float32]]


class Way(NamedTuple):
    """A way to upscale an image, and the bytes that it takes in addition to the image and the result."""

    strip: int
    """Number of LR rows whose HR pixels are made at a time."""
    strips: int
    """Peak bytes while HR pixels are made."""
    body: int = 0
    """Peak bytes before that."""
    band: int = 0
    """Number of LR rows of a feature map that are processed at a time; 0 for those of a strip, or for all."""
    spilled: int = 0
    """Bytes of feature maps that are kept in files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How one LR image is upscaled, and its peak memory in bytes."""

    width: int
    height: int
    """Size of the LR image."""
    strip: int
    """Number of LR rows whose HR pixels are made at a time."""
    band: int
    """Number of LR rows of a feature map that are processed at a time; 0 for those of a strip, or for all."""
    spill: bool
    """Whether feature maps are kept in files."""
    keep_all: bool
    """Whether all outputs of the network are kept, for figures and evaluation."""
    memory: int
    """Predicted peak memory, in addition to the present memory of the process."""
    spilled: int
    """Size of the temporary files; 0 if there are none."""
    result: int
    """Size of the resulting file, without compression."""
    turned: Plan | None = None
    """How the transposed image is upscaled, if the mean over eight flips and transposes is taken."""


class Upscaler:
    """Runs models of one network and configuration on whole images. Networks with a better way extend this class."""

    channels = 3
    """Number of values per HR pixel, over all outputs of the network."""
    precision: Precision = "fp32"
    """Arithmetic of the network, which decides on the memory that a card needs."""

    def __init__(self, network: Network, config: Any) -> None:
        self.network, self.config = network, config

    @property
    def refusal(self) -> str:
        """The reason why images are not upscaled in strips; empty if they are."""
        if self.network.reach_of(self.config) is not None:
            return ""
        return f"{self.network.name} takes images whole, not in strips: each of its pixels may depend on all of them"

    def ways(self, size: tuple[int, int], device: torch.device) -> Iterator[Way]:
        """Ways to upscale an image of ``size`` (width, height), from the fastest to that with the least memory."""
        (width, height), multiple = size, self.network.multiple
        rows = height
        while True:
            above, below = self._around(height // 2, min(height, height // 2 + rows), height)
            taken = below - above if rows < height else _up(height, multiple)
            alive = _alive_bytes(self.network, self.config, taken, _up(width, multiple))
            yield Way(strip=rows, strips=int(ALLOCATOR * alive))
            if self.refusal or rows <= multiple:
                return
            rows = _up(rows // 2, multiple)

    def parts(self, plan: Plan) -> int:
        """Number of parts of the work for a plan, including the strips."""
        return math.ceil(plan.height / plan.strip)

    def strips(
        self, model: nn.Module, lr: Tensor, plan: Plan, folder: Path | None, progress: Callable[[], None]
    ) -> Generator[Strip, None, None]:
        """The image from top to bottom.

        Parameters
        ----------
        lr : (1, 3, h, w) tensor
            RGB on [0, 1].
        folder : Path or None
            Folder for temporary files, if the plan has any.
        progress : callable
            Called after each part of the work, except for the strips.
        """
        peak, scale = self.network.peak, self.config.scale
        padded = mirrored(lr, self.network.multiple) * peak
        for start in range(0, plan.height, plan.strip):
            stop = min(plan.height, start + plan.strip)
            above, below = self._around(start, stop, plan.height)
            with torch.inference_mode():
                made = model(padded[:, :, above:below])
                check_output(self.network, scale, padded[:, :, above:below], made)
                own = made[0, :, scale * (start - above) : scale * (stop - above), : scale * plan.width] / peak
            yield Strip(scale * start, own, {})

    def _around(self, start: int, stop: int, height: int) -> tuple[int, int]:
        """The input rows of the network for a strip. They begin and end at multiples."""
        multiple, whole = self.network.multiple, _up(height, self.network.multiple)
        reach = self.network.reach_of(self.config)
        reach = whole if reach is None else reach
        return max(0, start - reach) // multiple * multiple, min(whole, _up(stop + reach, multiple))


def _up(rows: int, multiple: int) -> int:
    """The next multiple."""
    return -(-rows // multiple) * multiple


@functools.lru_cache(maxsize=256)
def _alive_bytes(network: Network, config: Any, height: int, width: int) -> int:
    """Peak bytes of the tensors that exist at the same time when the network runs on an image, without the image."""
    with trial(network), shapes_only():
        model = network.make(config).eval()
        lr = torch.empty(1, 3, height, width)
    with trial(network), torch.no_grad(), AliveBytes() as alive:
        model(lr)
    return int(alive.peak)
