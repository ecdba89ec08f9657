"""The tone curves of a run by camera: read from the file of `d2crealsr tone`, kept as a setting, applied to captures.

The setting holds the curves themselves and not the name of the file. They are therefore a part of each scene's recipe,
and a later run needs no file.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import ImageError, UsageError
from d2crealsr.settings import AlignSettings, is_tone, tones_by_camera
from d2crealsr.store.exif import read_exif
from d2crealsr.store.tone_file import read_tone_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d2crealsr.store.captures import Capture
    from d2crealsr.store.images import CaptureImage

__all__ = ["camera_key", "with_tones_of_cameras", "with_tones_of_file"]

_LOOKED_AT = 20
"""Number of scenes of which one at least must be by cameras of the file."""


def camera_key(camera: str, side: str) -> str:
    """The name under which the curve of a capture stands: its camera, or ``hr`` or ``lr`` if it names none."""
    return camera or side


def with_tones_of_file(
    settings: AlignSettings | Mapping[str, Any] | None, captures: Sequence[Capture]
) -> AlignSettings | Mapping[str, Any] | None:
    """Settings in which the name of a file of tone curves is replaced by the curves; others stay as they are.

    Raises
    ------
    UsageError
        When the file is missing, damaged or of another version, or when it has no curve for the cameras of the first
        captures.
    """
    tone = settings.tone if isinstance(settings, AlignSettings) else (settings or {}).get("tone", "")
    if settings is None or not (isinstance(tone, str) and tone.endswith(".json")):
        return settings
    curves = {name: curve.tone for name, curve in read_tone_file(Path(tone)).curves.items()}
    if wrong := next((name for name, curve in curves.items() if not is_tone(curve)), ""):
        raise UsageError(
            f"{tone}: key curves.{wrong}.tone: got {curves[wrong]!r:.60}, expected srgb, gamma=G with G from 1 to 3.5, "
            "or curve=A:B:C… with 3 to 16 numbers between -99 and 99; run d2crealsr tone again"
        )
    _check_cameras(tone, curves, captures)
    text = json.dumps(curves, sort_keys=True, ensure_ascii=False)
    if isinstance(settings, AlignSettings):
        return dataclasses.replace(settings, tone=text)
    return {**settings, "tone": text}


def _check_cameras(file: str, curves: Mapping[str, str], captures: Sequence[Capture]) -> None:
    """Raise UsageError if none of the first captures is by a camera that has a curve."""
    seen: dict[str, Path] = {}
    for capture in captures[:_LOOKED_AT]:
        for side, path in (("hr", capture.hr), ("lr", capture.lr)):
            if path is not None:
                try:
                    seen.setdefault(camera_key(read_exif(path).camera_name, side), path)
                except ImageError:
                    continue
    if seen and not seen.keys() & curves.keys():
        camera, path = next(iter(seen.items()))
        whose = f"of {camera}" if camera not in ("hr", "lr") else "by a camera that its file does not name"
        raise UsageError(
            f"{file}: has curves for {_listed(curves)}, but {path.name} is {whose}; run d2crealsr tone on these "
            "captures"
        )


def _listed(curves: Mapping[str, str]) -> str:
    return ", ".join(curves)[:120]


def with_tones_of_cameras(
    settings: AlignSettings, images: Mapping[str, CaptureImage], cameras: Mapping[str, str]
) -> AlignSettings:
    """Settings with the curves of the cameras of one scene, as ``HR/LR``.

    Parameters
    ----------
    images, cameras : mapping
        The ``"hr"`` and the ``"lr"`` capture, and the names of their cameras. A capture with a curve of its own, such
        as camera RAW, needs none.

    Raises
    ------
    ImageError
        ``tone_unknown``: there is no curve for the camera.
    """
    curves = tones_by_camera(settings.tone)
    if not curves:
        return settings
    found = []
    for side in ("hr", "lr"):
        camera = camera_key(cameras[side], side)
        if not images[side].tone and camera not in curves:
            raise ImageError(
                f"tone curves: there is none for the camera of the {side.upper()} capture "
                f"({cameras[side] or 'its file names no camera'}), only for {_listed(curves)}; run d2crealsr tone on "
                "captures of this camera, or leave its scenes out",
                reason="tone_unknown",
            )
        found.append(curves.get(camera, "srgb"))
    return dataclasses.replace(settings, tone=found[0] if found[0] == found[1] else "/".join(found))
