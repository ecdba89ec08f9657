"""The geometry of pinhole cameras that look at a card.

The coordinates of the card are in mm: the origin is its centre, x points right, y down, and z away from the camera. The
point (0, 0) of a capture is the centre of its first pixel. The geometry is implemented twice: rays are cast from pixels
to the card, and points are projected with the homography ``K [r1 r2 t]``. The tests compare the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from d2crealsr.types import Array, Matrix, Size

__all__ = ["Camera", "cast_rays", "centre_of", "distort", "homography_between", "look_at", "project", "undistort"]

Float: TypeAlias = "NDArray[np.float64]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Camera:
    """One camera and where it stands.

    Attributes
    ----------
    focal_px : float
        Focal length in px. The principal point is the centre of the frame.
    rotation, translation : (3, 3) and (3,) ndarray
        From the coordinates of the card to those of the camera, in mm.
    k1 : float
        Radial distortion coefficient from captured to ideal positions, with r = 1 at half the diagonal.
    stretch : tuple of float
        Lateral chromatic aberration: radial factors of red, green and blue from captured to ideal positions. The true
        mapping is that of green.
    bow_mm : float
        Sag of the card: its surface is ``z = bow·(⟨ξ²⟩ − ξ²)``, ξ = x ÷ half the card's width (0: flat).
    """

    size: Size
    focal_px: float
    rotation: Matrix
    translation: Array
    k1: float = 0.0
    stretch: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bow_mm: float = 0.0
    half_card_mm: float = 75.0

    @property
    def card_to_image(self) -> Matrix:
        """Homography from the card's plane (x, y in mm, z = 0) to ideal pixel centres, not normalised."""
        cx, cy = centre_of(self.size)
        K = np.array([[self.focal_px, 0, cx], [0, self.focal_px, cy], [0, 0, 1.0]])
        return np.asarray(K @ np.column_stack([self.rotation[:, 0], self.rotation[:, 1], self.translation]))


def centre_of(size: Size) -> tuple[float, float]:
    """Centre of a frame in pixel-centre coordinates."""
    return (size.width - 1) / 2, (size.height - 1) / 2


def look_at(
    aim_mm: tuple[float, float], distance_mm: float, tilt_deg: tuple[float, float], roll_deg: float
) -> tuple[Matrix, Array]:
    """Rotation and translation (card → camera) of a camera whose axis meets the card at ``aim_mm``.

    ``tilt_deg`` turns the card about its x and y axes, ``roll_deg`` the camera about its own axis.
    """
    ax, ay, roll = np.radians([*tilt_deg, roll_deg])
    about_x = np.array([[1, 0, 0], [0, np.cos(ax), -np.sin(ax)], [0, np.sin(ax), np.cos(ax)]])
    about_y = np.array([[np.cos(ay), 0, np.sin(ay)], [0, 1, 0], [-np.sin(ay), 0, np.cos(ay)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    rotation = about_z @ about_x @ about_y
    translation = np.array([0, 0, distance_mm]) - rotation @ np.array([*aim_mm, 0])
    return np.asarray(rotation), np.asarray(translation)


def homography_between(hr: Camera, lr: Camera) -> Matrix:
    """``H_hr_to_lr`` for the card's plane, ideal HR to ideal LR pixel centres, ``[2, 2] = 1``."""
    H = lr.card_to_image @ np.linalg.inv(hr.card_to_image)
    return np.asarray(H / H[2, 2])


def project(camera: Camera, points_mm: Array) -> Array:
    """Project points (N, 3) in the coordinates of the card to ideal pixel positions (N, 2)."""
    seen = points_mm @ camera.rotation.T + camera.translation
    return np.asarray(camera.focal_px * seen[:, :2] / seen[:, 2:] + np.array(centre_of(camera.size)))


def undistort(points: Array, size: Size, k1: float) -> Array:
    """Captured to ideal positions (N, 2): ``c + (x − c)·(1 + k1·r²)``."""
    centre = np.array(centre_of(size))
    offset = points - centre
    r2 = (offset**2).sum(axis=1, keepdims=True) / ((size.width**2 + size.height**2) / 4)
    return np.asarray(centre + offset * (1 + k1 * r2))


def distort(points: Array, size: Size, k1: float) -> Array:
    """Ideal to captured positions (N, 2): the inverse of :func:`undistort`, by Newton's method on the radius."""
    centre = np.array(centre_of(size))
    offset = points - centre
    ideal = np.sqrt((offset**2).sum(axis=1) / ((size.width**2 + size.height**2) / 4))
    r = ideal.copy()
    for _ in range(20):
        r -= (r + k1 * r**3 - ideal) / (1 + 3 * k1 * r**2)
    return np.asarray(centre + offset * np.divide(r, ideal, out=np.ones_like(r), where=ideal > 0)[:, None])


def cast_rays(camera: Camera, xs: Float, ys: Float, channel: int = 1) -> tuple[Float, Float]:
    """Where the rays through a grid of captured positions meet the card.

    Parameters
    ----------
    xs, ys : (W,) and (H,) ndarray
        Columns and rows of the grid, in px of the capture; fractions are positions inside pixels.
    channel : int
        Colour: 0 is red, 1 green, 2 blue. They differ by the camera's ``stretch``.

    Returns
    -------
    x, y : (H, W) ndarray
        Positions on the card in mm.
    """
    cx, cy = centre_of(camera.size)
    dx, dy = (xs - cx)[None, :], (ys - cy)[:, None]
    stretch = camera.stretch[channel] / camera.focal_px
    growth: Float | float = stretch
    if camera.k1:
        r2 = (dx**2 + dy**2) * (4 / (camera.size.width**2 + camera.size.height**2))
        growth = stretch * (1 + camera.k1 * r2)
    back = camera.rotation.T
    origin = -back @ camera.translation
    # direction in the card's frame = back @ (growth·dx, growth·dy, 1)
    direction = [(back[i, 0] * dx + back[i, 1] * dy) * growth + back[i, 2] for i in range(3)]
    reach = -origin[2] / direction[2]
    x = origin[0] + reach * direction[0]
    if camera.bow_mm:
        for _ in range(4):
            reach = (surface(camera, x) - origin[2]) / direction[2]
            x = origin[0] + reach * direction[0]
    return x, origin[1] + reach * direction[1]


def surface(camera: Camera, x_mm: Float) -> Float:
    """Height z of the bowed card at ``x_mm``. Its mean over the default crop is 0, so that the flat H fits there."""
    crop_half = 0.576 / 1.1
    return np.asarray(camera.bow_mm * (crop_half**2 / 3 - (x_mm / camera.half_card_mm) ** 2))
