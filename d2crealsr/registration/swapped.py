"""HR and LR that were taken for each other: said only where registration the other way round finds the card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2crealsr.imaging import degrade
from d2crealsr.registration import sift
from d2crealsr.types import AlignmentFailure

if TYPE_CHECKING:
    from d2crealsr.types import Image

__all__ = ["look_for_swap"]

_WITHOUT_ESTIMATE = ("too_few_matches", "low_texture")


def look_for_swap(failure: AlignmentFailure, hr: Image, lr: Image, *, scale: int, tone: str) -> AlignmentFailure:
    """``hr_lr_swapped`` instead of a failure where LR, taken for HR, is found in HR; else the failure as it was.

    Parameters
    ----------
    failure : AlignmentFailure
        What registering ``hr`` to ``lr`` came to.
    hr, lr : (H, W, 3) ndarray
        The captures as they were named.
    scale : int
        Nominal HR px per LR px. At scale 1 the two are alike, and nothing is looked for.
    """
    if scale == 1 or failure.reason not in _WITHOUT_ESTIMATE:
        return failure
    turned = sift.register(degrade.reduced(lr, scale, tone), hr, scale=scale, iters=1, tone=tone)
    if isinstance(turned, AlignmentFailure):
        return failure
    inliers = turned.stages[-1].n_inliers
    return AlignmentFailure(
        reason="hr_lr_swapped",
        message=f"LR is found in HR at x{scale} ({inliers} matches agree) and not HR in LR; exchange the two files",
        stages=failure.stages,
        statistics=failure.statistics,
    )
