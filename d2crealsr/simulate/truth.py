"""The exact truth about a simulated scene, and the position of its reference picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from d2crealsr.simulate.camera import cast_rays, centre_of, distort, homography_between, project, surface
from d2crealsr.simulate.overlay import covers
from d2crealsr.simulate.render import Grid
from d2crealsr.types import Crop

if TYPE_CHECKING:
    from d2crealsr.simulate.session import Session, Shot
    from d2crealsr.types import Matrix

__all__ = ["REFERENCE_MARGIN", "Truth", "default_crop", "reference_grid", "truth_of"]

REFERENCE_MARGIN = 8
"""LR px by which the reference picture extends beyond the default crop on every side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """Exactly known facts about a scene. They hold for the captures after applying their orientation flags.

    Attributes
    ----------
    H_hr_to_lr : (3, 3) ndarray
        Maps ideal HR to ideal LR pixel centres, for green light and the plane of the card. For a bowed card, it is the
        plane that fits best over the default crop.
    reference_origin : tuple of int
        LR position (x, y) of the reference picture's first LR pixel.
    content_differs_fraction : float
        Share of the default crop whose content is not the same in both shots.
    bow_shift_max_hr_px : float
        Largest distance between the content of a bowed card and its position by H over the default crop, in HR px.
    """

    H_hr_to_lr: Matrix
    reference_origin: tuple[int, int]
    content_differs_fraction: float
    bow_shift_max_hr_px: float
    session: Session

    def row(self, scene: str) -> dict[str, str | float | int | bool]:
        """The scene's row of ``truth.csv``: the fixed columns, then the drawn parameters."""
        session, H = self.session, self.H_hr_to_lr
        width, height = session.size
        row: dict[str, str | float | int | bool] = {"scene": scene}
        row |= {f"h{i}{j}": float(H[i, j]) for i in range(3) for j in range(3)}
        row |= {"k1_hr": session.hr.k1, "k1_lr": session.lr.k1}
        row |= {"hr_width": width, "hr_height": height, "lr_width": width, "lr_height": height}
        row |= {"ref_x": self.reference_origin[0], "ref_y": self.reference_origin[1]}
        row |= {"same_scene": session.same_scene, "content_differs_fraction": self.content_differs_fraction}
        row |= {"bow_shift_max_hr_px": self.bow_shift_max_hr_px, "bow_mm": session.bow_mm}
        row |= {"scale": session.scale, "zoom": session.zoom, "card_fraction": session.card_fraction}
        row |= {"screen": session.screen}
        return row | _drawn("hr", session.hr) | _drawn("lr", session.lr)


def _drawn(name: str, shot: Shot) -> dict[str, str | float | int | bool]:
    """A shot's parameters, with their units in the names."""
    return {
        f"psf_sigma_{name}_px": shot.psf_sigma,
        f"tilt_x_{name}_deg": shot.tilt_x,
        f"tilt_y_{name}_deg": shot.tilt_y,
        f"roll_{name}_deg": shot.roll,
        f"shift_x_{name}_tele_frames": shot.shift_x,
        f"shift_y_{name}_tele_frames": shot.shift_y,
        f"exposure_{name}": shot.exposure,
        f"wb_r_{name}": shot.wb[0],
        f"wb_g_{name}": shot.wb[1],
        f"wb_b_{name}": shot.wb[2],
        f"vignetting_{name}": shot.vignetting,
        f"ca_r_{name}": shot.ca_r,
        f"ca_b_{name}": shot.ca_b,
        f"orientation_{name}": shot.orientation,
        f"overlay_{name}": shot.overlay.kind if shot.overlay else "",
    }


def default_crop(session: Session, H_hr_to_lr: Matrix) -> Crop:
    """The default crop of the pairs format: 57.6 % of the HR frame, around the centre of the HR frame in LR.

    Width and height are those of the frame as LR sees it. They are exchanged if the cameras' rolls differ by an angle
    that is nearer to 90° or 270° than to 0° or 180°.
    """
    width, height = (2 * (288 * side // (1000 * session.scale)) for side in session.size)
    turn = math.radians(session.lr.roll - session.hr.roll)
    if abs(math.sin(turn)) > abs(math.cos(turn)):
        width, height = height, width
    x, y, depth = H_hr_to_lr @ np.array([*centre_of(session.size), 1.0])
    centre = distort(np.array([[x / depth, y / depth]]), session.size, session.lr.k1)[0]
    left, top = np.round(centre - (np.array([width, height]) - 1) / 2).astype(int)
    return Crop(int(left), int(top), width, height)


def reference_grid(crop: Crop, scale: int) -> Grid:
    """The grid of the reference picture over a crop and its margin, scale times finer than LR, in LR px."""
    return Grid(
        left=crop.x - REFERENCE_MARGIN - 0.5,
        top=crop.y - REFERENCE_MARGIN - 0.5,
        pitch=1 / scale,
        width=(crop.width + 2 * REFERENCE_MARGIN) * scale,
        height=(crop.height + 2 * REFERENCE_MARGIN) * scale,
    )


def truth_of(session: Session) -> Truth:
    """The truth about a session, computed from its numbers alone."""
    H = homography_between(*session.cameras)
    crop = default_crop(session, H)
    return Truth(
        H_hr_to_lr=H,
        reference_origin=(crop.x - REFERENCE_MARGIN, crop.y - REFERENCE_MARGIN),
        content_differs_fraction=_differing(session, crop),
        bow_shift_max_hr_px=_bow_shift(session, crop, H) if session.bow_mm else 0.0,
        session=session,
    )


def _differing(session: Session, crop: Crop) -> float:
    if not session.same_scene:
        return 1.0
    lr = session.cameras[1]
    x_mm, y_mm = cast_rays(lr, crop.x + np.arange(float(crop.width)), crop.y + np.arange(float(crop.height)))
    hidden = np.zeros(x_mm.shape, dtype=bool)
    in_both = session.hr.overlay == session.lr.overlay
    for shot in (session.hr, session.lr):
        if shot.overlay is not None and not in_both:
            hidden |= covers(shot.overlay, x_mm, y_mm)
    return float(hidden.mean())


def _bow_shift(session: Session, crop: Crop, H: Matrix) -> float:
    hr, lr = session.cameras
    xs, ys = np.linspace(crop.x, crop.x + crop.width - 1, 19), np.linspace(crop.y, crop.y + crop.height - 1, 13)
    x_mm, y_mm = (a.ravel() for a in cast_rays(lr, xs, ys))
    bowed = project(hr, np.column_stack([x_mm, y_mm, surface(hr, x_mm)]))
    flat = np.column_stack([np.tile(xs, len(ys)), np.repeat(ys, len(xs)), np.ones(x_mm.size)]) @ np.linalg.inv(H).T
    return float(np.hypot(*(bowed - flat[:, :2] / flat[:, 2:]).T).max())
