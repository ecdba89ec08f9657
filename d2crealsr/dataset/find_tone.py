"""From a folder of captures to a file of the tone curves of their cameras."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from d2crealsr.align import locate_pair
from d2crealsr.dataset.tone_curves import camera_key
from d2crealsr.errors import ImageError, UsageError
from d2crealsr.imaging.tone_family import curve_name
from d2crealsr.jobs import threads
from d2crealsr.registration.pooled_tone import FEWEST_SCENES, PooledTone, fit_tone
from d2crealsr.registration.tone_evidence import ToneScene
from d2crealsr.settings import AlignSettings
from d2crealsr.store.captures import Capture, find_captures
from d2crealsr.store.exif import read_exif
from d2crealsr.store.images import CaptureImage, read_capture
from d2crealsr.store.tone_file import CameraCurve, ToneFile, check_tone_output, write_tone_file
from d2crealsr.types import AlignmentFailure
from d2crealsr.ui.versions import version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["FEWEST_SCENES", "SCENES", "find_tone"]

SCENES = 12
"""Number of scenes that are used for each pair of cameras."""

_TRIED = 3
"""How many times as many are tried, since captures that do not match take the longest."""

_FIRST = AlignSettings()


class _Shot(NamedTuple):
    """A scene with both captures, and the names of their curves."""

    capture: Capture
    hr: Path
    lr: Path
    cameras: tuple[str, str]


def find_tone(
    raw: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    scale: int = _FIRST.scale,
    on_scene: Callable[[str], None] = lambda told: None,
) -> ToneFile:
    """Find the tone curves of the cameras of some captures, and write them to a file for ``align --tone``.

    Parameters
    ----------
    raw, out : path
        Folder of captures or manifest CSV, and the file, whose name ends in ``.json``.
    scale : int
        HR pixels per LR pixel, at least 2.
    on_scene : callable, optional
        Called with a few words when a scene was registered, or fitted once more.

    Raises
    ------
    UsageError
        When RAW has too few scenes that can be registered, all captures are in linear light, or OUT is another file.
    MachineError
        When the file cannot be written.
    """
    raw, out = Path(raw), Path(out)
    if scale < 2:
        raise UsageError("scale: got 1, expected at least 2, since the curve shows where LR averages over HR pixels")
    check_tone_output(out)
    with threads.threads_restored():
        threads.use_one_thread()
        scenes, failures = _registered(_shots(find_captures(raw, scale=scale)), scale, on_scene)
        _check_number(raw, scenes, failures)
        if not any(camera for scene in scenes for camera in scene.cameras):
            raise UsageError(f"{raw}: all captures are in linear light; they need no tone curve")
        fitted = fit_tone(scenes, on_fit=lambda scene: on_scene(f"{scene} fitted"))
    if fitted is None:
        raise UsageError(f"{raw}: fewer than {FEWEST_SCENES} of its {len(scenes)} scenes can be fitted; add scenes")
    found = _described(fitted, scenes, scale)
    write_tone_file(out, found)
    return found


def _shots(captures: Sequence[Capture]) -> list[_Shot]:
    shots = []
    for capture in captures:
        if capture.hr is not None and capture.lr is not None:
            cameras = _camera(capture.hr, "hr"), _camera(capture.lr, "lr")
            shots.append(_Shot(capture, capture.hr, capture.lr, cameras))
    return shots


def _camera(path: Path, side: str) -> str:
    try:
        return camera_key(read_exif(path).camera_name, side)
    except ImageError:  # reading the image will report it
        return side


def _registered(
    shots: Sequence[_Shot], scale: int, on_scene: Callable[[str], None]
) -> tuple[list[ToneScene], list[str]]:
    """A dozen registered scenes for each pair of cameras, spread over the folder, and why others are none.

    Other scenes replace those that fail, as long as not too many were tried.
    """
    scenes: list[ToneScene] = []
    failures: list[str] = []
    for cameras in dict.fromkeys(shot.cameras for shot in shots):
        wanted = SCENES
        of_cameras = [shot for shot in shots if shot.cameras == cameras]
        for tried, shot in enumerate(_spread(of_cameras)):
            if not wanted or tried == _TRIED * SCENES:
                break
            found = _located(shot, scale)
            if isinstance(found, ToneScene):
                scenes.append(found)
                wanted -= 1
            else:
                failures.append(f"{shot.capture.scene}: {found}")
            on_scene(f"{shot.capture.scene} {'registered' if isinstance(found, ToneScene) else 'left out'}")
    return scenes, failures


def _check_number(raw: Path, scenes: Sequence[ToneScene], failures: Sequence[str]) -> None:
    """Raise UsageError if there are too few scenes."""
    if len(scenes) < FEWEST_SCENES:
        why = f" ({len(failures)} cannot, the first is {failures[0]})" if failures else ""
        remedy = "correct these captures, or add scenes" if failures else "add scenes"
        raise UsageError(
            f"{raw}: {len(scenes)} scenes with HR and LR can be registered, at least {FEWEST_SCENES} needed for a tone "
            f"curve{why}; {remedy}"
        )


def _spread(shots: Sequence[_Shot]) -> Iterator[_Shot]:
    """A dozen shots at equal distances, then the others."""
    first = dict.fromkeys(np.linspace(0, len(shots) - 1, min(SCENES, len(shots))).astype(int).tolist())
    yield from (shots[index] for index in first)
    yield from (shot for index, shot in enumerate(shots) if index not in first)


def _located(shot: _Shot, scale: int) -> ToneScene | str:
    """A registered scene, or why it cannot be used."""
    try:
        hr, lr = _read(shot)
    except ImageError as error:
        return str(error)
    settings = AlignSettings(scale=scale)
    found = locate_pair(hr, lr, settings)
    if isinstance(found, AlignmentFailure):
        return found.message
    refinement = found.located.refinement
    if refinement is None:
        return "direct refinement failed"
    return ToneScene(
        name=shot.capture.scene,
        captures=partial(_read, shot),
        mapping=refinement.mapping,
        sigma_hr_px=refinement.sigma_blur_hr_px,
        phase=refinement.phase,
        cameras=("" if hr.tone else shot.cameras[0], "" if lr.tone else shot.cameras[1]),
        scale=scale,
    )


def _read(shot: _Shot) -> tuple[CaptureImage, CaptureImage]:
    return read_capture(shot.hr, convert=True), read_capture(shot.lr, convert=False, balanced_as=shot.hr)


def _described(fitted: PooledTone, scenes: Sequence[ToneScene], scale: int) -> ToneFile:
    used = [scene.cameras for scene in scenes if scene.name in fitted.scenes]
    curves = {}
    for camera, curve in fitted.curves.items():
        interval = zip(*curve.interval, strict=True)
        curves[camera] = CameraCurve(
            tone=curve_name(curve.numbers) if curve.supported else "srgb",
            interval=tuple((round(float(low), 4), round(float(high), 4)) for low, high in interval),
            improved=curve.improved,
            chance=float(f"{curve.chance:.3g}"),
            scenes=sum(camera in cameras for cameras in used),
        )
    return ToneFile(
        curves=curves,
        scenes=tuple(sorted(fitted.scenes)),
        scale=scale,
        misfit_before=round(fitted.misfit_before, 6),
        misfit_after=round(fitted.misfit_after, 6),
        tool_version=version("d2crealsr"),
    )
