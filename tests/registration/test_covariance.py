"""The predicted error of a fit to two noisy captures of one scale, against its errors in repeated trials."""

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.imaging import degrade, geometry, photometry
from d2crealsr.imaging.lr_part import LrPart
from d2crealsr.registration import gauss_newton, refine
from d2crealsr.registration.covariance import covariance, curvature, slopes_of_residual
from d2crealsr.registration.prediction import FIELD, Parameters, Predictor
from d2crealsr.types import Crop, Size

SIZE = Size(160, 120)
TONE = "srgb"
START = geometry.CaptureMapping(H_hr_to_lr=geometry.translation(0.0, 0.0), hr_size=SIZE, lr_size=SIZE)
POINTS = geometry.central_grid(SIZE).reshape(-1, 2)


def captures(cells: int, noise: float, seed: int, contrast: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Two noisy pictures of a texture of so many cells across, the second a little softer."""
    texture = np.random.default_rng(0).uniform(0.1, 0.7, (cells * 3 // 4, cells)).astype(np.float32)
    grey = np.clip(opencv.resize(texture, SIZE, "cubic"), 0.02, 0.9) ** contrast
    light = grey[..., None].repeat(3, axis=2).astype(np.float32)
    rng = np.random.default_rng(seed)
    shots = (light, opencv.blur(light, 0.8))
    noisy = ((shot + rng.normal(0, noise, shot.shape)).astype(np.float32) for shot in shots)
    hr, lr = (photometry.quantised(np.clip(shot, 0.005, 0.99), TONE, np.dtype(np.uint8)) for shot in noisy)
    return hr, lr


def error_and_prediction(cells: int, noise: float, seed: int, contrast: float = 1.0) -> tuple[float, float]:
    """Root mean square error over HR, and the standard error without its calibration, in px."""
    hr, lr = captures(cells, noise, seed, contrast)
    found = refine.refine(degrade.reduced(hr, 1, TONE), lr, START, sigma_hr_px=0.8, model="homography", tone=TONE)
    assert found is not None
    off = found.mapping.hr_to_lr(POINTS) - POINTS
    return float(np.sqrt(np.mean(np.sum(off**2, axis=1)))), found.standard_error(POINTS) / found.calibration


@pytest.mark.parametrize(("cells", "noise"), [(24, 0.006), (8, 0.01)])
def test_the_standard_error_is_that_of_repeated_trials(cells: int, noise: float) -> None:
    """In the second texture most of the slope of HR is noise, which must not count as texture."""
    trials = np.array([error_and_prediction(cells, noise, seed) for seed in range(1, 7)])
    error, predicted = np.sqrt(np.mean(trials**2, axis=0))
    assert 0.75 < error / predicted < 1.15


def test_darker_pixels_that_are_noisier_weigh_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise of one size in linear light is several times larger in the encoded shadows."""
    by_brightness = [error_and_prediction(8, 0.004, seed, 3.0)[0] for seed in (1, 2, 3)]
    monkeypatch.setattr(gauss_newton, "relative_spread", lambda residual, *_: np.ones_like(residual))
    alike = [error_and_prediction(8, 0.004, seed, 3.0)[0] for seed in (1, 2, 3)]
    assert np.linalg.norm(by_brightness) < np.linalg.norm(alike)


@pytest.mark.parametrize("spread", [1.0, 1e-6], ids=["opposed", "all outliers"])
def test_residuals_that_contradict_the_texture_leave_a_finite_covariance(spread: float) -> None:
    hr, lr = captures(24, 0.006, 1)
    part = LrPart.of(lr, Crop(8, 8, SIZE.width - 16, SIZE.height - 16), TONE).softened(0.7)
    predictor = Predictor(degrade.reduced(hr, 1, TONE), TONE)
    begin = Parameters(START, 1.0, np.ones(3), np.zeros(FIELD), 0.0)
    fit = gauss_newton.gauss_newton(predictor, part, begin, begin, "radial", 0.01)
    assert fit is not None
    opposed = fit.system._replace(residual=-2 * part.encoded.ravel(), spread=spread)
    contradicted = fit._replace(system=opposed)
    matrix = curvature(predictor, contradicted, part, "radial", slopes_of_residual(opposed, part))
    found = covariance(contradicted, part, "radial", matrix)
    assert np.isfinite(found).all()
    assert np.trace(found) > 0
