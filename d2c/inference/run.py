"""Run a model on whole images in the available memory, with the upscaler of its network."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from d2c.data.patches import to_tensor
from d2c.inference.ensemble import TURNS, averaged
from d2c.inference.plan import make_plan
from d2c.networks import network_of
from d2c.networks.base.upscaler import Upscaled
from d2c.precision import computing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from d2c.networks.base.upscaler import Plan, Strip, Upscaler
    from d2c.settings.config import Precision

    Float32 = NDArray[np.float32]

__all__ = ["as_image", "laid_out", "parts", "upscale", "upscale_strips"]


def upscale(
    model: nn.Module,
    pixels: NDArray[Any],
    *,
    name: str = "image",
    max_memory: int | None = None,
    spill: Path | None = None,
    self_ensemble: bool = False,
    precision: Precision | None = None,
) -> Upscaled:
    """Upscale one ``(h, w, 3)`` RGB image of 8 or 16 bit on the model's device, and keep all outputs.

    Parameters
    ----------
    max_memory : int, optional
        Bytes that may be used in addition to those of the process; by default the free memory of the machine.
    spill : Path, optional
        Folder for temporary files, which are needed if feature maps do not fit into memory; by default the system's.
    self_ensemble : bool
        Whether to take the mean over the eight flips and transposes of the image (:mod:`d2c.inference.ensemble`).
    precision : str, optional
        Precision that the device has (:func:`d2c.precision.available_precision`); by default that of the caller.

    Raises
    ------
    MemoryNeedError
        When it would not fit into memory. Nothing has been started then.
    """
    height, width = pixels.shape[:2]
    network, config = network_of(model)
    device = next(model.parameters()).device
    plan = make_plan(
        network.upscaler(config),
        (width, height),
        device,
        name,
        keep_all=True,
        max_memory=max_memory,
        self_ensemble=self_ensemble,
        precision=precision,
    )
    whole: dict[str, Tensor] = {}  # on the device, so that nothing waits for it between strips
    for strip in upscale_strips(model, pixels, plan, spill, precision=precision):
        rows = slice(strip.first, strip.first + strip.sr.shape[1])
        for kind, planes in {"sr": strip.sr, **strip.more}.items():
            image = planes.movedim(-3, -1)  # (…, H, W, 3)
            if kind not in whole:
                *before, _, across, channels = image.shape
                size = (*before, config.scale * height, across, channels)
                whole[kind] = torch.empty(size, dtype=torch.float32, device=image.device)
            whole[kind][..., rows, :, :].copy_(image)
    made = {kind: image.cpu().numpy() for kind, image in whole.items()}
    return Upscaled(made.pop("sr"), made)


def laid_out(model: nn.Module) -> nn.Module:
    """The model with its weights in the order that is fastest for whole images on its device.

    On CUDA that is channels last. A model that is being trained must keep its order.
    """
    if next(model.parameters()).device.type == "cuda":
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def upscale_strips(
    model: nn.Module,
    pixels: NDArray[Any],
    plan: Plan,
    spill: Path | None = None,
    progress: Callable[[], None] = lambda: None,
    *,
    precision: Precision | None = None,
) -> Generator[Strip, None, None]:
    """The upscaled image from top to bottom, according to the plan. ``progress`` is called after each part.

    The caller's code between two strips runs in the caller's precision.
    """
    network, config = network_of(model)
    like = next(model.parameters())

    def strips(image: NDArray[Any], plan: Plan) -> Generator[Strip, None, None]:
        folder = (spill or Path(tempfile.gettempdir())) if plan.spill else None
        lr = to_tensor(image)[None].to(like.device, like.dtype)
        with contextlib.closing(network.upscaler(config).strips(model, lr, plan, folder, progress)) as made:
            while True:
                with computing(precision, like.device):
                    strip = next(made, None)
                if strip is None:
                    return
                yield strip
                progress()

    yield from strips(pixels, plan) if plan.turned is None else averaged(pixels, plan, config.scale, strips)


def parts(upscaler: Upscaler, plan: Plan) -> int:
    """How often :func:`upscale_strips` calls ``progress``."""
    once = upscaler.parts(plan)
    return once if plan.turned is None else TURNS // 2 * (once + upscaler.parts(plan.turned))


def as_image(planes: Tensor) -> Float32:
    """Convert ``(…, 3, H, W)`` on any device to ``(…, H, W, 3)`` in memory."""
    return np.ascontiguousarray(np.moveaxis(planes.float().cpu().numpy(), -3, -1))
