"""Draw the pictures and figures of one pair as one task, and write them below the report.

The folder of a task is named by a fingerprint of all its inputs. A second report therefore draws only what has changed,
and the name of a scene is never part of a path.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, Any, TypeAlias

from d2crealsr.errors import MachineError
from d2crealsr.report.drawing import Drawing
from d2crealsr.report.sources import PairTask, Sources
from d2crealsr.store.files import read_text, write_text
from d2crealsr.ui.page import script_data

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from d2crealsr.report.sources import SourceState

__all__ = ["KEY_LENGTH", "PairTask", "draw_pair"]

Json: TypeAlias = dict[str, Any]

DRAWING_VERSION = 3
"""Increase this when the pictures change, so that older ones are drawn again."""

KEY_LENGTH = 20
DATA_FILE = "pair.js"
_CALL = "reportPair("
_FOR_THE_PAGE = ("scene", "key", "files", "captures", "taken", "spectrum")
"""What the page of all pairs needs of one. Its residuals and views, which are most of its data, stay in its file."""
_NOT_DRAWN = ("split", "left_out_of", "group", "message")


def draw_pair(task: PairTask) -> Json:
    """Draw a pair unless it is drawn already; returns what the page needs of it: ``key`` names its folder.

    Raises
    ------
    MachineError
        When the folder of the report cannot be written. Errors of images become notes.
    """
    states = {"hr": task.state_of("hr"), "lr": task.state_of("lr")}
    key = _fingerprint(task, states)
    folder = task.files / key
    known = _known(folder / DATA_FILE, task.row["scene"])
    if known is not None:
        return {**_for_the_page(known), "key": key, "unchanged": True}
    try:
        data = Drawing(Sources(task, states), folder).run()
        text = str(script_data({"key": key, "scene": task.row["scene"], **data}))
        write_text(folder / DATA_FILE, f"{_CALL}{text});\n")
    except OSError as error:
        why = error.strerror or error
        raise MachineError(f"{folder}: cannot be written ({why}); make room or check permissions") from error
    return {**_for_the_page(json.loads(text)), "unchanged": False}


def _for_the_page(data: Json) -> Json:
    return {name: data[name] for name in _FOR_THE_PAGE if name in data}


def _known(path: Path, scene: str) -> Json | None:
    """The data of an earlier run; None if it did not finish, or if the file is not its own."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        text = read_text(path).strip()
        data = json.loads(text.removeprefix(_CALL).removesuffix(");"))
        return data if _is_whole(data, scene) else None
    return None


def _is_whole(data: Any, scene: str) -> bool:
    """Whether the content of a file has the parts that :func:`draw_pair` writes and the page needs."""
    if not isinstance(data, dict) or data.get("scene") != scene:
        return False
    files, captures = data.get("files"), data.get("captures")
    if not isinstance(files, dict) or not isinstance(captures, dict):
        return False
    small = [captures[side] for side in ("hr", "lr") if side in captures]
    names = [*files.values(), *(capture.get("file") if isinstance(capture, dict) else None for capture in small)]
    return all(isinstance(name, str) for name in names) and ("thumb_lr" in files) == ("thumb_hr" in files)


def _fingerprint(task: PairTask, states: Mapping[str, SourceState]) -> str:
    drawn = {name: value for name, value in task.row.items() if name not in _NOT_DRAWN}
    content = [DRAWING_VERSION, drawn, list(task.stages), task.residuals.tolist(), states, task.published is not None]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:KEY_LENGTH]
