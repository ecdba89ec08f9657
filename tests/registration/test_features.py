"""Keypoints, matches and consensus on data whose truth is made, not measured."""

import numpy as np
import pytest

from d2crealsr.imaging import geometry
from d2crealsr.opencv import Keypoints
from d2crealsr.registration import features
from d2crealsr.types import Size


def dots(centres: np.ndarray, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """Gaussian dots of light at sub-pixel centres on grey."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.full(shape, 0.1)
    for cx, cy in centres:
        image += 0.8 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
    return image.astype(np.float32)


@pytest.fixture
def centres() -> np.ndarray:
    rng = np.random.default_rng(3)
    grid = np.stack(np.meshgrid(np.arange(20, 300, 28), np.arange(20, 200, 28)), axis=-1).reshape(-1, 2)
    return grid + rng.uniform(-4, 4, grid.shape)


@pytest.mark.parametrize("sigma", [1.6, 2.5, 4.0])
def test_keypoints_lie_where_the_dots_are(centres: np.ndarray, sigma: float) -> None:
    """OpenCV's default flag puts them a quarter of a pixel off; the mean error here must stay far below that."""
    found = features.detect(dots(centres, (220, 320), sigma))
    distance = np.linalg.norm(found.points[:, None] - centres, axis=2)
    nearest = distance.argmin(axis=1)
    close = distance[np.arange(len(nearest)), nearest] < 1
    error = (found.points - centres[nearest])[close]
    assert close.sum() >= 0.9 * len(centres)
    assert np.abs(error.mean(axis=0)).max() < 0.03


def test_exposure_does_not_change_what_is_found(centres: np.ndarray) -> None:
    image = dots(centres, (220, 320), 2.5)
    bright, dark = features.detect(image), features.detect(image * np.float32(0.2))
    assert len(dark.points) == pytest.approx(len(bright.points), rel=0.05)


def random_keypoints(rng: np.random.Generator, count: int) -> Keypoints:
    descriptors = np.abs(rng.normal(size=(count, 128)))
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    return Keypoints(rng.uniform(0, 500, (count, 2)), rng.uniform(2, 8, count), descriptors.astype(np.float32))


@pytest.mark.parametrize("match", [features.match_anywhere, lambda a, b: features.match_nearby(a, b, 3.0)])
def test_matching_finds_each_keypoint_again(match) -> None:
    rng = np.random.default_rng(0)
    lr = random_keypoints(rng, 300)
    order = rng.permutation(300)[:200]
    noisy = lr.descriptors[order] + rng.normal(0, 0.01, (200, 128)).astype(np.float32)
    hr = Keypoints(lr.points[order] + rng.normal(0, 0.3, (200, 2)), lr.sizes[order], noisy)
    found = match(hr, lr)
    assert len(found.hr) > 190
    np.testing.assert_array_equal(found.lr, order[found.hr])


def test_nearby_does_not_look_far(centres: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    lr = random_keypoints(rng, 50)
    hr = lr._replace(points=lr.points + 40)
    assert len(features.match_nearby(hr, lr, 3.0).hr) == 0


def test_a_second_orientation_of_the_same_keypoint_is_no_rival() -> None:
    rng = np.random.default_rng(0)
    lr = random_keypoints(rng, 1)
    hr = lr._replace(descriptors=lr.descriptors + rng.normal(0, 0.01, (1, 128)).astype(np.float32))
    twice = Keypoints(*(np.repeat(part, 2, axis=0) for part in lr))
    assert len(features.match_nearby(hr, twice, 3.0).hr) == 1
    elsewhere = twice._replace(points=twice.points + np.array([[0, 0], [2, 0]]))
    assert len(features.match_nearby(hr, elsewhere, 3.0).hr) == 0


def test_nothing_in_nothing_out() -> None:
    empty = features.detect(np.full((100, 100), 0.5, np.float32))
    some = random_keypoints(np.random.default_rng(0), 30)
    for a, b in ((empty, some), (some, empty), (empty, empty)):
        assert len(features.match_anywhere(a, b).hr) == 0
        assert len(features.match_nearby(a, b, 3.0).hr) == 0
    assert features.agree_on_homography(np.zeros((3, 2)), np.zeros((3, 2)), np.ones(3), 1.0) is None


H_TRUE = np.array([[1.01, 0.02, 3.0], [-0.015, 0.99, -2.0], [1e-5, -2e-5, 1]])


def test_consensus_among_wrong_matches() -> None:
    """A third of the matches is wrong; the corners are found to a fiftieth of a pixel."""
    rng = np.random.default_rng(5)
    source = rng.uniform(0, 500, (600, 2))
    target = geometry.project(H_TRUE, source) + rng.normal(0, 0.15, source.shape)
    target[::3] = rng.uniform(0, 500, target[::3].shape)
    found = features.agree_on_homography(source, target, np.ones(600), 1.0)
    assert found is not None
    corners = geometry.corners(Size(500, 500))
    error = np.linalg.norm(geometry.project(found.H, corners) - geometry.project(H_TRUE, corners), axis=1)
    assert error.max() < 0.06
    assert 390 <= found.inliers.sum() <= 410
    assert found.rmse == pytest.approx(0.15 * np.sqrt(2), rel=0.1)


def test_small_keypoints_count_more() -> None:
    """Large keypoints are placed badly; weighting by size must beat treating all alike."""
    errors = []
    for sizes_known in (True, False):
        rng = np.random.default_rng(8)
        source = rng.uniform(0, 500, (400, 2))
        sizes = np.where(np.arange(400) % 2 == 0, 1.0, 8.0)
        target = geometry.project(H_TRUE, source) + rng.normal(size=source.shape) * 0.05 * sizes[:, None]
        found = features.agree_on_homography(source, target, sizes if sizes_known else np.ones(400), 2.0)
        assert found is not None
        p = np.stack(np.meshgrid(np.linspace(0, 500, 9), np.linspace(0, 500, 9)), axis=-1)
        errors.append(np.linalg.norm(geometry.project(found.H, p) - geometry.project(H_TRUE, p), axis=-1).mean())
    assert errors[0] < 0.6 * errors[1]


def test_the_same_matches_give_the_same_bits() -> None:
    rng = np.random.default_rng(5)
    source = rng.uniform(0, 500, (300, 2))
    target = geometry.project(H_TRUE, source) + rng.normal(0, 0.3, source.shape)
    first = features.agree_on_homography(source, target, np.ones(300), 1.0)
    features.agree_on_homography(target, source, np.ones(300), 1.0)
    again = features.agree_on_homography(source, target, np.ones(300), 1.0)
    assert first is not None
    assert again is not None
    np.testing.assert_array_equal(first.H, again.H)
