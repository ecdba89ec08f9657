"""Lateral chromatic aberration: by how much red and blue of the HR lens are magnified otherwise than green."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from d2crealsr import opencv
from d2crealsr.imaging import geometry, photometry

if TYPE_CHECKING:
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.quality.comparison import LrCrop

__all__ = ["ChromaticAberration", "measure_chromatic_aberration"]


_ENOUGH_PIXELS = 30_000


class ChromaticAberration(NamedTuple):
    """Relative magnification of red and blue over green: at ``c + (x − c)·(1 + k)`` what green has at x.

    nan where a channel has too little light or texture to tell.
    """

    k_r: float
    k_b: float

    def at(self, distance_hr_px: float) -> tuple[float, float]:
        """Displacement of red and blue at a distance from the HR capture's centre, in HR px, positive outwards."""
        return self.k_r * distance_hr_px, self.k_b * distance_hr_px


def measure_chromatic_aberration(
    hr: LinearReduced, lr: LrCrop, mapping: CaptureMapping, sigma_hr_px: float
) -> ChromaticAberration:
    """Fit each channel's radial magnification against LR, by robust least squares in linear light.

    Parameters
    ----------
    hr : LinearReduced
        The HR capture.
    lr : LrCrop
        The published part of LR; its own aberration, in a fraction of an LR px, is not seen.
    mapping : CaptureMapping
        How they lie on each other, right for all channels together.
    sigma_hr_px : float
        Blur that makes HR look like LR.
    """
    every = max(1, int(np.sqrt(lr.valid.size / _ENOUGH_PIXELS)))
    some = np.s_[::every, ::every]
    valid, p_hr = lr.valid[some], mapping.lr_to_hr(lr.positions[some])
    outwards = (p_hr - geometry.frame_centre(mapping.hr_size))[valid]
    k = []
    for channel in range(3):
        blurred = hr.blurred(np.ascontiguousarray(hr.rgb[..., channel]), sigma_hr_px)
        dx, dy, _ = opencv.derivatives(blurred)
        value, slope_x, slope_y = (hr.at(image, p_hr)[valid] for image in (blurred, dx, dy))
        radial = (slope_x * outwards[:, 0] + slope_y * outwards[:, 1]) / hr.factor
        design = np.stack([value, radial, np.ones_like(value)], axis=1)
        solution = photometry.robust_least_squares(design, lr.rgb[some][..., channel][valid])
        # hr(p·(1 + m)) matches lr at p: the channel's content lies further out by m.
        k.append(float("nan") if solution is None or solution[0] <= 0 else float(solution[1] / solution[0]))
    return ChromaticAberration(k[0] - k[1], k[2] - k[1])
