"""Upscale an image that is in memory."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from d2c.checkpoints import native
from d2c.device import pick_device
from d2c.errors import DataError
from d2c.inference.canvas import Canvas
from d2c.inference.output import is_grey
from d2c.inference.plan import make_plan
from d2c.inference.run import upscale_strips
from d2c.networks import network_of
from d2crealsr.store import ImageError
from d2crealsr.store.images import read_image_and_alpha

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2c.networks import Network

__all__ = ["upscale"]


def upscale(
    image: NDArray[Any] | str | PathLike[str],
    model: nn.Module | str | PathLike[str] = "runs/paper",
    *,
    device: str = "auto",
    network: str | type[Network] | None = None,
    grey: bool = True,
    self_ensemble: bool = False,
    convert_profile: bool = False,
) -> NDArray[Any]:
    """The upscaled image, as ``d2c upscale`` makes it.

    Parameters
    ----------
    image : (h, w, 3) ndarray of uint8 or uint16, or path
        RGB pixels, or an image file.
    model : Module or path
        A model; or a checkpoint, the folder of a run or ``builtin:x8``, which is read anew in each call. The default is
        where ``d2c train`` writes its run.
    device : str
        Where a model that is read runs: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    network : str or type, optional
        As for :func:`d2c.load`, where a model is read.
    grey : bool
        Whether an image with equal channels gives a result with equal channels.
    self_ensemble : bool
        Whether to take the mean over the eight flips and transposes of the image.
    convert_profile : bool
        Whether to convert a file whose colour profile is not sRGB, or to refuse it. Pixels of an array are sRGB.

    Returns
    -------
    (s·h, s·w, 3) ndarray
        Of the type of the image.

    Raises
    ------
    DataError
        When the image cannot be read, has other colours than sRGB, transparent pixels, or another shape or type.
    CheckpointError
        When the checkpoint cannot be read.
    ConfigError
        When the model is none of d2c.
    MemoryNeedError
        When it would not fit into memory.

    Examples
    --------
    >>> import d2c
    >>> d2c.upscale(photo, "runs/paper")  # doctest: +SKIP
    """
    pixels = _read(Path(image), convert_profile) if isinstance(image, (str, PathLike)) else _pixels(image)
    used: nn.Module = (
        native.load(model, device=pick_device(device), network=network) if isinstance(model, (str, PathLike)) else model
    )
    made_by, config = network_of(used)
    height, width = pixels.shape[:2]
    plan = make_plan(
        made_by.upscaler(config),
        (width, height),
        next(used.parameters()).device,
        sample_bytes=pixels.dtype.itemsize,
        self_ensemble=self_ensemble,
    )
    shape = config.scale * height, config.scale * width, 3
    canvas = Canvas(shape, pixels.dtype, next(used.parameters()).device, grey=grey and is_grey(pixels))
    was_training = used.training
    used.eval()
    try:
        for strip in upscale_strips(used, pixels, plan):
            canvas.put(strip.first, strip.sr)
    finally:
        used.train(was_training)
    return canvas.pixels()


def _read(path: Path, convert_profile: bool) -> NDArray[Any]:
    """The pixels of a file, by the function that ``d2c upscale`` reads it with; transparent pixels are refused."""
    try:
        pixels, alpha = read_image_and_alpha(path, convert=convert_profile)
    except ImageError as error:
        raise DataError(f"image: {error}") from error
    if alpha is not None and (alpha != np.iinfo(alpha.dtype).max).any():
        raise DataError(f"image: {path.name}: has transparent pixels, expected an opaque picture; flatten it")
    return pixels


def _pixels(image: NDArray[Any]) -> NDArray[Any]:
    """The pixels of an array in the machine's order of bytes."""
    pixels = np.asarray(image)
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape or pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"image: got {pixels.dtype} of shape {pixels.shape}, expected uint8 or uint16 of shape (height, width, 3); "
            "convert it to RGB"
        )
    return pixels
