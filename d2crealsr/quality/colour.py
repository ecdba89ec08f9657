"""What the colours of LR and of HR, as LR would see it, still differ by after blur and brightness were matched.

A black-and-white picture, another camera's colours or exchanged channels leave position and brightness as they are, and
the gains of the three channels even give a black-and-white HR the mean colour of LR. Their difference in a* and b*
shows them. Real cameras do not agree exactly, and they differ by more where colours are stronger; noise matters where
there are hardly any colours. So the difference is judged by the spread of the colours themselves.

A tone curve that was fitted is known only as well as the scenes showed it. Between captures with different curves, what
is wrong with the curves tints grey, mostly where scenes have few pixels. It follows from the brightness of a channel
alone, and is taken away first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import photometry
from d2crealsr.quality.tone_left import left_by_tone

if TYPE_CHECKING:
    from d2crealsr.imaging.comparison import Look, LrCrop
    from d2crealsr.imaging.geometry import CaptureMapping

__all__ = ["ColourDifference", "compare_colours"]

Float32 = NDArray[np.float32]

_BLUR_LR_PX = 4.0
"""σ of the blur with which colours are compared. Noise, the mosaic and chroma subsampling are finer."""
_ENOUGH_PIXELS = 64
"""Smallest number of pixels from which a difference is measured."""
_LEAST_SPREAD = 4.0
"""Spread of colours, in CIELAB units, below which a card counts as grey: what is left is noise for the most part."""


class ColourDifference(NamedTuple):
    """How much the colours of two images of one scene differ.

    Attributes
    ----------
    difference : float
        Root mean square of the difference in a* and b*, in CIELAB units.
    ratio : float
        The difference divided by the standard deviation of the colours (a* and b* together) of LR or of HR, whichever
        is larger, but at least 4.
    """

    difference: float
    ratio: float


UNMEASURED = ColourDifference(float("nan"), float("nan"))
"""Where almost everything is clipped."""


def compare_colours(
    lr_crop: LrCrop, look: Look, mapping: CaptureMapping, *, curves_are_fitted: bool = False
) -> ColourDifference:
    """Compare the colours of an LR crop with those that HR predicts, where neither is clipped nor next to it.

    Parameters
    ----------
    lr_crop : LrCrop
    look : Look
        HR as LR's camera would have developed it, of which blur and brightness are used.
    mapping : CaptureMapping
    curves_are_fitted : bool
        Whether the tone curve of a capture was fitted to scenes, and is therefore not known exactly.

    Returns
    -------
    ColourDifference
        nan if almost everything is clipped.

    References
    ----------
    CIE 15:2004, Colorimetry: the colour space L*a*b*, here for sRGB primaries and D65.
    """
    trusted = lr_crop.undisturbed
    if np.count_nonzero(trusted) < _ENOUGH_PIXELS:
        return UNMEASURED
    seen = lr_crop.lit(lr_crop.seen(look.source, mapping, look.sigma_hr_px), look.light, mapping)
    around_predicted, around_observed = (_around(linear, trusted) for linear in (seen, lr_crop.rgb))
    if curves_are_fitted:
        around_predicted = _with_tone_of(around_observed, around_predicted, lr_crop.tone, trusted)
    predicted, observed = (
        opencv.lab(around)[trusted][:, 1:].astype(np.float64) for around in (around_predicted, around_observed)
    )
    difference = float(np.sqrt(np.mean(np.sum((predicted - observed) ** 2, axis=1))))
    spread = max(float(np.sqrt(np.sum(colours.var(axis=0)))) for colours in (predicted, observed))
    return ColourDifference(difference, difference / max(spread, _LEAST_SPREAD))


def _around(linear: Float32, trusted: NDArray[np.bool_]) -> Float32:
    """An image in linear light, averaged over trusted neighbours, (h, w, 3)."""
    weight = trusted.astype(np.float32)
    share = opencv.blur(weight, _BLUR_LR_PX)[..., None]
    around = opencv.blur(linear * weight[..., None], _BLUR_LR_PX) / np.maximum(share, np.float32(1e-6))
    return np.asarray(np.clip(around, 0, 1), np.float32)


def _with_tone_of(observed: Float32, predicted: Float32, tone: str, trusted: NDArray[np.bool_]) -> Float32:
    """The prediction without what the tone curves leave, in linear light.

    It is fitted to averages, since a fit to single pixels would follow their noise.
    """
    of_lr, of_hr = (photometry.encode_clipped(linear, tone) for linear in (observed, predicted))
    encoded = of_hr + left_by_tone(of_lr - of_hr, of_hr, trusted)
    return np.asarray(photometry.decode_tone(np.clip(encoded, 0, 1), tone), np.float32)
