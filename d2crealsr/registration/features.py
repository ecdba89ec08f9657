"""Keypoints, their matches, and the homography on which they agree.

SIFT (Lowe 2004, doi:10.1023/B:VISI.0000029664.99615.94) with RootSIFT descriptors (Arandjelović & Zisserman 2012,
doi:10.1109/CVPR.2012.6248018). Another detector would be added here and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial import cKDTree

from d2crealsr import opencv
from d2crealsr.imaging import geometry, photometry
from d2crealsr.opencv import Keypoints

if TYPE_CHECKING:
    from d2crealsr.types import Array, Matrix

__all__ = ["Consensus", "Matches", "agree_on_homography", "detect", "match_anywhere", "match_nearby"]

Float32 = NDArray[np.float32]

_CONTRAST_THRESHOLD = 0.01
"""A quarter of OpenCV's default. It gives more keypoints on faint texture, and the robust fit rejects bad ones."""

_DISTINCT_PX = 1.5
"""A competing match nearer than this is the same keypoint with another orientation, so the ratio test ignores it."""


class Matches(NamedTuple):
    """Index pairs into the keypoints of HR and of LR, each (N,)."""

    hr: NDArray[np.intp]
    lr: NDArray[np.intp]


class Consensus(NamedTuple):
    """A homography and the matches that agree with it: ``inliers`` (N,) bool, and their ``rmse`` in target px."""

    H: Matrix
    inliers: NDArray[np.bool_]
    rmse: float


def detect(linear_luma: Float32, at_most: int = 0) -> Keypoints:
    """SIFT keypoints of an (H, W) image in linear light: the ``at_most`` strongest, or all if it is 0.

    The image is stretched to its .1 and 99.9 percentiles and encoded, so that shots of a scene with different exposures
    look alike.
    """
    low, high = np.percentile(linear_luma, [0.1, 99.9])
    stretched = np.clip((linear_luma - low) / max(high - low, 1e-3), 0, 1)
    found = opencv.sift(photometry.as_8bit(stretched), contrast_threshold=_CONTRAST_THRESHOLD, at_most=at_most)
    norm = np.maximum(found.descriptors.sum(axis=1, keepdims=True), 1e-6)
    return found._replace(descriptors=np.sqrt(found.descriptors / norm))


def match_anywhere(hr: Keypoints, lr: Keypoints, ratio: float = 0.8) -> Matches:
    """Mutual nearest neighbours among the descriptors that pass the ratio test, at any positions."""
    if min(len(hr.points), len(lr.points)) < 2:
        return Matches(np.empty(0, np.intp), np.empty(0, np.intp))
    similarity = hr.descriptors @ lr.descriptors.T
    rows = np.arange(len(similarity))
    best = similarity.argmax(axis=1)
    mutual = (lr.descriptors[best] @ hr.descriptors.T).argmax(axis=1) == rows
    nearest = _distance(similarity[rows, best])
    similarity[rows, best] = -1
    passed = mutual & (nearest < ratio * _distance(similarity.max(axis=1)))
    return Matches(np.flatnonzero(passed), best[passed])


def match_nearby(hr: Keypoints, lr: Keypoints, radius: float, ratio: float = 0.9) -> Matches:
    """Mutual nearest neighbours among keypoints within ``radius`` px of each other, for roughly registered images."""
    candidates = cKDTree(hr.points).sparse_distance_matrix(cKDTree(lr.points), radius, output_type="ndarray")
    if len(candidates) == 0:
        return Matches(np.empty(0, np.intp), np.empty(0, np.intp))
    i, j = candidates["i"].astype(np.intp), candidates["j"].astype(np.intp)
    distance = _distance(np.einsum("nd,nd->n", hr.descriptors[i], lr.descriptors[j]))
    best_of_hr = _nearest_per_group(i, distance)
    best_of_lr = _nearest_per_group(j, distance)
    mutual = np.zeros(len(i), dtype=bool)
    mutual[np.intersect1d(best_of_hr, best_of_lr)] = True
    partner = np.full(len(hr.points), -1, dtype=np.intp)
    partner[i[best_of_hr]] = j[best_of_hr]
    rival = np.linalg.norm(lr.points[j] - lr.points[partner[i]], axis=1) > _DISTINCT_PX
    second = np.full(len(hr.points), np.inf)
    np.minimum.at(second, i[rival], distance[rival])
    passed = mutual & (distance < ratio * second[i])
    return Matches(i[passed], j[passed])


def _nearest_per_group(group: NDArray[np.intp], distance: Float32) -> NDArray[np.intp]:
    """Index of the smallest distance within each group."""
    order = np.lexsort((distance, group))
    return order[np.unique(group[order], return_index=True)[1]]


def _distance(similarity: Float32) -> Float32:
    """Euclidean distance between two unit vectors, from their scalar product."""
    distance: Float32 = np.sqrt(np.maximum(2 - 2 * similarity, 0)).astype(np.float32)
    return distance


def agree_on_homography(source: Array, target: Array, sizes: Array, threshold: float) -> Consensus | None:
    """The homography on which most matches agree, refined by weighted least squares.

    Parameters
    ----------
    source, target : (N, 2) ndarray
        Matched positions in px.
    sizes : (N,) ndarray
        Keypoint sizes. The uncertainty of a keypoint's position is proportional to its size.
    threshold : float
        Largest distance in px of the target at which a match agrees.

    Returns
    -------
    Consensus or None
        None if there are fewer than four matches or they do not determine a homography.
    """
    if len(source) < 4:
        return None
    H, inliers = opencv.find_homography(source, target, threshold=threshold)
    if H is None or inliers.sum() < 4:
        return None
    H = _polish(H, source[inliers], target[inliers], sizes[inliers])
    error = np.linalg.norm(geometry.project(H, source) - target, axis=1)
    inliers = error < threshold
    rmse = float(np.sqrt(np.mean(error[inliers] ** 2))) if inliers.any() else float("nan")
    return Consensus(H, inliers, rmse)


def _polish(H: Matrix, source: Array, target: Array, sizes: Array) -> Matrix:
    """Minimise the Cauchy loss of reprojection errors in units of each keypoint's uncertainty, starting from ``H``.

    Points are first normalised to zero mean and unit spread (Hartley 1997, doi:10.1109/34.601246), so that the eight
    parameters have similar magnitudes.
    """
    to_unit = _unit_frame(target)
    a, b = geometry.project(to_unit, geometry.project(H, source)), geometry.project(to_unit, target)
    weights = 1 / (sizes / np.median(sizes))
    start = np.zeros(8)

    def delta(parameters: Array) -> Matrix:
        return np.append(parameters, 0.0).reshape(3, 3) + np.eye(3)

    def residuals(parameters: Array) -> Array:
        return ((geometry.project(delta(parameters), a) - b) * weights[:, None]).ravel()

    spread = 1.4826 * float(np.median(np.abs(residuals(start)))) + 1e-12
    fit = least_squares(residuals, start, loss="cauchy", f_scale=2 * spread, method="trf")
    return geometry.compose(geometry.inverse(to_unit), delta(fit.x), to_unit, H)


def _unit_frame(points: Array) -> Matrix:
    """The similarity that maps points to zero mean and a mean distance of √2 from it."""
    centre = points.mean(axis=0)
    spread = float(np.linalg.norm(points - centre, axis=1).mean()) / np.sqrt(2) + 1e-12
    return np.array([[1 / spread, 0, -centre[0] / spread], [0, 1 / spread, -centre[1] / spread], [0, 0, 1.0]])
