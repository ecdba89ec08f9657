"""The algebra that everything rests on: laws of homographies; half pixels, crops and turns as real pixels have them.

Where pixels are moved (resizing, averaging, cropping, orientation flags) the matrix is held against what happens to a
picture, not against another formula.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from d2crealsr import opencv
from d2crealsr.imaging import degrade, geometry, photometry
from d2crealsr.imaging.placement import grid_to_lr
from d2crealsr.simulate import encode_capture
from d2crealsr.store.images import read_image
from d2crealsr.types import Crop, Size

SIZE = Size(600, 400)
CORNERS = geometry.corners(SIZE)
small = st.floats(-0.2, 0.2)
shift = st.floats(-50, 50)


@st.composite
def homographies(draw: st.DrawFn) -> np.ndarray:
    """Homographies that two cameras before one card could have: any turn and scale, some shear and perspective."""
    angle, scale = draw(st.floats(-np.pi, np.pi)), draw(st.floats(0.1, 8))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    H = np.eye(3)
    H[:2, :2] = scale * turn @ (np.eye(2) + np.array([[draw(small), draw(small)], [draw(small), draw(small)]]))
    H[:2, 2] = draw(shift), draw(shift)
    H[2, :2] = draw(st.floats(-3e-4, 3e-4)), draw(st.floats(-3e-4, 3e-4))
    return H


def same_mapping(a: np.ndarray, b: np.ndarray, points: np.ndarray = CORNERS) -> bool:
    """Whether two homographies lead to the same places: to a billionth of the picture they lead to."""
    there = geometry.project(b, points)
    return bool(np.abs(geometry.project(a, points) - there).max() < 1e-9 * (1 + np.abs(there).max()))


@given(homographies(), homographies(), homographies())
def test_composition_is_associative_and_normalised(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    products = a @ b @ c, b @ c, a @ b
    assume(min(abs(product[2, 2]) for product in products) > 0.05)
    at_once = geometry.compose(a, b, c)
    assert at_once[2, 2] == 1
    for nested in (geometry.compose(geometry.compose(a, b), c), geometry.compose(a, geometry.compose(b, c))):
        np.testing.assert_allclose(nested, at_once, rtol=1e-9, atol=1e-9)


@given(homographies(), homographies())
def test_the_inverse_undoes_from_both_sides_and_turns_the_order_round(a: np.ndarray, b: np.ndarray) -> None:
    assume(min(abs((a @ b)[2, 2]), abs(np.linalg.inv(a)[2, 2]), abs(np.linalg.inv(b)[2, 2])) > 0.05)
    for product in (geometry.compose(a, geometry.inverse(a)), geometry.compose(geometry.inverse(a), a)):
        np.testing.assert_allclose(product, np.eye(3), atol=1e-8)
    backwards = geometry.compose(geometry.inverse(b), geometry.inverse(a))
    np.testing.assert_allclose(geometry.inverse(geometry.compose(a, b)), backwards, rtol=1e-7, atol=1e-9)


@given(homographies(), st.floats(-4, 4).filter(lambda f: abs(f) > 0.1))
def test_a_factor_on_the_matrix_changes_nothing(H: np.ndarray, factor: float) -> None:
    assert same_mapping(geometry.normalised(factor * H), H)
    np.testing.assert_allclose(
        geometry.project(factor * H, CORNERS), geometry.project(H, CORNERS), rtol=1e-9, atol=1e-6
    )


@given(st.integers(1, 16), st.integers(1, 16))
def test_resizing_twice_is_resizing_once(a: int, b: int) -> None:
    once = geometry.scaling(a * b)
    np.testing.assert_allclose(geometry.compose(geometry.scaling(a), geometry.scaling(b)), once, atol=1e-12)
    np.testing.assert_allclose(geometry.inverse(geometry.scaling(a)), geometry.scaling(1 / a), atol=1e-12)


@given(homographies(), st.integers(1, 16))
def test_a_correction_found_on_an_enlarged_grid_is_brought_back(D: np.ndarray, s: int) -> None:
    """``D ← S⁻¹·D·S``: what D does between enlarged pixels, seen between those that were enlarged."""
    S = geometry.scaling(s)
    brought_back = geometry.compose(geometry.inverse(S), D, S)
    enlarged = geometry.project(D, geometry.project(S, CORNERS))
    assume(np.abs(enlarged).max() < 1e5)
    np.testing.assert_allclose(
        geometry.project(brought_back, CORNERS), geometry.project(geometry.scaling(1 / s), enlarged), atol=1e-6
    )


@given(homographies(), homographies(), st.tuples(st.floats(0, 599), st.floats(0, 399)).map(np.array))
def test_chain_rule(a: np.ndarray, b: np.ndarray, p: np.ndarray) -> None:
    via = geometry.project(a, p)
    assume(abs(b[2, :2] @ via + 1) > 0.1)
    chained = geometry.jacobian(b, via) @ geometry.jacobian(a, p)
    np.testing.assert_allclose(geometry.jacobian(geometry.compose(b, a), p), chained, rtol=1e-6, atol=1e-9)


@given(homographies(), st.tuples(st.floats(0, 599), st.floats(0, 399)).map(np.array))
def test_scale_turn_and_stretch_of_the_way_back(H: np.ndarray, p: np.ndarray) -> None:
    """Seen from the other side the scale is the reciprocal, the turn the opposite, the stretch the same."""
    there, back = H, geometry.inverse(H)
    q = geometry.project(H, p)
    assert geometry.scale_effective(there, p) * geometry.scale_effective(back, q) == pytest.approx(1, rel=1e-6)
    assert geometry.anisotropy(there, p) == pytest.approx(geometry.anisotropy(back, q), rel=1e-6)
    assert geometry.anisotropy(there, p) >= 1
    turns = geometry.rotation_deg(there, p) + geometry.rotation_deg(back, q)
    assert (turns + 180) % 360 - 180 == pytest.approx(0, abs=1e-4)


@given(st.integers(2, 9000), st.integers(2, 9000))
def test_unit_frame_there_and_back(width: int, height: int) -> None:
    size = Size(width, height)
    unit = geometry.UnitFrame.of(size)
    np.testing.assert_allclose(unit.matrix @ unit.inverse, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(unit.of_points(geometry.frame_centre(size)), 0, atol=1e-9)
    outer = np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]])
    np.testing.assert_allclose(np.linalg.norm(unit.of_points(outer), axis=1), 1, rtol=1e-12)


@given(homographies(), st.integers(0, 1000))
def test_a_homography_is_fitted_from_where_points_go(H: np.ndarray, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(0, 1, (12, 2)) * SIZE
    found = geometry.fitted_homography(points, geometry.project(H, points))
    there = geometry.project(H, CORNERS)
    np.testing.assert_allclose(geometry.project(found, CORNERS), there, atol=1e-5 * (1 + np.abs(there).max()))


lenses = st.floats(-0.15, 0.3)


@given(lenses, st.floats(0.05, 1), st.floats(0, 2 * np.pi))
def test_lens_moves_along_the_radius_and_never_folds(k1: float, radius: float, angle: float) -> None:
    lens, centre = geometry.Lens(k1, SIZE), geometry.frame_centre(SIZE)
    direction = np.array([np.cos(angle), np.sin(angle)])
    unit = geometry.UnitFrame.of(SIZE).length
    moved = lens.undistort(centre + radius * unit * direction) - centre
    np.testing.assert_allclose(moved, radius * (1 + k1 * radius**2) * unit * direction, atol=1e-9 * unit)
    further = lens.distort(centre + np.array([[0.999], [1.0]]) * moved) - centre
    assert np.linalg.norm(further[0]) < np.linalg.norm(further[1])


@given(homographies(), st.floats(-0.05, 0.05), st.floats(-0.05, 0.05))
def test_exchanging_the_captures_is_the_inverse_mapping(H: np.ndarray, k1_hr: float, k1_lr: float) -> None:
    to_lr = geometry.CaptureMapping(H_hr_to_lr=H, hr_size=SIZE, lr_size=Size(900, 900), k1_hr=k1_hr, k1_lr=k1_lr)
    back = geometry.CaptureMapping(
        H_hr_to_lr=geometry.inverse(H), hr_size=Size(900, 900), lr_size=SIZE, k1_hr=k1_lr, k1_lr=k1_hr
    )
    points = np.array([[10.0, 20], [300, 200], [580, 390]])
    np.testing.assert_allclose(back.lr_to_hr(points), to_lr.hr_to_lr(points), rtol=1e-7, atol=1e-7)


def ramps(size: Size) -> np.ndarray:
    """A picture whose red and green are the x and y of each pixel's centre, linear light, float32."""
    centres = geometry.pixel_centres(size)
    return np.concatenate([centres, np.zeros((*centres.shape[:2], 1))], axis=2).astype(np.float32)


@pytest.mark.parametrize("s", [2, 3, 4, 8])
@pytest.mark.parametrize("interpolation", ["area", "linear"])
def test_half_pixels_of_resized_pictures(s: int, interpolation: opencv.Interpolation) -> None:
    """What a pixel of a resized picture shows lies where :func:`scaling` says: 3.5 for the first of an eighth."""
    large, few = Size(24 * s, 16 * s), Size(24, 16)
    reduced = opencv.resize(ramps(large), few, "area")
    expected = geometry.project(geometry.scaling(s), geometry.pixel_centres(few))
    np.testing.assert_allclose(reduced[..., :2], expected, atol=1e-3)
    if interpolation == "linear":
        enlarged = opencv.resize(ramps(few), large, "linear")[s:-s, s:-s]
        expected = geometry.project(geometry.scaling(1 / s), geometry.pixel_centres(large))[s:-s, s:-s]
        np.testing.assert_allclose(enlarged[..., :2], expected, atol=1e-4)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_half_pixels_of_reduced_captures(factor: int) -> None:
    """A reduced capture shows a position of the capture at that position; sizes need not be multiples."""
    image = np.rint(ramps(Size(203, 101)) * 100).astype(np.uint16)
    light = photometry.reduced_linear(image, factor, "gamma=1") * (65535 / 100)
    source = degrade.LinearReduced(light, light[..., 0], factor)
    places = np.random.default_rng(0).uniform((8, 8), (190, 90), (5, 7, 2))
    np.testing.assert_allclose(source.at(light, places)[..., :2], places, atol=0.01)


@settings(max_examples=25)
@given(st.integers(0, 40), st.integers(0, 30), st.integers(4, 30), st.integers(4, 20), st.sampled_from([1, 2, 3, 8]))
def test_a_crop_is_a_translation_of_pixels(x: int, y: int, width: int, height: int, s: int) -> None:
    """Averaged in blocks of s, the published grid is the LR crop's pixels, wherever the crop lies."""
    crop = Crop(x, y, width, height)
    fine = geometry.project(grid_to_lr(crop, s), geometry.pixel_centres(Size(width * s, height * s)))
    blocks = fine.reshape(height, s, width, s, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(blocks, geometry.pixel_centres(Size(width, height)) + np.array([x, y]), atol=1e-9)
    coarse = geometry.compose(grid_to_lr(crop, s), geometry.scaling(s))
    np.testing.assert_allclose(coarse, geometry.translation(x, y), atol=1e-12)


def quarter_turns(orientation: int, stored: Size) -> np.ndarray:
    """Homography from pixels as they lie in a file to upright ones, by the flag (CIPA DC-008)."""
    right, bottom = stored.width - 1, stored.height - 1
    matrices = {
        1: [[1, 0, 0], [0, 1, 0]],
        3: [[-1, 0, right], [0, -1, bottom]],
        6: [[0, -1, bottom], [1, 0, 0]],
        8: [[0, 1, 0], [-1, 0, right]],
    }
    return np.array([*matrices[orientation], [0, 0, 1]], dtype=np.float64)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_turned_file_is_a_homography_of_pixel_centres(tmp_path, orientation: int) -> None:
    """Every pixel of a file is found, upright, where the quarter turn leads its centre."""
    upright = (ramps(Size(23, 17)) * 10).astype(np.uint8)
    path = tmp_path / "turned.png"
    path.write_bytes(encode_capture(upright, "png", orientation))
    as_stored = opencv.decode(path.read_bytes())
    size = Size(as_stored.shape[1], as_stored.shape[0])
    places = geometry.project(quarter_turns(orientation, size), geometry.pixel_centres(size)).astype(int)
    np.testing.assert_array_equal(read_image(path)[places[..., 1], places[..., 0]], as_stored)


@given(homographies(), st.sampled_from([1, 3, 6, 8]), st.sampled_from([1, 3, 6, 8]))
def test_flags_conjugate_the_mapping(H: np.ndarray, hr_flag: int, lr_flag: int) -> None:
    """Between upright captures the mapping is turned by both flags, and back: scale and stretch do not notice."""
    hr_stored, lr_stored = Size(600, 400), Size(900, 700)
    turn_hr, turn_lr = quarter_turns(hr_flag, hr_stored), quarter_turns(lr_flag, lr_stored)
    assume(abs((turn_lr @ H @ np.linalg.inv(turn_hr))[2, 2]) > 0.05)
    upright = geometry.compose(turn_lr, H, geometry.inverse(turn_hr))
    p = np.array([123.0, 45.0])
    q = geometry.project(turn_hr, p)
    np.testing.assert_allclose(
        geometry.project(upright, q), geometry.project(turn_lr, geometry.project(H, p)), atol=1e-6
    )
    assert geometry.scale_effective(upright, q) == pytest.approx(geometry.scale_effective(H, p), rel=1e-6)
    assert geometry.anisotropy(upright, q) == pytest.approx(geometry.anisotropy(H, p), rel=1e-6)
    turned = geometry.rotation_deg(upright, q) - geometry.rotation_deg(H, p)
    assert min(turned % 90, 90 - turned % 90) < 1e-4
