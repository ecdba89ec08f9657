"""The file of `d2crealsr tone`: tone curves by camera, and what they were found from."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import UsageError
from d2crealsr.store.files import read_json, write_text
from d2crealsr.store.outputs import check_output

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CameraCurve", "ToneFile", "check_tone_output", "read_tone_file", "write_tone_file"]

_FORMAT, _VERSION = "d2crealsr tone curves", 1
_AGAIN = "make it again with d2crealsr tone CAPTURES --out FILE"
_LONGEST_NAME = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class CameraCurve:
    """The tone curve of a camera.

    Attributes
    ----------
    tone : str
        Its name, which contains its numbers (``curve=…``), or ``srgb``.
    interval : tuple of (float, float)
        Intervals of 95 % of the numbers that were fitted, whether or not the curve is used.
    improved : int
        Number of scenes that the curves of the other scenes predict better than sRGB.
    chance : float
        Probability of such an improvement if the camera's curve is sRGB.
    """

    tone: str
    interval: tuple[tuple[float, float], ...]
    improved: int
    chance: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ToneFile:
    """Tone curves, and their evidence.

    Attributes
    ----------
    curves : dict of CameraCurve
        By make and model of the camera as in ``hr_camera``; ``hr`` and ``lr`` for captures that name none.
    scenes : tuple of str
        Scenes that they were found from.
    scale : int
    misfit_before, misfit_after : float
        Standard deviation of LR's encoded luma from its prediction with sRGB and with the curves, of full scale.
    tool_version : str
    """

    curves: dict[str, CameraCurve]
    scenes: tuple[str, ...]
    scale: int
    misfit_before: float
    misfit_after: float
    tool_version: str


def write_tone_file(path: Path, found: ToneFile) -> None:
    """Write a file that :func:`read_tone_file` reads back exactly."""
    content = {"format": _FORMAT, "version": _VERSION, **dataclasses.asdict(found)}
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def check_tone_output(path: Path) -> None:
    """Raise :class:`UsageError` if writing ``path`` would destroy something else than such a file."""
    if path.suffix != ".json":
        raise UsageError(f"{path}: expected a name that ends in .json, by which align --tone knows the file; rename it")
    check_output(path, "tone curves of d2crealsr", lambda file: _format_of(read_json(file, dict)) == _FORMAT)


def read_tone_file(path: Path) -> ToneFile:
    """Read a file of :func:`write_tone_file`.

    Raises
    ------
    UsageError
        When it is missing, is not such a file, is of another version of the format, or is damaged.
    """
    if not path.is_file():
        raise UsageError(f"{path}: is not there; {_AGAIN}")
    content = read_json(path, dict)
    if content is None or _format_of(content) != _FORMAT:
        raise UsageError(f"{path}: is not a file of d2crealsr tone; {_AGAIN}")
    if content.get("version") != _VERSION:
        raise UsageError(
            f"{path}: has version {content.get('version')!r:.20} of the format, expected {_VERSION}; {_AGAIN}"
        )
    try:
        return _from_json(content)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: is damaged ({' '.join(str(error).split()):.80}); {_AGAIN}") from error


def _format_of(content: dict[str, Any] | None) -> Any:
    return (content or {}).get("format")


def _from_json(content: dict[str, Any]) -> ToneFile:
    if not isinstance(content["curves"], dict):
        raise TypeError("curves")
    curves = {_name(name): _curve(**entry) for name, entry in content["curves"].items()}
    if not curves:
        raise ValueError("no curves")
    if not all(isinstance(scene, str) for scene in content["scenes"]) or isinstance(content["scenes"], str):
        raise ValueError("scenes")
    return ToneFile(
        curves=curves,
        scenes=tuple(content["scenes"]),
        scale=_whole(content["scale"]),
        misfit_before=_number(content["misfit_before"]),
        misfit_after=_number(content["misfit_after"]),
        tool_version=str(content["tool_version"]),
    )


def _name(name: str) -> str:
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"camera {name!r:.40}")
    return name


def _curve(*, tone: Any, interval: Any, improved: Any, chance: Any) -> CameraCurve:
    if not isinstance(tone, str):
        raise ValueError(f"curve {tone!r:.40}")
    pairs = tuple((_number(low), _number(high)) for low, high in interval)
    return CameraCurve(tone=tone, interval=pairs, improved=_whole(improved), chance=_number(chance))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"number {value!r:.40}")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"whole number {value!r:.40}")
    return value
