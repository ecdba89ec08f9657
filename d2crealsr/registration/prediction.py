"""How an LR capture's pixels follow from the HR capture: the model that direct refinement fits.

HR is blurred in linear light by a Gaussian and sampled where the mapping says; each channel gets its gain, all share
an illumination field and an offset; the result is encoded by the tone curve and its luma compared with LR's. Comparing
*encoded* luma matters twice: noise and JPEG errors are about the same at all brightnesses there, and the luma that JPEG
stores at full resolution is free of the blur it puts into colour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import geometry, photometry
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, Image

__all__ = ["GEOMETRY", "Observation", "Parameters", "Prediction", "Predictor"]

Float32 = NDArray[np.float32]

JPEG_LUMA = np.array([0.299, 0.587, 0.114])
"""Weights of encoded RGB in JPEG's luma (ITU-T T.871)."""

GEOMETRY = 9
"""Number of geometric parameters: eight of the homography, one of the HR lens; they come first."""

_FIELD = 5
SIZE = GEOMETRY + 1 + 3 + _FIELD + 1
"""Number of parameters: geometry, blur, gains, field, offset."""

_DARKEST = 1e-4
"""Linear light below which the slope of the tone curve is not followed further."""


@dataclass(frozen=True)
class Observation:
    """The LR pixels a fit looks at, flattened.

    Attributes
    ----------
    region : Crop
        Where they lie in the LR capture.
    luma : (N,) ndarray
        Encoded luma on [0, 1].
    rgb : (h, w, 3) ndarray
        The same pixels in linear light.
    trusted : (N,) ndarray
        False for clipped pixels and their neighbours.
    positions : (N, 2) ndarray
        Positions in the LR capture.
    """

    region: Crop
    luma: Array
    rgb: Float32
    trusted: NDArray[np.bool_]
    positions: Array

    @classmethod
    def of(cls, lr: Image, region: Crop, tone: str) -> Observation:
        """Cut a region out of an LR capture."""
        part = opencv.as_image(lr[region.y : region.y + region.height, region.x : region.x + region.width])
        encoded = part.reshape(-1, 3) / np.float64(np.iinfo(part.dtype).max)
        centres = geometry.pixel_centres(Size(region.width, region.height)) + np.array([region.x, region.y])
        return cls(
            region=region,
            luma=encoded @ JPEG_LUMA,
            rgb=photometry.to_linear(part, tone),
            trusted=~photometry.saturated(part).ravel(),
            positions=centres.reshape(-1, 2),
        )


@dataclass(frozen=True)
class Parameters:
    """What is fitted.

    Attributes
    ----------
    mapping : CaptureMapping
    sigma : float
        Blur in HR px.
    gain : (3,) ndarray
    field : (5,) ndarray
        Illumination 1 + field · (x, y, x², xy, y²), x and y on the HR capture in half-diagonals from its centre.
    offset : float
    """

    mapping: CaptureMapping
    sigma: float
    gain: Array
    field: Array
    offset: float

    def moved(self, step: Array, unit: geometry.UnitFrame, smallest_blur: float) -> Parameters:
        """The parameters after a Gauss–Newton step, (SIZE,); the blur changes by half of its variance at most."""
        D = np.append(step[:8], 0.0).reshape(3, 3) + np.eye(3)
        H_lr_to_hr = unit.inverse @ D @ unit.matrix @ np.linalg.inv(self.mapping.H_hr_to_lr)
        variance = self.sigma**2 + float(np.clip(step[GEOMETRY], -0.5 * self.sigma**2, 0.5 * self.sigma**2))
        light = step[GEOMETRY + 1 :]
        return Parameters(
            mapping=replace(
                self.mapping,
                H_hr_to_lr=geometry.inverse(geometry.normalised(H_lr_to_hr)),
                k1_hr=self.mapping.k1_hr + float(step[8]),
            ),
            sigma=float(np.sqrt(max(variance, smallest_blur**2))),
            gain=self.gain + light[:3],
            field=self.field + light[3 : 3 + _FIELD],
            offset=self.offset + float(light[-1]),
        )


class Prediction(NamedTuple):
    """Predicted linear RGB (N, 3), its encoded luma (N,), and the luma's derivatives by all parameters (N, SIZE)."""

    linear: Array
    luma: Array
    jacobian: Array


class Predictor:
    """Predicts an observation from HR; keeps the blurred HR of the last σ."""

    def __init__(self, hr: LinearReduced, observation: Observation, tone: str) -> None:
        self._hr, self._observation, self._tone = hr, observation, tone
        self.unit = geometry.UnitFrame.of(hr.full_size)
        self.smallest_blur = float(np.sqrt((hr.factor**2 - 1) / 12 + 0.1))
        self._sigma = -1.0
        self._maps: tuple[Float32, ...] = ()

    def sampled(self, parameters: Parameters) -> tuple[Array, tuple[Array, Array, Array, Array]]:
        """HR positions (N, 2), and there: blurred channels, their slopes in x and y and Laplacians, each (N, 3)."""
        if abs(self._sigma - parameters.sigma) > 1e-3:
            self._maps, self._sigma = _derivative_maps(self._hr, parameters.sigma), parameters.sigma
        p_hr = parameters.mapping.lr_to_hr(self._observation.positions)
        shape = self._observation.rgb.shape[:2]
        grid = ((p_hr - (self._hr.factor - 1) / 2) / self._hr.factor).astype(np.float32).reshape(*shape, 2)
        x, y = np.ascontiguousarray(grid[..., 0]), np.ascontiguousarray(grid[..., 1])
        value, dx, dy, laplacian = (opencv.remap(m, x, y).reshape(-1, 3).astype(np.float64) for m in self._maps)
        return p_hr, (value, dx, dy, laplacian)

    def predict(self, parameters: Parameters) -> Prediction:
        """Predict the observation and how each parameter would change it."""
        p_hr, (value, dx, dy, laplacian) = self.sampled(parameters)
        x, y = self.unit.of_points(p_hr).T
        basis = np.stack([x, y, x**2, x * y, y**2], axis=1)
        field = (1 + basis @ parameters.field)[:, None]
        linear = parameters.gain * field * value + parameters.offset
        slope = photometry.encode_slope(np.maximum(linear, _DARKEST), self._tone) * JPEG_LUMA
        per_light = slope * parameters.gain * field
        gx = np.sum(per_light * dx, axis=1) * self.unit.length
        gy = np.sum(per_light * dy, axis=1) * self.unit.length
        radial = gx * x + gy * y
        columns = [gx * x, gx * y, gx, gy * x, gy * y, gy, -x * radial, -y * radial, -radial * (x**2 + y**2)]
        columns.append(0.5 * np.sum(per_light * laplacian, axis=1))
        gains = slope * field * value
        fields = np.sum(slope * parameters.gain * value, axis=1)[:, None] * basis
        jacobian = np.column_stack([*columns, gains, fields, slope.sum(axis=1)])
        return Prediction(linear, photometry.encode_tone(linear, self._tone) @ JPEG_LUMA, jacobian)


def _derivative_maps(hr: LinearReduced, sigma: float) -> tuple[Float32, ...]:
    """Blurred HR with its slopes and Laplacian per full-resolution HR px."""
    blurred = hr.blurred(hr.rgb, sigma)
    dx, dy, laplacian = opencv.derivatives(blurred)
    f = np.float32(hr.factor)
    return blurred, dx / f, dy / f, laplacian / f**2
