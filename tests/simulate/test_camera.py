"""Two formulas for one geometry: rays cast to the card, and the homography that projects it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2crealsr.simulate.camera import Camera, cast_rays, distort, look_at, project, surface, undistort
from d2crealsr.types import Size

angles = st.floats(-20, 20)
shifts = st.floats(-40, 40)


def camera(tilt=(0.0, 0.0), roll=0.0, aim=(0.0, 0.0), **changes):
    rotation, translation = look_at(aim, 1100.0, tilt, roll)
    return Camera(size=Size(600, 400), focal_px=5200.0, rotation=rotation, translation=translation, **changes)


@given(tilt=st.tuples(angles, angles), roll=st.floats(-180, 180), aim=st.tuples(shifts, shifts))
def test_rays_and_homography_agree(tilt, roll, aim):
    cam = camera(tilt, roll, aim)
    xs, ys = np.array([0.0, 133.25, 599.0]), np.array([0.0, 399.0])
    x, y = cast_rays(cam, xs, ys)
    back = cam.card_to_image @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    np.testing.assert_allclose(back[0] / back[2], np.tile(xs, 2), atol=1e-7)
    np.testing.assert_allclose(back[1] / back[2], np.repeat(ys, 3), atol=1e-7)


def test_frame_centre_sees_the_aim():
    x, y = cast_rays(camera(tilt=(3.0, -2.0), roll=1.0, aim=(4.0, -7.0)), np.array([299.5]), np.array([199.5]))
    assert (x.item(), y.item()) == pytest.approx((4.0, -7.0))


@given(k1=st.floats(-0.05, 0.05), x=st.floats(0, 599), y=st.floats(0, 399))
def test_distort_inverts_undistort(k1, x, y):
    point = np.array([[x, y]])
    np.testing.assert_allclose(distort(undistort(point, Size(600, 400), k1), Size(600, 400), k1), point, atol=1e-7)


def test_k1_is_the_relative_shift_at_the_outer_corner():
    size = Size(600, 400)
    corner = np.array([[599.5, 399.5]])  # half the diagonal from the centre
    np.testing.assert_allclose(undistort(corner, size, 0.02) - corner, 0.02 * np.array([[300.0, 200.0]]))


def test_rays_of_a_bowed_card_meet_its_surface():
    cam = camera(tilt=(4.0, 6.0), bow_mm=3.0)
    xs, ys = np.linspace(0, 599, 5), np.linspace(0, 399, 4)
    x, y = cast_rays(cam, xs, ys)
    seen = project(cam, np.column_stack([x.ravel(), y.ravel(), surface(cam, x.ravel())]))
    np.testing.assert_allclose(seen[:, 0], np.tile(xs, 4), atol=1e-3)
    np.testing.assert_allclose(seen[:, 1], np.repeat(ys, 5), atol=1e-3)


def test_colours_part_by_their_stretch():
    cam = camera(stretch=(1.0005, 1.0, 0.9995))
    red, green, blue = (cast_rays(cam, np.array([599.0]), np.array([199.5]), c)[0].item() for c in range(3))
    assert red / green == pytest.approx(1.0005)
    assert blue / green == pytest.approx(0.9995)
