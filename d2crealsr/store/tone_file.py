"""The file of `d2crealsr tone`: tone curves by camera, and what they were found from."""

from __future__ import annotations

import dataclasses
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import UsageError
from d2crealsr.store.files import read_json, read_text, write_text
from d2crealsr.store.outputs import check_output

if TYPE_CHECKING:
    from collections.abc import Callable
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
    scenes : int
        Number of scenes by this camera; 0 if the file does not say it.
    """

    tone: str
    interval: tuple[tuple[float, float], ...]
    improved: int
    chance: float
    scenes: int = 0


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
    content = _content(path)
    if content.get("version") != _VERSION:
        raise UsageError(
            f"{path}: has version {content.get('version')!r:.20} of the format, expected {_VERSION}; {_AGAIN}"
        )
    try:
        return _from_json(content)
    except ValueError as error:
        raise UsageError(f"{path}: is damaged, {error}; {_AGAIN}") from error


def _content(path: Path) -> dict[str, Any]:
    """The entries of a file that says that it is one of :func:`write_tone_file`, of any version."""
    why = ""
    try:
        content = json.loads(read_text(path, "utf-8-sig"))
    except json.JSONDecodeError as error:
        content, why = None, f" (line {error.lineno}, column {error.colno}: {error.msg})"
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or _format_of(content) != _FORMAT:
        raise UsageError(f"{path}: is not a file of d2crealsr tone{why}; {_AGAIN}")
    return content


def _format_of(content: dict[str, Any] | None) -> Any:
    return (content or {}).get("format")


def _from_json(content: dict[str, Any]) -> ToneFile:
    """The content of the file; raises ValueError with the key, what stands there and what was expected."""
    curves = _entry(content, "curves", "a curve for each camera", lambda found: isinstance(found, dict) and found)
    for name in curves:
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise ValueError(f"key curves: got the camera {name!r:.40}, expected make and model of a camera, hr or lr")
    return ToneFile(
        curves={name: _curve(curves, name) for name in curves},
        scenes=tuple(_entry(content, "scenes", "a list of names of scenes", _is_list_of_texts)),
        scale=_entry(content, "scale", _WHOLE, _is_whole),
        misfit_before=float(_entry(content, "misfit_before", _NUMBER, _is_number)),
        misfit_after=float(_entry(content, "misfit_after", _NUMBER, _is_number)),
        tool_version=_entry(content, "tool_version", "a text", lambda found: isinstance(found, str)),
    )


def _curve(curves: dict[str, Any], name: str) -> CameraCurve:
    entry = _entry(curves, name, "tone, interval, improved and chance of a curve", _is_object, "curves.")
    inside = f"curves.{name}."
    interval = _entry(entry, "interval", "pairs of numbers", _is_list_of_pairs, inside)
    return CameraCurve(
        tone=_entry(entry, "tone", "the name of a tone curve", lambda found: isinstance(found, str), inside),
        interval=tuple((float(low), float(high)) for low, high in interval),
        improved=_entry(entry, "improved", _WHOLE, _is_whole, inside),
        chance=float(_entry(entry, "chance", _NUMBER, _is_number, inside)),
        scenes=_entry({"scenes": 0} | entry, "scenes", _WHOLE, _is_whole, inside),
    )


_WHOLE, _NUMBER = "a whole number", "a number"


def _entry(content: dict[str, Any], key: str, expected: str, is_one: Callable[[Any], object], inside: str = "") -> Any:
    """The value of a key; raises ValueError if it is missing or not what is expected."""
    got = repr(content[key])[:60] if key in content else "nothing"
    if key not in content or not is_one(content[key]):
        raise ValueError(f"key {inside}{key}: got {got}, expected {expected}")
    return content[key]


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_list_of_pairs(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(_is_number(number) for number in pair) for pair in value
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
