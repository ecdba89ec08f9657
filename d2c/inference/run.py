"""Run a model on whole images, in as much memory as there is.

The body runs once over the image, in bands of rows; tails and convergence net follow in strips. What comes out does
not depend on the heights of bands and strips but for rounding in the last digits (about 1e-7 of the range in float32).
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from d2c.d2csr.spill import FeatureMaps
from d2c.d2csr.strips import strips
from d2c.d2csr.sweeps import leaf_feature_maps
from d2c.data.patches import to_tensor
from d2c.inference.plan import make_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from numpy.typing import NDArray

    from d2c.d2csr.network import D2CSR
    from d2c.d2csr.strips import Strip
    from d2c.inference.plan import Plan

    Float32 = NDArray[np.float32]

__all__ = ["Upscaled", "upscale", "upscale_strips"]


class Upscaled(NamedTuple):
    """What the network makes of one image; floats, colours unclipped.

    ``fused`` (H, W, 3) RGB; ``predictions`` (P, H, W, 3); ``weights`` (P, H, W), summing to 1 over P.
    """

    fused: Float32
    predictions: Float32
    weights: Float32


def upscale(
    model: D2CSR,
    pixels: NDArray[Any],
    *,
    name: str = "image",
    max_memory: int | None = None,
    spill: Path | None = None,
) -> Upscaled:
    """Upscale one ``(h, w, 3)`` RGB image, 8 or 16 bit, on the device the model is on; keep all that it makes.

    Parameters
    ----------
    max_memory : int, optional
        Bytes it may take over what the process takes already; by default what the machine has free.
    spill : Path, optional
        Folder of temporary files, needed where feature maps do not fit into memory; by default the system's.

    Raises
    ------
    MemoryNeedError
        When it would not fit into memory; nothing was started.
    """
    height, width = pixels.shape[:2]
    device = next(model.parameters()).device
    plan = make_plan(model.config, (width, height), device, name, keep_all=True, max_memory=max_memory)
    scale, leaves = model.config.scale, model.config.predictions
    made = Upscaled(
        np.empty((scale * height, scale * width, 3), np.float32),
        np.empty((leaves, scale * height, scale * width, 3), np.float32),
        np.empty((leaves, scale * height, scale * width), np.float32),
    )
    for strip in upscale_strips(model, pixels, plan, spill):
        rows = slice(strip.first, strip.first + strip.fused.shape[1])
        made.fused[rows] = as_image(strip.fused)
        made.predictions[:, rows] = as_image(strip.predictions)
        made.weights[:, rows] = strip.weights.float().cpu().numpy()
    return made


def upscale_strips(
    model: D2CSR,
    pixels: NDArray[Any],
    plan: Plan,
    spill: Path | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Generator[Strip, None, None]:
    """The upscaled image from top to bottom, as the plan says; ``progress`` is called after every sweep and strip."""
    like = next(model.parameters())
    folder = (spill or Path(tempfile.gettempdir())) if plan.spill else None
    with torch.inference_mode():
        lr = to_tensor(pixels)[None].to(like.device, like.dtype)
        maps = FeatureMaps(plan.height, plan.width, model.config.features, like, folder)
        leaves = leaf_feature_maps(model, lr, maps, plan.band, progress)
    del lr
    with contextlib.closing(strips(model, leaves, plan.height, plan.strip)) as made:
        for strip in made:
            yield strip
            progress()


def as_image(planes: torch.Tensor) -> Float32:
    """``(…, 3, H, W)`` on any device as ``(…, H, W, 3)`` in memory."""
    return np.ascontiguousarray(np.moveaxis(planes.float().cpu().numpy(), -3, -1))
