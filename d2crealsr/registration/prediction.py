"""The model that direct refinement fits: a prediction of the LR capture's pixels from the HR capture.

HR is blurred in linear light by a Gaussian and sampled at the positions given by the mapping. Each channel has a gain;
all channels share an illumination field and an offset. The result is encoded by the tone curve, and its luma is
compared with LR's. Comparing *encoded* luma has two advantages: noise and JPEG errors are about equal at all
brightnesses, and JPEG stores luma at full resolution, whereas it blurs colour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from d2crealsr.imaging import geometry, photometry
from d2crealsr.imaging.channels import multiply_channels, plane_times
from d2crealsr.imaging.photometry import JPEG_LUMA

if TYPE_CHECKING:
    from d2crealsr.imaging.degrade import LinearReduced
    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.imaging.lr_part import LrPart
    from d2crealsr.imaging.sampling import Sampled
    from d2crealsr.types import Array

__all__ = ["FIELD", "GEOMETRY", "Parameters", "Prediction", "Predictor"]

Float32 = NDArray[np.float32]

GEOMETRY = 9
"""Number of geometric parameters, which come first: eight of the homography and one of the HR lens."""

FIELD = 6
"""Number of coefficients of the illumination."""

SIZE = GEOMETRY + 1 + 3 + FIELD + 1
"""Number of parameters: geometry, blur, gains, field, offset."""

_SAME_BLUR_HR_PX = 1e-3
"""Change of σ below which HR is not blurred again."""

_STRIP_PIXELS = 8_192
_ONES = np.ones(3, np.float32)

_DARKEST = 1e-4
"""Linear light below which the slope of the tone curve is held constant."""


@dataclass(frozen=True)
class Parameters:
    """The parameters that are fitted.

    Attributes
    ----------
    mapping : CaptureMapping
    sigma : float
        Blur in HR px.
    gain : (3,) ndarray
    field : (6,) ndarray
        Illumination 1 + field · (x, y, x², xy, y², (x² + y²)²), with x and y from the centre of HR in half-diagonals.
        The last term is needed because HR has vignetting too: the illumination is the light in LR over that in HR, and
        1 / (1 − v·r²) is 1 + v·r² + v²·r⁴ + …
    offset : float
    """

    mapping: CaptureMapping
    sigma: float
    gain: Array
    field: Array
    offset: float

    def moved(self, step: Array, unit: geometry.UnitFrame, smallest_blur: float) -> Parameters:
        """The parameters after a Gauss–Newton step, (SIZE,). The variance of the blur changes by at most a half."""
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
            field=self.field + light[3 : 3 + FIELD],
            offset=self.offset + float(light[-1]),
        )


class Prediction(NamedTuple):
    """Predicted encoded luma of an observation's pixels, (N,), and its derivatives by all parameters, (SIZE, N)."""

    luma: Float32
    jacobian: Float32


class Predictor:
    """Predicts an observation from HR in strips that fit the processor's cache. Keeps the last blurred HR."""

    def __init__(self, hr: LinearReduced, tone: str) -> None:
        self.hr, self._tone = hr, tone
        self.unit = geometry.UnitFrame.of(hr.full_size)
        self.smallest_blur = float(np.sqrt((hr.factor**2 - 1) / 12 + 0.1))
        self._sigma = -1.0
        self._value: Sampled

    def unlit(self, parameters: Parameters, observation: LrPart) -> Float32:
        """HR at LR's blur, before gain, field and offset, (h, w, 3)."""
        return self._blurred(parameters.sigma).at(parameters.mapping.lr_to_hr(observation.positions))

    def linear(self, parameters: Parameters, observation: LrPart) -> Float32:
        """Predicted linear RGB of an observation's pixels, (h, w, 3)."""
        blurred = self._blurred(parameters.sigma)

        def lit(positions: Array) -> Float32:
            p_hr = parameters.mapping.lr_to_hr(positions)
            return blurred.at(p_hr) * self.light(parameters, p_hr) + np.float32(parameters.offset)

        return np.concatenate([lit(observation.positions[strip]) for strip in _strips(observation.encoded)])

    def light(self, parameters: Parameters, p_hr: Array) -> Float32:
        """Gain times illumination at positions in HR, (h, w, 3)."""
        field = self._field(parameters, self._basis(p_hr))
        return plane_times(field, parameters.gain.astype(np.float32))

    def luma(self, parameters: Parameters, observation: LrPart) -> Float32:
        """Predicted encoded luma of an observation's pixels, (N,)."""
        return self.encoded_luma(self.linear(parameters, observation)).ravel()

    def encoded_luma(self, linear: Float32) -> Float32:
        """Encoded luma of linear RGB, (h, w)."""
        luma = np.empty(linear.shape[:2], np.float32)
        for rows in _strips(luma):
            luma[rows] = photometry.encode_with_slope(linear[rows], self._tone)[0] @ JPEG_LUMA
        return luma

    def predict(self, parameters: Parameters, observation: LrPart) -> Prediction:
        """Predict the luma of an observation, and its derivative by each parameter."""
        count, width = observation.encoded.size, observation.encoded.shape[1]
        prediction = Prediction(np.empty(count, np.float32), np.empty((SIZE, count), np.float32))
        for strip in _strips(observation.encoded):
            flat = slice(strip.start * width, strip.stop * width)
            luma, columns = self._strip(parameters, observation.positions[strip])
            prediction.luma[flat] = luma.ravel()
            for place, column in enumerate(columns):
                prediction.jacobian[place, flat] = column.ravel()
        return prediction

    def _strip(self, parameters: Parameters, positions: Array) -> tuple[Float32, list[Float32]]:
        """Encoded luma of pixels at positions (h, w, 2), and the SIZE columns of its Jacobian, each (h, w)."""
        p_hr = parameters.mapping.lr_to_hr(positions)
        basis = self._basis(p_hr)
        value, dx, dy, laplacian = self._blurred(parameters.sigma).with_derivatives(p_hr)
        gain, field = parameters.gain.astype(np.float32), self._field(parameters, basis)
        light = plane_times(field, gain)
        linear = value * light + np.float32(parameters.offset)
        encoded, slope = photometry.encode_with_slope(np.maximum(linear, _DARKEST), self._tone)
        multiply_channels(slope, JPEG_LUMA)
        per_light = slope * light
        unit_px = np.float32(self.unit.length)
        gx, gy, blurring = (_over_channels(per_light, image) for image in (dx, dy, laplacian))
        gx, gy = gx * unit_px, gy * unit_px
        x, y = basis[..., 0], basis[..., 1]
        radial = gx * x + gy * y
        by_gain = slope * value
        by_field = by_gain @ gain
        columns = [gx * x, gx * y, gx, gy * x, gy * y, gy, -x * radial, -y * radial, -radial * (x**2 + y**2)]
        columns.append(np.float32(0.5) * blurring)
        columns += [by_gain[..., c] * field for c in range(3)]
        columns += [by_field * basis[..., i] for i in range(FIELD)]
        columns.append(slope @ _ONES)
        return encoded @ JPEG_LUMA, columns

    def _field(self, parameters: Parameters, basis: Float32) -> Float32:
        """The illumination field, (h, w)."""
        field: Float32 = 1 + basis @ parameters.field.astype(np.float32)
        return field

    def _basis(self, p_hr: Array) -> Float32:
        """x, y, x², xy, y², (x² + y²)² of positions in the unit frame, (..., FIELD)."""
        x, y = np.moveaxis(self.unit.of_points(p_hr).astype(np.float32), -1, 0)
        xx, yy = x**2, y**2
        return np.stack([x, y, xx, x * y, yy, (xx + yy) ** 2], axis=-1)

    def _blurred(self, sigma: float) -> Sampled:
        """HR blurred by σ."""
        if abs(self._sigma - sigma) > _SAME_BLUR_HR_PX:
            self._value, self._sigma = self.hr.sampled(self.hr.blurred(self.hr.rgb, sigma)), sigma
        return self._value


def _over_channels(a: Float32, b: Float32) -> Float32:
    """Sum of products over the three channels, (h, w, 3) → (h, w)."""
    return cast("Float32", (a * b) @ _ONES)


def _strips(image: Float32) -> list[slice]:
    """Rows of an image, (h, w), a few at a time."""
    height, width = image.shape
    rows = max(1, _STRIP_PIXELS // width)
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]
