"""What is measured of a trained model: its result, and what choosing between predictions could gain.

PSNR is that of Y by ``basicsr-y``, as the mean over the images and of the squared error averaged over the images
(``pooled``). A model with one prediction has a result only.

An oracle, which takes the prediction nearest to HR in each pixel, is above the mean of the predictions even if they
differ by noise alone. Beside it therefore stand the oracles of the plain mean plus independent noise, as many draws as
there are predictions, with the same root mean square deviation from the mean: once the same in all pixels (``flat``),
and once in proportion to the gradient of the mean (``gradient``).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from d2c.d2csr.figures import oracle
from d2c.inference.run import upscale
from d2c.losses import luma
from d2c.metrics import psnr_y, to_uint8, y_basicsr
from d2c.networks import network_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from torch import nn

    from d2c.data.patches import PixelPair
    from d2c.settings.config import Precision

    Image = NDArray[Any]

__all__ = ["COLUMNS", "best_constants", "measured", "noisy"]

_POOLED = ("result", "mean", "constants")
_OUTPUTS = (*_POOLED, "oracle", "oracle_flat", "oracle_gradient")
COLUMNS = (*_OUTPUTS, *(f"{name}_pooled" for name in _POOLED), "weight_departure", "spread")
"""PSNR of the result, of the plain mean, of the best constant weights and of the three oracles, in dB; the mean of
|w − 1/P| over pixels and predictions; and the deviation of the predictions from their mean, in levels of Y."""

_SEED = 26
"""Of the noise, which is the same for all models."""


def best_constants(model: nn.Module, pairs: Iterable[PixelPair], precision: Precision) -> NDArray[np.float64]:
    """The weights ``(P,)``, with sum 1, whose constant sum of the predictions has the least squared error on pairs."""
    products: Any = 0.0
    for pair in pairs:
        predictions, border = _predictions(model, pair, precision)[0], network_of(model)[1].scale
        truth = y_basicsr(to_uint8(np.asarray(pair.hr)))
        errors = np.stack([_inner(y_basicsr(p) - truth, border).ravel() for p in predictions])
        products = products + errors @ errors.T
    count = len(products)
    products = products / (np.trace(products) or 1.0)  # else lstsq takes the condition of large images for rounding
    system = np.block([[products, np.ones((count, 1))], [np.ones((1, count)), np.zeros((1, 1))]])
    found = np.linalg.lstsq(system, np.append(np.zeros(count), 1.0), rcond=None)[0]
    return np.asarray(found[:count])


def measured(
    model: nn.Module,
    pairs: Iterable[PixelPair],
    output: str,
    constants: NDArray[np.float64] | None,
    precision: Precision,
) -> dict[str, float]:
    """The columns of a row, as means over the pairs.

    Parameters
    ----------
    output : str
        The output that is the result.
    constants : (P,) ndarray, optional
        Weights from :func:`best_constants`; None for a model with one prediction.
    """
    every: list[dict[str, float]] = []
    for number, pair in enumerate(pairs):
        rng = np.random.default_rng((_SEED, number))
        every.append(_of_image(model, pair, output, constants, precision, rng))
    row = {name: float(np.mean([found[name] for found in every])) for name in every[0]}
    row |= {f"{name}_pooled": _pooled([found[name] for found in every]) for name in _POOLED if name in row}
    return row


def noisy(
    mean: Image, spread: float, count: int, rng: np.random.Generator, *, by_gradient: bool = False
) -> NDArray[np.float32]:
    """Images ``(P, H, W, 3)`` whose mean is ``mean``, and whose Y deviates from it by ``spread`` levels of 8 bit.

    The deviation is a root mean square over images and pixels. With ``by_gradient`` it is in proportion to the gradient
    of Y in each pixel.
    """
    noise = rng.standard_normal((count, *mean.shape[:2]))
    noise -= noise.mean(axis=0)
    if by_gradient:
        noise = noise * np.hypot(*np.gradient(_luma(mean)))
    size = float(np.sqrt(np.square(noise).mean()))
    level = spread / max(size, 1e-12) / _luma(np.ones((1, 1, 3))).item()  # of white, as all colours get the same
    return np.asarray(mean + (level * noise)[..., None], np.float32)


def _of_image(
    model: nn.Module,
    pair: PixelPair,
    output: str,
    constants: NDArray[np.float64] | None,
    precision: Precision,
    rng: np.random.Generator,
) -> dict[str, float]:
    predictions, weights, result = _predictions(model, pair, precision)
    border = network_of(model)[1].scale
    hr = to_uint8(np.asarray(pair.hr))
    mean = predictions.mean(axis=0)
    made = {"result": mean if output == "mean" else result}
    if constants is None:
        return {name: psnr_y(image, hr, border) for name, image in made.items()}
    deviation = np.stack([_luma(p) for p in predictions]) - _luma(mean)
    spread = float(np.sqrt(np.square(deviation).mean()))
    count = len(predictions)
    made |= {"mean": mean, "constants": np.tensordot(constants, predictions, axes=1)}
    made["oracle"] = oracle(predictions, hr)
    made["oracle_flat"] = oracle(noisy(mean, spread, count, rng), hr)
    made["oracle_gradient"] = oracle(noisy(mean, spread, count, rng, by_gradient=True), hr)
    found = {name: psnr_y(image, hr, border) for name, image in made.items()}
    return found | {"weight_departure": float(np.abs(weights - 1 / count).mean()), "spread": spread}


def _predictions(model: nn.Module, pair: PixelPair, precision: Precision) -> tuple[Image, Image, Image]:
    """The predictions ``(P, H, W, 3)``, their weights ``(P, H, W, 1)`` and the fused image."""
    made = upscale(model, np.asarray(pair.lr), name=pair.name, precision=precision)
    return made.more["predictions"], made.more["weights"], made.sr


def _luma(image: Image) -> NDArray[np.float64]:
    """Y of an image ``(H, W, 3)`` on [0, 1], in levels of 8 bit, not rounded and without its offset."""
    planes = torch.from_numpy(np.asarray(image, np.float64)).movedim(-1, 0)
    return 255.0 * np.asarray(luma(planes))


def _inner(plane: NDArray[np.float64], border: int) -> NDArray[np.float64]:
    return plane[border:-border, border:-border]


def _pooled(values: list[float]) -> float:
    """PSNR of the mean squared error of images with these PSNR."""
    error = sum(10 ** (-value / 10) for value in values) / len(values)
    return -10 * math.log10(error) if error else math.inf
