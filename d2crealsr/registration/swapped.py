"""Detect that HR and LR were exchanged. This is reported only if registration succeeds with the two exchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d2crealsr.imaging import degrade
from d2crealsr.registration import sift
from d2crealsr.types import AlignmentFailure

if TYPE_CHECKING:
    from d2crealsr.store.images import CaptureImage

__all__ = ["look_for_swap"]

_WITHOUT_ESTIMATE = ("too_few_matches", "low_texture")


def look_for_swap(failure: AlignmentFailure, hr: CaptureImage, lr: CaptureImage, *, scale: int) -> AlignmentFailure:
    """Return the failure ``hr_lr_swapped`` if LR, used as HR, is found in HR; otherwise the given failure.

    Parameters
    ----------
    failure : AlignmentFailure
        The failure of registering ``hr`` to ``lr``.
    hr, lr : CaptureImage
        The captures as they were named, with their tone curves.
    scale : int
        Nominal HR px per LR px. At scale 1 the exchange cannot be detected, so it is not tried.
    """
    if scale == 1 or failure.reason not in _WITHOUT_ESTIMATE:
        return failure
    turned = sift.register(degrade.reduced(lr.pixels, scale, lr.tone), hr.pixels, scale=scale, iters=1, tone=hr.tone)
    if isinstance(turned, AlignmentFailure):
        return failure
    inliers = turned.stages[-1].n_inliers
    return AlignmentFailure(
        reason="hr_lr_swapped",
        message=f"LR is found in HR at x{scale} ({inliers} matches agree) and not HR in LR; exchange the two files",
        stages=failure.stages,
        statistics=failure.statistics,
    )
