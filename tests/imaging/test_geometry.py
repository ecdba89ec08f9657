"""Homographies, half pixels and lenses against what they are defined to be."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from d2crealsr.imaging import geometry
from d2crealsr.types import Size

SIZE = Size(600, 400)
small = st.floats(-0.2, 0.2)
shift = st.floats(-50, 50)


@st.composite
def homographies(draw: st.DrawFn) -> np.ndarray:
    """Invertible homographies of an image of SIZE, far from folding over."""
    angle = draw(st.floats(-np.pi, np.pi))
    scale = draw(st.floats(0.1, 8))
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = linear @ (np.eye(2) + np.array([[draw(small), draw(small)], [draw(small), draw(small)]]))
    H = np.eye(3)
    H[:2, :2] = linear
    H[:2, 2] = draw(shift), draw(shift)
    H[2, :2] = draw(st.floats(-3e-4, 3e-4)), draw(st.floats(-3e-4, 3e-4))
    return H


points = st.tuples(st.floats(0, 599), st.floats(0, 399)).map(np.array)


@given(homographies(), homographies(), points)
def test_composing_is_applying_one_after_the_other(a: np.ndarray, b: np.ndarray, p: np.ndarray) -> None:
    via = geometry.project(a, p)
    depth = b[2, :2] @ via + 1
    if abs(depth) > 0.1:
        np.testing.assert_allclose(geometry.project(geometry.compose(b, a), p), geometry.project(b, via), atol=1e-6)


@given(homographies(), points)
def test_inverse_leads_back(H: np.ndarray, p: np.ndarray) -> None:
    np.testing.assert_allclose(geometry.project(geometry.inverse(H), geometry.project(H, p)), p, atol=1e-6)


@given(homographies(), points)
def test_jacobian_is_the_derivative(H: np.ndarray, p: np.ndarray) -> None:
    step = 1e-4
    numeric = np.stack(
        [(geometry.project(H, p + e) - geometry.project(H, p - e)) / (2 * step) for e in step * np.eye(2)], axis=1
    )
    np.testing.assert_allclose(geometry.jacobian(H, p), numeric, atol=1e-5 * np.abs(numeric).max())


def test_scaling_keeps_outer_borders_together() -> None:
    """The left border of the first pixel, x = −½, stays the left border at any scale."""
    for s in (1, 2, 3, 4, 8):
        np.testing.assert_allclose(geometry.project(geometry.scaling(s), np.array([-0.5, -0.5])), [-0.5, -0.5])
        np.testing.assert_allclose(
            geometry.project(geometry.scaling(s), np.array([9.5, 19.5])), [10 * s - 0.5, 20 * s - 0.5]
        )


def test_the_half_pixel_of_x8_is_three_and_a_half_pixels() -> None:
    np.testing.assert_array_equal(geometry.project(geometry.scaling(8), np.zeros(2)), [3.5, 3.5])


@pytest.mark.parametrize("angle", [-170.0, -90.0, -1.5, 0.0, 33.0, 90.0, 180.0])
def test_scale_and_rotation_of_a_similarity(angle: float) -> None:
    t = np.radians(angle)
    H = np.array([[np.cos(t) / 8, -np.sin(t) / 8, 5], [np.sin(t) / 8, np.cos(t) / 8, 7], [0, 0, 1]])
    at = np.array([300.0, 200.0])
    assert geometry.scale_effective(H, at) == pytest.approx(8)
    assert abs(geometry.rotation_deg(H, at)) == pytest.approx(abs(angle))
    assert geometry.anisotropy(H, at) == pytest.approx(1)
    assert geometry.perspective_ratio(H, SIZE) == pytest.approx(1)


def test_a_mirrored_mapping_has_no_scale() -> None:
    assert np.isnan(geometry.scale_effective(np.diag([-1.0, 1.0, 1.0]), np.zeros(2)))


@given(st.floats(-0.15, 0.3), points)
def test_lens_there_and_back(k1: float, p: np.ndarray) -> None:
    lens = geometry.Lens(k1, SIZE)
    np.testing.assert_allclose(lens.distort(lens.undistort(p)), p, atol=1e-7)


@given(homographies(), st.floats(-0.15, 0.3))
def test_numbers_are_those_of_the_plain_formulas_to_the_last_bit(H: np.ndarray, k1: float) -> None:
    lens, centre, unit = geometry.Lens(k1, SIZE), np.array([299.5, 199.5]), np.hypot(600, 400) / 2
    for p in (np.random.default_rng(0).uniform(0, 399, (3, 5, 2)), np.array([10.1, 20.2])):
        depth = (p @ H[2, :2] + H[2, 2])[..., None]
        np.testing.assert_array_equal(geometry.project(H, p), (p @ H[:2, :2].T + H[:2, 2]) / depth)
        offset = p - centre
        r2 = np.sum(offset**2, axis=-1, keepdims=True) / unit**2
        np.testing.assert_array_equal(lens.undistort(p), centre + offset * (1 + k1 * r2) if k1 else p)


def test_lens_is_measured_from_the_centre_in_half_diagonals() -> None:
    lens = geometry.Lens(0.02, SIZE)
    centre = np.array([299.5, 199.5])
    corner = centre + 0.5 * np.array([600, 400])
    np.testing.assert_allclose(lens.undistort(centre), centre)
    np.testing.assert_allclose(lens.undistort(corner), centre + 1.02 * (corner - centre))


@given(st.floats(-0.15, -0.001), st.floats(0, 2 * np.pi), st.floats(1, 100))
@example(-0.029296875, 0.0, 2.6)
def test_what_a_lens_cannot_show_stays_outside_of_its_frame(k1: float, angle: float, beyond: float) -> None:
    lens = geometry.Lens(k1, SIZE)
    farthest = np.sqrt(4 / 27 / -k1) * np.hypot(*SIZE) / 2
    centre, towards = geometry.frame_centre(SIZE), np.array([np.cos(angle), np.sin(angle)])
    seen = lens.distort(centre + beyond * farthest * towards) - centre
    assert seen @ towards == pytest.approx(1.5 * beyond * farthest, rel=1e-3)


# It puts the point where LR's lens shows nothing, and Newton's method once gave a position inside LR's frame for it.
_UNSEEN = 6.3 * np.array([[np.cos(1.44), np.sin(1.44), 0], [-np.sin(1.44), np.cos(1.44), 0], [0, 0, 1 / 6.3]])


@given(homographies(), st.floats(-0.05, 0.05), st.floats(-0.05, 0.05), points)
@example(_UNSEEN, 0.0, -0.02, np.array([425.0, 33.0]))
def test_capture_mapping_there_and_back(H: np.ndarray, k1_hr: float, k1_lr: float, p: np.ndarray) -> None:
    mapping = geometry.CaptureMapping(H_hr_to_lr=H, hr_size=SIZE, lr_size=Size(900, 900), k1_hr=k1_hr, k1_lr=k1_lr)
    p_lr = mapping.hr_to_lr(p)
    if (p_lr >= 0).all() and (p_lr <= 899).all():
        np.testing.assert_allclose(mapping.lr_to_hr(p_lr), p, atol=1e-5)


@given(st.floats(-0.0049, 0.0049), points)
def test_weak_distortion_is_inverted_to_double_precision(k1: float, p: np.ndarray) -> None:
    lens = geometry.Lens(k1, SIZE)
    np.testing.assert_allclose(lens.distort(lens.undistort(p)), p, rtol=1e-11, atol=1e-9)
