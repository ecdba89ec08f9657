"""What one scene says about the tone curves of its cameras.

Light adds up in linear light: an LR pixel shows the average of the *linear* values of the HR pixels inside it. If the
assumed curve is wrong, the values that are averaged are a curved function φ of the light, and the average of φ differs
from φ of the average, by about ½ φ″ times the variance of HR inside the LR pixel. Where HR is flat, any curve that both
captures share fits; where HR has texture, the discrepancy shows the curvature of φ.

What can be known is therefore φ″, which is 0 for every φ(x) = a·x + b. A curve is identified up to its scale and its
offset, which the gain and the offset of the scene take up, and which D(0) = 0 and D(1) = 1 fix by convention. Nothing
is known about brightnesses that do not occur in textured parts. If HR and LR have different curves, the flat parts show
how these are related, and the textured parts show what they have in common.

The fit of a scene is that of :mod:`.refine`: mapping, blur, gains, illumination and offset are fitted again for each
candidate curve. The normal equations of the curves remain after the elimination of these numbers (variable projection,
Golub & Pereyra 1973, doi:10.1137/0710036).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from d2crealsr import opencv
from d2crealsr.imaging import degrade, photometry
from d2crealsr.imaging.photometry import JPEG_LUMA
from d2crealsr.imaging.tone_family import KNOTS, ToneCurve, curve_name
from d2crealsr.registration.gauss_newton import CHUNK_PIXELS, gauss_newton, solved
from d2crealsr.registration.prediction import FIELD, Parameters, Predictor
from d2crealsr.registration.refine import covered, less_demosaic, with_brightness
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from d2crealsr.imaging.geometry import CaptureMapping
    from d2crealsr.imaging.lr_part import LrPart
    from d2crealsr.registration.demosaic import Phase
    from d2crealsr.registration.gauss_newton import Fit
    from d2crealsr.store.images import CaptureImage
    from d2crealsr.types import Array, Image

__all__ = ["SceneEvidence", "ToneScene", "evidence_of"]

Float32 = NDArray[np.float32]

_SETTLED_HR_PX = 0.01


@dataclass(frozen=True, kw_only=True)
class ToneScene:
    """A registered scene.

    Attributes
    ----------
    name : str
    captures : callable
        Reads HR and LR. They are read again for each candidate curve, so that only one scene is in memory.
    mapping : CaptureMapping
        The mapping found with the curve of sRGB.
    sigma_hr_px : float
        The blur found with it.
    phase : Phase or None
        Colour filter phase of LR, if demosaicing was modelled.
    cameras : (str, str)
        Names of the curves of HR and of LR; empty for a capture whose curve is known.
    scale : int
    """

    name: str
    captures: Callable[[], tuple[CaptureImage, CaptureImage]]
    mapping: CaptureMapping
    sigma_hr_px: float
    phase: Phase | None
    cameras: tuple[str, str]
    scale: int


class SceneEvidence(NamedTuple):
    """Normal equations for a change of the numbers of all curves, and the misfit that they were derived from.

    Attributes
    ----------
    matrix, vector : (P, P) and (P,) ndarray
        ``matrix · change = vector``, in units of the variance of a residual; P = curves · knots.
    misfit : float
        Robust standard deviation of the residuals of encoded luma, on [0, 1].
    parameters : Parameters
        The numbers of the scene at which the fit ended.
    """

    matrix: Array
    vector: Array
    misfit: float
    parameters: Parameters


def evidence_of(scene: ToneScene, curves: Mapping[str, Array]) -> SceneEvidence | None:
    """The evidence of a scene at the present numbers of the curves; None if the scene cannot be fitted."""
    hr, lr = (
        image.toned(curve_name(curves[camera]) if camera else "")
        for image, camera in zip(scene.captures(), scene.cameras, strict=True)
    )
    source = degrade.reduced(hr.pixels, scene.scale, hr.tone)
    part = covered(source, lr.pixels, scene.mapping, scene.sigma_hr_px, lr.tone)
    if part is None:
        return None
    part = part.compared_with(source, scene.mapping, scene.sigma_hr_px)
    predictor = Predictor(source, lr.tone)
    begin = Parameters(scene.mapping, scene.sigma_hr_px, np.ones(3), np.zeros(FIELD), 0.0)
    begin = with_brightness(begin, predictor, part)
    fit = gauss_newton(predictor, part, begin, begin, "radial", _SETTLED_HR_PX)
    if fit is not None and scene.phase is not None:
        part = less_demosaic(predictor, predictor.linear(fit.parameters, part), part, scene.phase)
        fit = gauss_newton(predictor, part, fit.parameters, begin, "radial", _SETTLED_HR_PX)
    if fit is None:
        return None
    by_curves = np.zeros((len(curves), KNOTS, part.encoded.size), np.float32)
    of_hr, of_lr = ([*curves].index(camera) if camera else None for camera in scene.cameras)
    if of_hr is not None:
        by_curves[of_hr] += _by_hr_curve(predictor, fit, part, hr.pixels, curves[scene.cameras[0]])
    if of_lr is not None:
        by_curves[of_lr] += _by_lr_curve(predictor, fit, part, curves[scene.cameras[1]])
    return _reduced(fit, by_curves.reshape(-1, part.encoded.size))


def _by_hr_curve(predictor: Predictor, fit: Fit, part: LrPart, hr: Image, numbers: Array) -> Float32:
    """Derivatives of the predicted encoded luma by the numbers of HR's curve, (KNOTS, N): other light is averaged."""
    source, p_hr = predictor.hr, fit.parameters.mapping.lr_to_hr(part.positions)
    _, slope = photometry.encode_with_slope(predictor.linear(fit.parameters, part), part.tone)
    per_light = slope * JPEG_LUMA * predictor.light(fit.parameters, p_hr)
    rows = []
    for change in ToneCurve.of(numbers).by_number():
        seen = source.at(source.blurred(_averaged(hr, change, source.factor), fit.parameters.sigma), p_hr)
        rows.append((per_light * seen).sum(axis=-1).ravel())
    return np.stack(rows)


def _by_lr_curve(predictor: Predictor, fit: Fit, part: LrPart, numbers: Array) -> Float32:
    """Derivatives of the predicted encoded luma by the numbers of LR's curve: the same light has another value."""
    encoded, slope = photometry.encode_with_slope(predictor.linear(fit.parameters, part), part.tone)
    changes = ToneCurve.of(numbers).by_number()
    values = np.linspace(0, 1, changes.shape[1])
    moved = (np.interp(encoded, values, change).astype(np.float32) for change in changes)
    return np.stack([-(slope * JPEG_LUMA * change).sum(axis=-1).ravel() for change in moved])


def _averaged(hr: Image, table: Array, factor: int) -> Float32:
    """A function of the stored values, tabulated over [0, 1], averaged over ``factor`` × ``factor`` pixels."""
    levels = np.iinfo(hr.dtype).max + 1
    of_level = np.interp(np.linspace(0, 1, levels), np.linspace(0, 1, len(table)), table).astype(np.float32)
    rows, columns = hr.shape[0] // factor, hr.shape[1] // factor
    values = opencv.looked_up(opencv.as_image(hr[: rows * factor, : columns * factor]), of_level)
    return opencv.resize(values, Size(columns, rows), "area") if factor > 1 else values


def _reduced(fit: Fit, by_curves: Float32) -> SceneEvidence:
    """Normal equations of the curves after all other numbers of the scene are eliminated."""
    system, rows = fit.system, len(by_curves)
    columns = np.concatenate([by_curves, system.jacobian, system.residual[None]])
    products = np.zeros((len(columns),) * 2)
    for first in range(0, columns.shape[1], CHUNK_PIXELS):  # double precision, in chunks of pixels
        part = columns[:, first : first + CHUNK_PIXELS].astype(np.float64)
        products += (part * system.weight[first : first + CHUNK_PIXELS]) @ part.T
    own, others = products[:rows], products[rows:-1]
    explained = solved(others[:, rows:-1], others[:, [*range(rows), -1]], "radial")
    matrix = own[:, :rows] - own[:, rows:-1] @ explained[:, :rows]
    vector = own[:, -1] - own[:, rows:-1] @ explained[:, -1]
    # Adding a constant to the numbers of a curve changes nothing; rounding must not make it seem otherwise.
    level = np.kron(np.eye(rows // KNOTS), np.eye(KNOTS) - 1 / KNOTS)
    matrix = level @ (matrix + matrix.T) @ level / (2 * system.spread**2)
    return SceneEvidence(matrix, level @ vector / system.spread**2, system.spread, fit.parameters)
