"""Homographies, half pixels and radial distortion.

Convention: points are (x, y), pixel (0, 0) is the centre of the first pixel, ``H_a_to_b`` maps pixel centres of a to
those of b, ``H[2, 2] = 1``. Radial distortion maps captured to ideal positions by
``x_ideal = c + (x − c)·(1 + k1·r²)`` with r = 1 at the corner of the capture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from d2crealsr.types import Array, Matrix, Size

_MOST_BENT = -4 / 27
"""Smallest ``k1·r²``, r the ideal radius, for which ``ratio·(1 + k1·(ratio·r)²) = 1`` has a positive solution."""

_SERIES = (1, 1, 3, 12, 55, 273, 1428)
"""Coefficients, of alternating signs, of the power series of that solution: ``binomial(3n, n) / (2n + 1)``."""

_HARDLY_BENT = 0.005
"""Size of ``k1·r²`` below which the terms that are left out are below 1e-12."""

__all__ = [
    "CaptureMapping",
    "Lens",
    "UnitFrame",
    "anisotropy",
    "central_grid",
    "compose",
    "corners",
    "fitted_homography",
    "frame_centre",
    "homography_terms",
    "inverse",
    "jacobian",
    "normalised",
    "perspective_ratio",
    "pixel_centres",
    "project",
    "rotation_deg",
    "scale_effective",
    "scaling",
    "translation",
]


def normalised(H: Matrix) -> Matrix:
    """The same homography with ``H[2, 2] = 1``."""
    return cast("Matrix", H / H[2, 2])


def compose(*matrices: Matrix) -> Matrix:
    """The product of homographies, rightmost applied first, normalised."""
    product = matrices[0]
    for matrix in matrices[1:]:
        product = product @ matrix
    return normalised(product)


def inverse(H: Matrix) -> Matrix:
    """The inverse mapping, normalised."""
    return normalised(np.linalg.inv(H).astype(np.float64))


def scaling(s: float) -> Matrix:
    """The mapping from pixel centres of an image to those of the image scaled by ``s``: ``x' = s·x + (s − 1)/2``.

    Examples
    --------
    The first LR pixel's centre lies 3.5 HR pixels into the HR image at ×8:

    >>> project(scaling(8), np.array([0.0, 0.0]))
    array([3.5, 3.5])
    """
    shift = (s - 1) / 2
    return np.array([[s, 0, shift], [0, s, shift], [0, 0, 1.0]])


def translation(x: float, y: float) -> Matrix:
    """Homography that adds (x, y)."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def project(H: Matrix, points: Array) -> Array:
    """Apply ``H`` to (..., 2) points."""
    projected = points @ H[:2, :2].T
    depth = points @ H[2, :2] + H[2, 2] if H[2, :2].any() else H[2, 2]
    for axis in range(2):  # much faster than along both coordinates of each point
        coordinate = projected[..., axis]
        coordinate += H[axis, 2]
        coordinate /= depth
    return projected


def frame_centre(size: Size) -> Array:
    """Centre of an image of ``size`` in its own pixel coordinates, ((W − 1)/2, (H − 1)/2)."""
    return np.array([(size.width - 1) / 2, (size.height - 1) / 2])


def fitted_homography(source: Array, target: Array) -> Matrix:
    """The homography that best maps (N, 2) points to others, by least squares on the linear equations (DLT).

    Points are normalised first (Hartley 1997, doi:10.1109/34.601246).
    """
    to_unit = []
    for points in (source, target):
        middle, size = points.mean(axis=0), float(points.std()) + 1e-12
        to_unit.append(np.array([[1 / size, 0, -middle[0] / size], [0, 1 / size, -middle[1] / size], [0, 0, 1.0]]))
    (x, y), (u, v) = project(to_unit[0], source).T, project(to_unit[1], target).T
    rows_u, rows_v = np.moveaxis(homography_terms(x, y, u, v), 1, 0)
    solution = np.linalg.lstsq(np.concatenate([rows_u, rows_v]), np.concatenate([u, v]), rcond=None)[0]
    return compose(inverse(to_unit[1]), np.append(solution, 1.0).reshape(3, 3), to_unit[0])


def homography_terms(x: Array, y: Array, u: Array, v: Array) -> Array:
    """How the first eight elements of a homography move points (x, y) that it maps to (u, v): (N, 2, 8)."""
    zero, one = np.zeros_like(x), np.ones_like(x)
    of_u = np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=1)
    of_v = np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=1)
    return np.stack([of_u, of_v], axis=1)


def corners(size: Size, *, inset: float = 0.0) -> Array:
    """The pixel centres in the four corners of an image, (4, 2), clockwise from the first, ``inset`` px further in."""
    right, bottom = size.width - 1 - inset, size.height - 1 - inset
    return np.array([[inset, inset], [right, inset], [right, bottom], [inset, bottom]], dtype=np.float64)


def pixel_centres(size: Size) -> Array:
    """(x, y) of every pixel of an image, (height, width, 2)."""
    x, y = np.meshgrid(np.arange(size.width, dtype=np.float64), np.arange(size.height, dtype=np.float64))
    return np.stack([x, y], axis=-1)


def central_grid(size: Size, *, share: float = 0.576) -> Array:
    """A grid of 19 × 13 points over the central part of an image, (13, 19, 2); by default over the default crop."""
    centre = frame_centre(size)
    x, y = np.meshgrid(np.linspace(-share, share, 19) * centre[0], np.linspace(-share, share, 13) * centre[1])
    return np.stack([x, y], axis=-1) + centre


def jacobian(H: Matrix, point: Array) -> Matrix:
    """Derivative of the mapping at one point, (2, 2): the magnification, rotation and shear of a small step."""
    depth = H[2, :2] @ point + H[2, 2]
    image = project(H, point)
    return cast("Matrix", (H[:2, :2] - np.outer(image, H[2, :2])) / depth)


def scale_effective(H_hr_to_lr: Matrix, at: Array) -> float:
    """HR pixels per LR pixel at a point of the HR capture; nan if the mapping is mirrored there."""
    determinant = float(np.linalg.det(jacobian(H_hr_to_lr, at)))
    return determinant**-0.5 if determinant > 0 else float("nan")


def rotation_deg(H_hr_to_lr: Matrix, at: Array) -> float:
    """Rotation from HR to LR in degrees, (−180, 180]."""
    J = jacobian(H_hr_to_lr, at)
    return float(np.degrees(np.arctan2(J[1, 0] - J[0, 1], J[0, 0] + J[1, 1])))


def anisotropy(H_hr_to_lr: Matrix, at: Array) -> float:
    """Largest magnification divided by the smallest, over directions at a point; 1 for a similarity."""
    singular = np.linalg.svd(jacobian(H_hr_to_lr, at), compute_uv=False)
    return float(singular[0] / max(singular[1], 1e-300))


def perspective_ratio(H_hr_to_lr: Matrix, size: Size) -> float:
    """Largest magnification divided by the smallest among the corners of HR; inf if one lies behind the camera."""
    determinants = [float(np.linalg.det(jacobian(H_hr_to_lr, corner))) for corner in corners(size)]
    if min(determinants) <= 0:
        return float("inf")
    return float(np.sqrt(max(determinants) / min(determinants)))


@dataclass(frozen=True)
class UnitFrame:
    """Coordinates of a capture from its centre in half-diagonals, in which k1 and the illumination field are defined.

    ``matrix`` maps pixels to these coordinates, ``inverse`` maps back, and ``length`` is the half-diagonal in px.
    """

    matrix: Matrix
    inverse: Matrix
    length: float

    @classmethod
    def of(cls, size: Size) -> UnitFrame:
        """The unit frame of a capture of ``size``."""
        x, y = frame_centre(size)
        length = float(np.hypot(*size)) / 2
        back = np.array([[length, 0, x], [0, length, y], [0, 0, 1.0]])
        return cls(np.linalg.inv(back), back, length)

    def of_points(self, points: Array) -> Array:
        """Convert pixel positions (..., 2) to these coordinates."""
        return project(self.matrix, points)


class Lens:
    """Radial distortion of one capture.

    Parameters
    ----------
    k1 : float
        Coefficient of ``x_ideal = c + (x − c)·(1 + k1·r²)``; 0 is a perfect lens.
    size : Size
        Size of the capture, which determines the centre c and the unit of r (half the diagonal).
    """

    def __init__(self, k1: float, size: Size) -> None:
        self.k1 = k1
        self._centre = frame_centre(size)
        self._unit = float(np.hypot(size.width, size.height)) / 2

    def undistort(self, points: Array) -> Array:
        """Map captured positions to ideal positions, (..., 2)."""
        if self.k1 == 0:
            return points
        x, y = self._from_centre(points)
        return self._moved(points, x, y, 1 + self.k1 * ((x**2 + y**2) / self._unit**2))

    def distort(self, points: Array) -> Array:
        """Map ideal positions to captured positions, (..., 2): the inverse of :meth:`undistort`.

        The unknown is the ratio of the radii: ``ratio·(1 + k1·(ratio·r)²) = 1``, where r is the ideal radius. With
        k1 < 0 there is a largest ideal radius, at which ``k1·r² = −4/27`` and ratio = 3/2; the lens shows nothing
        beyond it. Points farther out are given the same ratio, so that they stay outside the frame.
        """
        if self.k1 == 0:
            return points
        x, y = self._from_centre(points)
        bend = np.maximum(self.k1 * (x**2 + y**2) / self._unit**2, _MOST_BENT)
        return self._moved(points, x, y, _ratio_of_radii(bend))

    def _from_centre(self, points: Array) -> tuple[Array, Array]:
        """x and y of positions (..., 2) from the centre, each (...)."""
        return points[..., 0] - self._centre[0], points[..., 1] - self._centre[1]

    def _moved(self, points: Array, x: Array, y: Array, ratio: Array) -> Array:
        """The positions at ``ratio`` times their distance (x, y) from the centre."""
        moved = np.empty(points.shape)
        moved[..., 0] = self._centre[0] + x * ratio
        moved[..., 1] = self._centre[1] + y * ratio
        return moved


def _ratio_of_radii(bend: Array) -> Array:
    """The solution of ``ratio·(1 + bend·ratio²) = 1``: by a power series if all are small, else by Newton."""
    if np.abs(bend).max(initial=0) < _HARDLY_BENT:
        series = np.full_like(bend, _SERIES[-1])
        for coefficient in _SERIES[-2::-1]:
            series = coefficient - bend * series
        return series
    ratio = 1 / (1 + bend)
    for _ in range(12):
        bent = bend * ratio**2
        step = (ratio * (1 + bent) - 1) / (1 + 3 * bent)
        ratio -= step
        if not np.abs(step).max(initial=0) > 1e-13:
            break
    return ratio


@dataclass(frozen=True, kw_only=True)
class CaptureMapping:
    """The mapping between the two captures of a pair.

    ``H_hr_to_lr`` maps ideal HR to ideal LR positions. The lenses convert between captured and ideal positions.
    """

    H_hr_to_lr: Matrix
    hr_size: Size
    lr_size: Size
    k1_hr: float = 0.0
    k1_lr: float = 0.0

    @property
    def is_planar(self) -> bool:
        """Whether the mapping is a homography, without distortion on either side."""
        return self.k1_hr == 0 and self.k1_lr == 0

    @cached_property
    def _H_lr_to_hr(self) -> Matrix:
        return inverse(self.H_hr_to_lr)

    def hr_to_lr(self, points_hr: Array) -> Array:
        """Map positions in the HR capture to positions in the LR capture, (..., 2)."""
        ideal_lr = project(self.H_hr_to_lr, Lens(self.k1_hr, self.hr_size).undistort(points_hr))
        return Lens(self.k1_lr, self.lr_size).distort(ideal_lr)

    def lr_to_hr(self, points_lr: Array) -> Array:
        """Map positions in the LR capture to those in the HR capture, (..., 2): ``distort_hr(H⁻¹·undistort_lr(p))``."""
        ideal_hr = project(self._H_lr_to_hr, Lens(self.k1_lr, self.lr_size).undistort(points_lr))
        return Lens(self.k1_hr, self.hr_size).distort(ideal_hr)

    def with_lenses(self, *, k1_hr: float, k1_lr: float) -> CaptureMapping:
        """A mapping with other lenses that gives the same positions, as closely as possible, over the published part.

        A homography between captured positions is not a homography between ideal positions. Under strong distortion
        off the middle of the frame the two differ by tens of pixels.
        """
        points_hr = central_grid(self.hr_size).reshape(-1, 2)
        ideal_hr = Lens(k1_hr, self.hr_size).undistort(points_hr)
        ideal_lr = Lens(k1_lr, self.lr_size).undistort(self.hr_to_lr(points_hr))
        H = fitted_homography(ideal_hr, ideal_lr)
        return replace(self, H_hr_to_lr=H, k1_hr=k1_hr, k1_lr=k1_lr)

    @property
    def hr_centre_in_lr(self) -> Array:
        """Position of the HR frame's centre in the LR capture."""
        return self.hr_to_lr(frame_centre(self.hr_size))
