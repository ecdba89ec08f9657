"""How much PSNR a benchmark loses because its pairs are misaligned.

The curves were measured with the best linear filter on simulated test pairs that were displaced by known amounts, each
pair in its own direction (`benchmarks/training/misalignment.py`, `benchmarks/results/misalignment.txt`). They are of
PSNR-Y, at ×2 of cards with fine detail and at ×8 of printed photographs. Other content loses more or less, and a
large network may lose more than the filter, since its images are sharper.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["MEASURED_SCALES", "loss_db"]

_CURVES = {
    2: ((0.0, 0.0), (0.0625, 0.093), (0.125, 0.356), (0.25, 1.248), (0.5, 3.532), (1.0, 7.421)),
    8: ((0.0, 0.0), (0.03125, 0.006), (0.0625, 0.022), (0.125, 0.082), (0.25, 0.307), (0.5, 1.047), (1.0, 2.874)),
}
"""Displacement in LR px and loss in dB, by scale."""

MEASURED_SCALES = (min(_CURVES), max(_CURVES))
"""The smallest and the largest scale whose curve was measured. There is no loss outside of them."""


def loss_db(displacement_hr_px: float, scale: int) -> float:
    """PSNR-Y that a result loses where its HR is displaced against LR.

    Parameters
    ----------
    displacement_hr_px : float
        Root mean square length over the image, in HR px. Beyond one LR px, the loss at one LR px is a lower limit.
    scale : int
        Between the measured scales, the loss is interpolated at an equal displacement in LR px, linearly in the
        logarithm of the scale.

    Returns
    -------
    float
        In dB; nan outside of :data:`MEASURED_SCALES`.

    Examples
    --------
    >>> [round(loss_db(2.0, scale), 2) for scale in (2, 4, 8)], loss_db(2.0, 1)
    ([7.42, 2.29, 0.31], nan)
    """
    smallest, largest = MEASURED_SCALES
    if not smallest <= scale <= largest:
        return math.nan
    scales = sorted(_CURVES)
    at_scales = [_on_curve(displacement_hr_px / scale, _CURVES[known]) for known in scales]
    return float(np.interp(math.log(scale), [math.log(known) for known in scales], at_scales))


def _on_curve(displacement_lr_px: float, curve: tuple[tuple[float, float], ...]) -> float:
    """Interpolated in the square of the displacement, to which small losses are proportional."""
    displacement, loss = np.array(curve).T
    return float(np.interp(displacement_lr_px**2, displacement**2, loss))
