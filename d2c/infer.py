"""Run a model on whole images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from d2c.crops import to_tensor
from d2c.memory import check_fits

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from d2c.model import D2CSR

    Float32 = NDArray[np.float32]

__all__ = ["Upscaled", "pick_device", "upscale"]


class Upscaled(NamedTuple):
    """What the network makes of one image; floats, colours unclipped.

    ``fused`` (H, W, 3) RGB; ``predictions`` (P, H, W, 3); ``weights`` (P, H, W), summing to 1 over P.
    """

    fused: Float32
    predictions: Float32
    weights: Float32


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; ``auto`` is CUDA where there is one, else the CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def upscale(model: D2CSR, pixels: NDArray[Any], *, name: str = "image") -> Upscaled:
    """Upscale one ``(h, w, 3)`` RGB image, 8 or 16 bit, whole, on the device the model is on.

    Raises
    ------
    MemoryNeedError
        When it would not fit into memory; nothing was started.
    """
    device = next(model.parameters()).device
    check_fits(model.config, pixels.shape[1], pixels.shape[0], device, name)
    with torch.inference_mode():
        predictions = model.diverge(to_tensor(pixels)[None].to(device))
        fused, weights = model.converge(predictions)
        return Upscaled(_array(fused[0]), _array(predictions[0]), weights[0].float().cpu().numpy())


def _array(planes: torch.Tensor) -> Float32:
    """``(…, 3, H, W)`` on any device as ``(…, H, W, 3)`` in memory."""
    return np.ascontiguousarray(np.moveaxis(planes.float().cpu().numpy(), -3, -1))
