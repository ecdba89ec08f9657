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
from d2crealsr.imaging.photometry import JPEG_LUMA
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.types import Array, Image

__all__ = ["GEOMETRY", "Observation", "Parameters", "Prediction", "Predictor"]

Float32 = NDArray[np.float32]

GEOMETRY = 9
"""Number of geometric parameters: eight of the homography, one of the HR lens; they come first."""

_FIELD = 5
SIZE = GEOMETRY + 1 + 3 + _FIELD + 1
"""Number of parameters: geometry, blur, gains, field, offset."""

_SAME_BLUR_HR_PX = 1e-3
"""A change of σ that is too small to blur HR anew."""

_DARKEST = 1e-4
"""Linear light below which the slope of the tone curve is not followed further."""


@dataclass(frozen=True)
class Observation:
    """The LR pixels a fit looks at.

    Attributes
    ----------
    region : Crop
        Where they lie in the LR capture.
    luma : (h, w) ndarray
        Encoded luma on [0, 1].
    rgb : (h, w, 3) ndarray
        The same pixels in linear light.
    trusted : (h, w) ndarray
        False for clipped pixels and their neighbours.
    positions : (h, w, 2) ndarray
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
        encoded = part / np.float64(np.iinfo(part.dtype).max)
        centres = geometry.pixel_centres(Size(region.width, region.height)) + np.array([region.x, region.y])
        return cls(
            region=region,
            luma=encoded @ JPEG_LUMA,
            rgb=photometry.to_linear(part, tone),
            trusted=~photometry.saturated(part),
            positions=centres,
        )

    def thinned(self, stride: int) -> Observation:
        """Every ``stride``-th pixel in both directions; an odd stride meets all colours of the sensor's filter."""
        every = np.s_[::stride, ::stride]
        return replace(
            self,
            luma=self.luma[every],
            rgb=self.rgb[every],
            trusted=self.trusted[every],
            positions=self.positions[every],
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
    """Predicted encoded luma (N,) of an observation's pixels and its derivatives by all parameters (N, SIZE)."""

    luma: Array
    jacobian: Array


class Predictor:
    """Predicts an observation from HR; keeps the blurred HR of the last σ."""

    def __init__(self, hr: LinearReduced, tone: str) -> None:
        self._hr, self._tone = hr, tone
        self.unit = geometry.UnitFrame.of(hr.full_size)
        self.smallest_blur = float(np.sqrt((hr.factor**2 - 1) / 12 + 0.1))
        self._sigma = -1.0
        self._maps: tuple[Float32, ...] = ()

    def linear(self, parameters: Parameters, observation: Observation) -> Float32:
        """Predicted linear RGB of an observation's pixels, (h, w, 3)."""
        p_hr = parameters.mapping.lr_to_hr(observation.positions)
        value = self._hr.at(self._blurred(parameters.sigma)[0], p_hr)
        field = 1 + self._basis(p_hr) @ parameters.field
        linear = value * (parameters.gain * field[..., None]) + parameters.offset
        return linear.astype(np.float32)

    def encoded_luma(self, linear: Float32) -> Array:
        """Encoded luma of linear RGB, (h, w)."""
        encoded: Array = photometry.encode_tone(linear, self._tone) @ JPEG_LUMA
        return encoded

    def unlit(self, parameters: Parameters, observation: Observation) -> Float32:
        """What :meth:`linear` starts from: HR as LR's lens shows it, before gain, field and offset."""
        blurred = self._blurred(parameters.sigma)[0]
        return self._hr.at(blurred, parameters.mapping.lr_to_hr(observation.positions))

    def predict(self, parameters: Parameters, observation: Observation) -> Prediction:
        """Predict an observation's luma and how each parameter would change it."""
        p_hr = parameters.mapping.lr_to_hr(observation.positions)
        value, dx, dy, laplacian = (
            self._hr.at(image, p_hr).reshape(-1, 3).astype(np.float64) for image in self._blurred(parameters.sigma)
        )
        x, y = self.unit.of_points(p_hr).reshape(-1, 2).T
        basis = self._basis(p_hr).reshape(-1, _FIELD)
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
        return Prediction(photometry.encode_tone(linear, self._tone) @ JPEG_LUMA, jacobian)

    def _basis(self, p_hr: Array) -> Array:
        """x, y, x², xy, y² of positions in the unit frame, (..., 5)."""
        x, y = np.moveaxis(self.unit.of_points(p_hr), -1, 0)
        return np.stack([x, y, x**2, x * y, y**2], axis=-1)

    def _blurred(self, sigma: float) -> tuple[Float32, ...]:
        """HR blurred by σ, with its slopes and Laplacian per full-resolution HR px."""
        if abs(self._sigma - sigma) > _SAME_BLUR_HR_PX:
            blurred = self._hr.blurred(self._hr.rgb, sigma)
            dx, dy, laplacian = opencv.derivatives(blurred)
            f = np.float32(self._hr.factor)
            self._maps, self._sigma = (blurred, dx / f, dy / f, laplacian / f**2), sigma
        return self._maps
