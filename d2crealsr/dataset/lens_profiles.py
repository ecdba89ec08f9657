"""Profiles of known lenses from lensfun's database: the radial coefficient k1 by camera, lens and focal length.

lensfun has several models of distortion. The correction by the model of a lens is sampled over the frame, and the model
of this project, ``x_ideal = c + (x − c)·(1 + k1·r²)``, is fitted to it together with a magnification, which later
becomes part of the homography. The largest error of this fit is reported.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from d2crealsr.errors import ImageError, UsageError
from d2crealsr.store.exif import read_exif
from d2crealsr.ui.versions import how_to_install

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from d2crealsr.settings import AlignSettings
    from d2crealsr.store.exif import ExifData
    from d2crealsr.types import Array, Size

__all__ = ["LensProfile", "check_lensfun", "find_lens_profile", "fit_k1", "sampled_correction", "with_lens_profiles"]

_ROWS = 25
"""Number of evenly spaced rows of the frame on which a correction is sampled at every pixel."""
_FAR_M = 2.0
"""Assumed distance of the subject. lensfun's models of distortion hardly depend on it."""
_ASPECT = 0.01
"""Largest difference in aspect ratio from the sensor's frame. Beyond it the capture counts as cropped: its centre is
not that of the profile."""


class LensProfile(NamedTuple):
    """A lens at one focal length.

    Attributes
    ----------
    k1 : float
        Radial coefficient from captured to ideal positions, with r = 1 at half the diagonal.
    name : str
        Camera, lens and focal length as named by lensfun.
    left_px : float
        Largest distance over the frame between lensfun's own correction and that of k1, in px of the capture.
    """

    k1: float
    name: str
    left_px: float

    @property
    def described(self) -> str:
        """Description for the manifest's ``lens_model``."""
        return f"{self.name}, k1 {self.k1:.6f} to {self.left_px:.1f} px"


def check_lensfun() -> None:
    """Raise :class:`~d2crealsr.errors.UsageError` unless lensfunpy is installed."""
    try:
        import lensfunpy  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"lens profiles: lensfunpy is not installed; {how_to_install('lens')}, or give k1 by --undistort-hr "
            "and --undistort-lr"
        ) from error


def find_lens_profile(exif: ExifData, size: Size) -> LensProfile:
    """The profile of the lens with which a capture was taken.

    Parameters
    ----------
    exif : ExifData
        EXIF data of the capture.
    size : Size
        Size of the capture in px, in either orientation.

    Raises
    ------
    ImageError
        ``lens_unknown``: the file does not name the lens, the database does not have it, or the capture was cropped.
    """
    if not exif.camera or not exif.focal_mm:
        raise _unknown("the file names no camera and focal length (EXIF)", "export it with its EXIF data")
    if 0 not in exif.frame and abs(_aspect(size) / _aspect(exif.frame) - 1) > _ASPECT:
        whole, got = ("x".join(map(str, sides)) for sides in (exif.frame, size))
        raise _unknown(f"the capture is {got}, the camera's frame was {whole}", "use it uncropped")
    import lensfunpy

    database = lensfunpy.Database()
    cameras = database.find_cameras(exif.camera_make or None, exif.camera)
    if not cameras:
        raise _unknown(f"lensfun does not know the camera {exif.camera_make} {exif.camera}".rstrip(), _BY_HAND)
    lenses = [one for one in _lenses(database, cameras[0], exif) if one.calib_distortion]
    if not lenses:
        raise _unknown(f"lensfun has no distortion of the lens {exif.lens or '(unnamed)'} on {exif.camera}", _BY_HAND)
    camera, lens = cameras[0], lenses[0]
    longer, shorter = max(size), min(size)
    p_ideal, p_captured = sampled_correction(lens, camera.crop_factor, (longer, shorter), exif.focal_mm, exif.f_number)
    k1, left_px = fit_k1(p_ideal, p_captured, (longer, shorter))
    return LensProfile(k1=k1, name=f"{camera.model}, {lens.model} at {exif.focal_mm:g} mm", left_px=left_px)


_BY_HAND = "update its database, or give k1 by --undistort-hr or --undistort-lr"


def _unknown(what: str, remedy: str) -> ImageError:
    return ImageError(f"lens profile: {what}; {remedy}, or leave out --lens-profile", reason="lens_unknown")


def _aspect(size: tuple[int, int]) -> float:
    return max(size) / min(size)


def _lenses(database: Any, camera: Any, exif: ExifData) -> list[Any]:
    """Lenses that match the name, best first. Without a name, the fixed lens of the camera if it has one."""
    if exif.lens:
        found: list[Any] = database.find_lenses(camera, exif.lens_make or None, exif.lens)
        return [one for one in found if one.min_focal - 0.5 <= exif.focal_mm <= one.max_focal + 0.5]
    fixed: list[Any] = database.find_lenses(camera, None, None)
    return fixed if len(fixed) == 1 else []


def sampled_correction(
    lens: Any, crop_factor: float, size: tuple[int, int], focal_mm: float, f_number: float
) -> tuple[Array, Array]:
    """lensfun's own correction on rows of a frame: ideal pixel centres (N, 2) and their captured positions."""
    import lensfunpy

    width, height = size
    modifier = lensfunpy.Modifier(lens, crop_factor, width, height)
    modifier.initialize(
        focal_mm, f_number or 8.0, _FAR_M, scale=1.0, pixel_format=np.float32, flags=lensfunpy.ModifyFlags.DISTORTION
    )
    ideal, captured = [], []
    for y in np.linspace(0, height - 1, _ROWS).astype(int):
        row = modifier.apply_geometry_distortion(0, int(y), width, 1)
        captured.append(np.asarray(row, np.float64)[0])
        ideal.append(np.stack([np.arange(width, dtype=np.float64), np.full(width, float(y))], axis=1))
    return np.concatenate(ideal), np.concatenate(captured)


def fit_k1(p_ideal: Array, p_captured: Array, size: tuple[int, int]) -> tuple[float, float]:
    """k1 of a correction by least squares over the frame, and the largest remaining error in px.

    ``magnification·(p_ideal − c) = (p_captured − c)·(1 + k1·r²)`` is linear in both unknowns.
    """
    centre, unit = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2]), float(np.hypot(*size)) / 2
    ideal, captured = (p_ideal - centre) / unit, (p_captured - centre) / unit
    inside = np.all(np.abs(p_captured - centre) <= centre + 0.5, axis=1)
    ideal, captured = ideal[inside], captured[inside]
    cubic = captured * np.sum(captured**2, axis=1, keepdims=True)
    design = np.stack([ideal.ravel(), -cubic.ravel()], axis=1)
    solution = np.linalg.lstsq(design, captured.ravel(), rcond=None)[0]
    left = (design @ solution - captured.ravel()).reshape(-1, 2)
    return float(solution[1]), unit * float(np.linalg.norm(left, axis=1).max())


def with_lens_profiles(
    settings: AlignSettings, captures: Mapping[str, Path], sizes: Mapping[str, Size]
) -> tuple[AlignSettings, str]:
    """Settings with the k1 of the lens profiles of these captures, and the description for ``lens_model``.

    Parameters
    ----------
    captures, sizes : mapping
        Files and sizes of the ``"hr"`` and the ``"lr"`` capture.

    Raises
    ------
    ImageError
        ``lens_unknown``; the text names the capture.
    """
    found: dict[str, LensProfile] = {}
    for side in ("hr", "lr"):
        if settings.lens_profile in (side, "both"):
            try:
                found[side] = find_lens_profile(read_exif(captures[side]), sizes[side])
            except ImageError as error:
                raise ImageError(f"{captures[side].name}: {error}", reason=error.reason) from error
    known: dict[str, Any] = {f"undistort_{side}": profile.k1 for side, profile in found.items()}
    described = "; ".join(f"{side}: {profile.described}" for side, profile in found.items())
    return dataclasses.replace(settings, lens_profile="none", **known), described
