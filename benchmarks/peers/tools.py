"""Tools of others on the same captures, as far as they are installed. ``make bench-peers`` makes their environments.

Both images are brought to about the same resolution for them (HR is blurred and reduced by 4, the middle of LR is
enlarged by 2), because none of them does so itself. If a peer is not installed, its row says so.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.peers import opencv_recipes
from d2crealsr import opencv
from d2crealsr.imaging import geometry, photometry
from d2crealsr.types import Size

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from d2crealsr.types import Array, Image, Matrix

__all__ = ["PEERS", "Peer", "lacks_environment", "python_of"]

ENVIRONMENTS = Path(__file__).resolve().parents[2] / ".peers"
_REDUCTION, _ENLARGEMENT = 4, 2
_RANSAC_PX = 1.5
_TIMEOUT_S = 600


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A tool: ``lacking`` says in words what is missing, empty if nothing; ``find`` aligns two images."""

    name: str
    lacking: Callable[[], str]
    find: Callable[[Bridge], Matrix | None]

    def align(self, hr: Image, lr: Image, scale: int) -> Matrix | None:
        """H from HR to LR capture, None where the tool finds nothing."""
        bridge = Bridge.of(hr, lr, scale)
        H_hr4_to_lr2 = self.find(bridge)
        return None if H_hr4_to_lr2 is None else bridge.of_captures(H_hr4_to_lr2)


@dataclass(frozen=True)
class Bridge:
    """The two images that a peer gets, 8-bit sRGB of their luma, and the way from the captures to them."""

    hr: NDArray[np.uint8]
    lr: NDArray[np.uint8]
    H_hr_to_hr4: Matrix
    H_lr_to_lr2: Matrix
    start: Matrix | None

    @classmethod
    def of(cls, hr: Image, lr: Image, scale: int) -> Bridge:
        """Bring two captures to about one resolution."""
        window = opencv_recipes.search_window(hr, lr, scale)
        luma = photometry.luma(photometry.to_linear(window.image, "srgb"))
        size = Size(luma.shape[1] * _ENLARGEMENT, luma.shape[0] * _ENLARGEMENT)
        H_lr_to_lr2 = geometry.compose(geometry.scaling(_ENLARGEMENT), geometry.translation(-window.x, -window.y))
        H_hr_to_hr4 = geometry.scaling(1 / _REDUCTION)
        start = opencv_recipes.RECIPES["OpenCV SIFT precise, HR blurred"](hr, lr, scale)
        return cls(
            hr=photometry.as_8bit(opencv_recipes.reduced_luma(hr, linear=True).clip(0, 1)),
            lr=photometry.as_8bit(opencv.resize(luma, size, "cubic").clip(0, 1)),
            H_hr_to_hr4=H_hr_to_hr4,
            H_lr_to_lr2=H_lr_to_lr2,
            start=None if start is None else geometry.compose(H_lr_to_lr2, start, geometry.inverse(H_hr_to_hr4)),
        )

    def of_captures(self, H_hr4_to_lr2: Matrix) -> Matrix:
        """The same mapping between the captures."""
        return geometry.compose(geometry.inverse(self.H_lr_to_lr2), H_hr4_to_lr2, self.H_hr_to_hr4)


def _skimage_orb(bridge: Bridge) -> Matrix | None:
    """scikit-image as its gallery does it: ORB, mutual matches, ransac with a projective transform."""
    feature, measure, transform = (_skimage(name) for name in ("feature", "measure", "transform"))
    points, descriptors = [], []
    for image in (bridge.hr, bridge.lr):
        detector = feature.ORB(n_keypoints=1000, fast_threshold=0.02)
        try:
            detector.detect_and_extract(image / 255)
        except (RuntimeError, ValueError):  # no keypoints
            return None
        points.append(detector.keypoints[:, ::-1].astype(np.float64))
        descriptors.append(detector.descriptors)
    matches = feature.match_descriptors(*descriptors, cross_check=True, max_ratio=0.9)
    if len(matches) < 8:
        return None
    pairs = points[0][matches[:, 0]], points[1][matches[:, 1]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, _ = measure.ransac(pairs, transform.ProjectiveTransform, 4, _RANSAC_PX, max_trials=2000, rng=0)
    return None if model is None else geometry.normalised(np.asarray(model.params, np.float64))


def _skimage_phase(bridge: Bridge) -> Matrix | None:
    """phase_cross_correlation to 1/100 px: one shift, for what OpenCV's SIFT leaves."""
    if bridge.start is None:
        return None
    size = Size(bridge.lr.shape[1], bridge.lr.shape[0])
    seen = opencv.warp(bridge.hr.astype(np.float32), geometry.inverse(bridge.start), size, "cubic", outside="zero")
    inside = opencv.warp(np.ones(bridge.hr.shape, np.float32), geometry.inverse(bridge.start), size, outside="zero") > 0
    shares = inside.mean(axis=1), inside.mean(axis=0)
    rows, columns = (np.flatnonzero(share > 0.95 * share.max()) for share in shares)
    if len(rows) < 32 or len(columns) < 32:
        return None
    part = np.s_[rows[0] + 8 : rows[-1] - 8, columns[0] + 8 : columns[-1] - 8]
    shift = _skimage("registration").phase_cross_correlation(
        bridge.lr[part].astype(np.float32), seen[part], upsample_factor=100
    )[0]
    return geometry.compose(geometry.translation(float(shift[1]), float(shift[0])), bridge.start)


def _skimage(name: str) -> Any:
    """A part of scikit-image, which is imported where it is used and has no types to speak of."""
    return importlib.import_module(f"skimage.{name}")


def _kornia(bridge: Bridge) -> Matrix | None:
    """kornia's ImageRegistrator from OpenCV's SIFT, in its own environment."""
    if bridge.start is None:
        return None
    script = Path(__file__).with_name("peer_kornia.py")
    with tempfile.TemporaryDirectory() as folder:
        job, answer = Path(folder) / "job.npz", Path(folder) / "answer.json"
        np.savez(job, hr=bridge.hr, lr=bridge.lr, start=bridge.start)
        done = subprocess.run(
            [python_of("kornia"), script, job, answer], capture_output=True, check=False, timeout=_TIMEOUT_S
        )
        return np.array(json.loads(answer.read_text())) if done.returncode == 0 and answer.exists() else None


_CPFIND = [
    ["pto_gen", "--fov=20", "-o", "a.pto", "hr.png", "lr.png"],
    ["cpfind", "--fullscale", "--multirow", "--minmatches=6", "-o", "found.pto", "a.pto"],
]
"""Hugin's control point finder at full scale."""
_STACK = [["align_image_stack", "-m", "-g", "8", "-c", "40", "-p", "found.pto", "hr.png", "lr.png"]]
"""Hugin's align_image_stack with many grid points."""


def _hugin(bridge: Bridge, commands: list[list[str]]) -> Matrix | None:
    """Run Hugin's programs in a folder of their own and read the control points they leave.

    They expect images of one size that nearly lie on each other: the middle of the LR window has HR's field of view.
    """
    size = Size(bridge.hr.shape[1], bridge.hr.shape[0])
    left, top = (bridge.lr.shape[1] - size.width) // 2, (bridge.lr.shape[0] - size.height) // 2
    middle = bridge.lr[top : top + size.height, left : left + size.width]
    with tempfile.TemporaryDirectory() as folder:
        for name, grey in (("hr", bridge.hr), ("lr", middle)):
            (Path(folder) / f"{name}.png").write_bytes(opencv.encode_png(np.repeat(grey[..., None], 3, axis=2)))
        try:
            for command in commands:
                subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=_TIMEOUT_S)
        except (subprocess.SubprocessError, OSError):
            return None
        source, target = control_points((Path(folder) / "found.pto").read_text(encoding="utf-8"))
    if len(source) < 8:
        return None
    return opencv.find_homography(source, target + np.array([left, top]), threshold=_RANSAC_PX)[0]


def control_points(project: str) -> tuple[Array, Array]:
    """Control points of a Hugin project, between its images 0 and 1: two (N, 2) arrays in px.

    Examples
    --------
    >>> control_points("c n0 N1 x10 y20 X11.5 Y21 t0")
    (array([[10., 20.]]), array([[11.5, 21. ]]))
    """
    lines = (line.split() for line in project.splitlines() if line.startswith("c "))
    points = [{token[0]: float(token[1:]) for token in line[1:]} for line in lines]
    points = [p for p in points if (p["n"], p["N"]) == (0, 1)]
    source, target = (np.array([[p[x], p[y]] for p in points]).reshape(-1, 2) for x, y in (("x", "y"), ("X", "Y")))
    return source, target


def _lacks_module(name: str) -> Callable[[], str]:
    return lambda: "" if importlib.util.find_spec(name) else f"no Python package {name}"


def _lacks_program(*names: str) -> Callable[[], str]:
    return lambda: ", ".join(f"no program {name}" for name in names if shutil.which(name) is None)


def python_of(environment: str) -> Path:
    """The interpreter of a peer's environment."""
    return ENVIRONMENTS / environment / "bin" / "python"


def lacks_environment(name: str) -> Callable[[], str]:
    """What says, in words, that a peer's environment is missing; an empty text if it is there."""
    return lambda: "" if python_of(name).exists() else f"no .peers/{name}; benchmarks/peers/make_peers.sh {name}"


PEERS = (
    Peer(name="scikit-image ORB + ransac", lacking=_lacks_module("skimage"), find=_skimage_orb),
    Peer(name="scikit-image phase_cross_correlation", lacking=_lacks_module("skimage"), find=_skimage_phase),
    Peer(name="Hugin cpfind", lacking=_lacks_program("pto_gen", "cpfind"), find=partial(_hugin, commands=_CPFIND)),
    Peer(
        name="Hugin align_image_stack",
        lacking=_lacks_program("align_image_stack"),
        find=partial(_hugin, commands=_STACK),
    ),
    Peer(name="kornia ImageRegistrator", lacking=lacks_environment("kornia"), find=_kornia),
    Peer(
        name="ImgAlign",
        lacking=lambda: "4.3 imports cupy (cupyx.scipy.ndimage) at its start and cannot run without CUDA",
        find=lambda bridge: None,
    ),
)
