"""The tone curve is recognised, and a lens that is known is used."""

import numpy as np
import pytest

from d2crealsr import opencv
from d2crealsr.align import Alignment, align_pair
from d2crealsr.errors import SettingsError
from d2crealsr.imaging import degrade, geometry, photometry
from d2crealsr.imaging.estimate import Estimate
from d2crealsr.settings import AlignSettings
from d2crealsr.store.images import CaptureImage
from d2crealsr.types import Size

HR, LR, SCALE = Size(800, 560), Size(260, 200), 4
H_TRUE = geometry.compose(geometry.translation(29.6, 28.3), geometry.inverse(geometry.scaling(SCALE)))


def light() -> np.ndarray:
    """Contrasty light: a wrong tone curve then mixes bright and dark wrongly."""
    rng = np.random.default_rng(4)
    total = np.zeros((HR.height, HR.width), np.float32)
    for cells, amplitude in ((12, 1), (40, 1), (120, 1), (400, 0.5)):  # the last are finer than LR can show
        total += opencv.resize(rng.normal(0, amplitude, (cells * 2 // 3, cells)).astype(np.float32), HR, "cubic")
    return np.clip(0.25 * np.exp(0.7 * total), 0.002, 0.95)[..., None].repeat(3, axis=2).astype(np.float32)


def captures(tone: str, k1_lr: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    linear = light()
    mapping = geometry.CaptureMapping(H_hr_to_lr=H_TRUE, hr_size=HR, lr_size=LR, k1_lr=k1_lr)
    sharp = degrade.LinearReduced(linear, linear[..., 0], 1)
    seen = sharp.at(sharp.blurred(linear, 4.0), mapping.lr_to_hr(geometry.pixel_centres(LR))) * np.float32(0.9)
    depth = np.dtype(np.uint16)
    return photometry.quantised(linear, tone, depth), photometry.quantised(seen, tone, depth)


def aligned(hr: np.ndarray, lr: np.ndarray, **changes: object) -> Alignment:
    result = align_pair(hr, lr, scale=SCALE, **changes)
    assert isinstance(result, Alignment), result
    return result


@pytest.mark.parametrize("tone", ["srgb", "gamma=1", "gamma=1.8", "gamma=3"])
def test_the_tone_curve_is_recognised(tone: str) -> None:
    result = aligned(*captures(tone), tone="auto")
    assert result.photometry.tone == tone
    assert result.accepted, result.reasons


def test_it_can_be_given() -> None:
    assert aligned(*captures("gamma=1.8"), tone="gamma=1.8").photometry.tone == "gamma=1.8"


@pytest.mark.parametrize("setting", ["srgb", "auto"])
@pytest.mark.parametrize("linear", ["hr", "lr"])
def test_a_capture_of_linear_light_keeps_its_tone_beside_one_that_has_a_curve(linear: str, setting: str) -> None:
    """The same light, one capture of it as a camera encodes it, the other as a linear file has it."""
    encoded, straight = captures("srgb"), captures("gamma=1")
    other = aligned(*encoded)
    is_hr = linear == "hr"
    own = CaptureImage(straight[0 if is_hr else 1], tone="linear")
    result = aligned(*((own, encoded[1]) if is_hr else (encoded[0], own)), tone=setting)
    tones = ("linear", "srgb") if is_hr else ("srgb", "linear")
    assert (result.photometry.tone_of_hr, result.photometry.tone) == tones
    row = result.estimate.to_row()
    assert row["tone"] == "/".join(tones)
    assert Estimate.from_row(row).light == result.photometry
    corners = geometry.corners(HR)
    moved = geometry.project(result.H_hr_to_lr, corners) - geometry.project(other.H_hr_to_lr, corners)
    assert np.abs(moved).max() < 0.01
    assert result.accepted, result.reasons
    # Published HR is encoded as LR is, so that the pair has one tone curve.
    light = photometry.to_linear(result.hr, result.photometry.tone) - photometry.to_linear(other.hr, "srgb")
    assert np.abs(light).max() < 0.02


def test_an_exchange_is_found_among_captures_of_two_tones() -> None:
    hr, lr = captures("gamma=1")[0], captures("srgb")[1]
    assert align_pair(lr, CaptureImage(hr, tone="linear"), scale=SCALE).reason == "hr_lr_swapped"


@pytest.mark.parametrize("tone", ["log", "gamma=0.5", "gamma=9", "gamma="])
def test_an_unknown_one_is_refused(tone: str) -> None:
    with pytest.raises(SettingsError, match="expected srgb, auto or gamma=G"):
        AlignSettings(tone=tone)


def test_a_known_lr_lens_is_taken_out() -> None:
    """A wide lens of 3 % and a picture that fills its frame: without the lens no homography fits."""
    hr, lr = captures("srgb", k1_lr=-0.03)
    with_lens, without = aligned(hr, lr, undistort_lr=-0.03), aligned(hr, lr)
    assert with_lens.k1_lr == -0.03
    true = geometry.CaptureMapping(H_hr_to_lr=H_TRUE, hr_size=HR, lr_size=LR, k1_lr=-0.03)
    errors = []
    for result in (with_lens, without):
        found = result.estimate.placement.mapping
        p_hr = geometry.central_grid(HR)
        errors.append(SCALE * np.linalg.norm(found.hr_to_lr(p_hr) - true.hr_to_lr(p_hr), axis=-1).mean())
    assert errors[0] < 0.05
    assert errors[1] > 3 * errors[0]


def test_a_lens_needs_direct_refinement() -> None:
    with pytest.raises(SettingsError, match="use --refine homography or radial"):
        AlignSettings(refine="none", undistort_hr=0.01)
