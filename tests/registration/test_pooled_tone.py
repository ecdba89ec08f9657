"""The curve of a camera is found from several scenes, whatever its form, and sRGB stays sRGB."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import t as student

from d2crealsr import opencv
from d2crealsr.imaging import degrade, geometry, photometry
from d2crealsr.imaging.tone_family import KNOTS, ToneCurve
from d2crealsr.registration import pooled_tone
from d2crealsr.registration.pooled_tone import FEWEST_SCENES, PooledTone, fit_tone
from d2crealsr.registration.prediction import FIELD, Parameters
from d2crealsr.registration.tone_evidence import SceneEvidence, ToneScene, evidence_of
from d2crealsr.store.images import CaptureImage
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Curve = Callable[[np.ndarray], np.ndarray]

HR, LR, SCALE, BLUR, SCENES = Size(240, 180), Size(70, 55), 4, 4.0, 6
LIGHT = np.linspace(0.02, 0.8, 200)


def srgb(linear: np.ndarray) -> np.ndarray:
    return photometry.encode_tone(linear, "srgb")


def s_curve(linear: np.ndarray) -> np.ndarray:
    """It is not of the family that is fitted."""
    encoded = srgb(linear)
    return encoded - 0.08 * np.sin(2 * np.pi * encoded)


def scene(seed: int, of_hr: Curve, of_lr: Curve, cameras: tuple[str, str]) -> ToneScene:
    rng = np.random.default_rng(seed)
    total = np.zeros((HR.height, HR.width), np.float32)
    for cells, amplitude in ((8, 0.8), (40, 0.8), (160, 1.2)):  # the last are finer than LR can show
        total += opencv.resize(rng.normal(0, amplitude, (cells * 3 // 4, cells)).astype(np.float32), HR, "cubic")
    linear = np.clip(0.2 * np.exp(0.6 * total), 0.005, 0.9)[..., None].repeat(3, axis=2).astype(np.float32)
    H = geometry.compose(geometry.translation(5.3, 4.6), geometry.inverse(geometry.scaling(SCALE)))
    mapping = geometry.CaptureMapping(H_hr_to_lr=H, hr_size=HR, lr_size=LR)
    sharp = degrade.LinearReduced(linear, linear[..., 0], 1)
    seen = sharp.at(sharp.blurred(linear, BLUR), mapping.lr_to_hr(geometry.pixel_centres(LR))) * np.float32(0.9)
    hr, lr = (
        CaptureImage(np.round(65535 * np.clip(curve(x) + rng.normal(0, 0.004, x.shape), 0, 1)).astype(np.uint16))
        for curve, x in ((of_hr, linear), (of_lr, seen))
    )
    return ToneScene(
        name=str(seed),
        captures=lambda: (hr, lr),
        mapping=mapping,
        sigma_hr_px=BLUR,
        phase=None,
        cameras=cameras,
        scale=SCALE,
    )


def fitted(of_hr: Curve, of_lr: Curve, cameras: tuple[str, str]) -> PooledTone:
    found = fit_tone([scene(seed, of_hr, of_lr, cameras) for seed in range(SCENES)])
    assert found is not None
    return found


def bend(numbers: np.ndarray, curve: Curve) -> float:
    """Deviation of the decoded light from a line in the true light: what averaging suffers from."""
    decoded = ToneCurve.of(numbers).decoded(curve(LIGHT))
    slope, offset = np.polyfit(LIGHT, decoded, 1)
    return float(np.std(decoded - slope * LIGHT - offset) / slope)


def test_a_curve_that_both_shots_share_is_found() -> None:
    found = fitted(s_curve, s_curve, ("one", "one"))
    curve = found.curves["one"]
    assert curve.supported
    assert bend(curve.numbers, s_curve) < 0.2 * bend(np.zeros(5), s_curve)
    assert found.misfit_after < 0.6 * found.misfit_before


@pytest.mark.slow
def test_each_camera_has_its_own() -> None:
    found = fitted(s_curve, srgb, ("hr", "lr"))
    assert bend(found.curves["hr"].numbers, s_curve) < 0.2 * bend(np.zeros(5), s_curve)
    assert bend(found.curves["lr"].numbers, srgb) < 0.2 * bend(np.zeros(5), s_curve)


@pytest.mark.slow
def test_srgb_stays_srgb() -> None:
    found = fitted(srgb, srgb, ("hr", "lr"))
    assert not any(curve.supported for curve in found.curves.values())
    assert all(np.all(curve.numbers == 0) for curve in found.curves.values())
    assert all(np.all(curve.interval[0] < curve.interval[1]) for curve in found.curves.values())


@pytest.mark.slow
def test_a_capture_whose_curve_is_known_keeps_it() -> None:
    """HR in linear light beside an encoded LR."""
    plain = [scene(seed, lambda x: x, s_curve, ("", "lr")) for seed in range(SCENES)]

    def linear_hr(captures: Callable[[], tuple[CaptureImage, CaptureImage]]) -> tuple[CaptureImage, CaptureImage]:
        hr, lr = captures()
        return hr.toned("linear"), lr

    found = fit_tone([replace(one, captures=partial(linear_hr, one.captures)) for one in plain])
    assert found is not None
    assert list(found.curves) == ["lr"]
    assert bend(found.curves["lr"].numbers, s_curve) < 0.2 * bend(np.zeros(5), s_curve)


def test_too_few_scenes_say_nothing() -> None:
    assert fit_tone([scene(seed, srgb, srgb, ("one", "one")) for seed in range(FEWEST_SCENES - 1)]) is None


def quadratic(scene: ToneScene, curves: Mapping[str, np.ndarray]) -> SceneEvidence:
    """Evidence whose normal equations are exact, and concern only the scene's own camera."""
    rng = np.random.default_rng(int(scene.name))
    root = rng.normal(size=(40, KNOTS))
    own, camera = root.T @ root, scene.cameras[0]
    matrix, vector = np.zeros((len(curves) * KNOTS,) * 2), np.zeros(len(curves) * KNOTS)
    first = [*curves].index(camera) * KNOTS
    at = np.s_[first : first + KNOTS]
    matrix[at, at], vector[at] = own, own @ (CURVE + rng.normal(0, 0.1, KNOTS) - curves[camera])
    return SceneEvidence(
        matrix, vector, 1.0, Parameters(scene.mapping, scene.sigma_hr_px, np.ones(3), np.zeros(FIELD), 0.0)
    )


CURVE = np.array([0.5, -0.2, -0.3, -0.2, 0.2])


def known(cameras: Sequence[str]) -> list[ToneScene]:
    """Scenes for :func:`quadratic`, one for each name of a camera."""
    plain = scene(0, srgb, srgb, ("", ""))
    return [replace(plain, name=str(seed), cameras=(camera, camera)) for seed, camera in enumerate(cameras)]


def test_intervals_rest_on_the_scenes_by_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled_tone, "evidence_of", quadratic)
    alone, among = fit_tone(known(["a"] * 6)), fit_tone(known(["a"] * 6 + ["b"] * 12))
    assert alone is not None
    assert among is not None
    np.testing.assert_allclose(among.curves["a"].numbers, alone.curves["a"].numbers, rtol=0, atol=1e-9)
    np.testing.assert_allclose(among.curves["a"].interval, alone.curves["a"].interval, rtol=0, atol=1e-9)


def test_an_interval_is_that_of_the_jackknife(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled_tone, "evidence_of", quadratic)
    found = fit_tone(known(["a"] * 7))
    assert found is not None
    told = [quadratic(one, {"a": np.zeros(KNOTS)}) for one in known(["a"] * 7)]
    without = [
        np.linalg.solve(sum(each.matrix for each in rest) / 16 + np.eye(KNOTS), sum(each.vector for each in rest) / 16)
        for rest in ([*told[:left_out], *told[left_out + 1 :]] for left_out in range(7))
    ]
    half = student.ppf(0.975, 6) * np.sqrt(6 / 7 * np.sum((without - np.mean(without, axis=0)) ** 2, axis=0))
    low, high = found.curves["a"].interval
    np.testing.assert_allclose((high - low) / 2, half, rtol=1e-9)


def test_a_camera_of_one_scene_has_the_interval_of_the_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled_tone, "evidence_of", quadratic)
    found = fit_tone(known(["a"] * 6 + ["b"]))
    assert found is not None
    low, high = found.curves["b"].interval
    np.testing.assert_allclose((high - low) / 2, 1.959964, rtol=1e-6)
    assert not found.curves["b"].supported


@pytest.mark.parametrize("numbers", [np.zeros(5), np.array([0.5, -0.2, -0.3, -0.2, 0.2])])
def test_a_step_by_the_normal_equations_makes_the_misfit_smaller(numbers: np.ndarray) -> None:
    """The step that the evidence asks for makes the misfit smaller."""
    one = scene(1, s_curve, s_curve, ("one", "one"))
    before = evidence_of(one, {"one": numbers})
    assert before is not None
    step = np.linalg.solve(before.matrix + 16 * np.eye(5), before.vector)
    after = evidence_of(one, {"one": numbers + step})
    assert after is not None
    assert after.misfit < before.misfit
