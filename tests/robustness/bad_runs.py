"""Runs that are wrong as a whole: folders, tables and options as they should not be, each with what must be said."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["RUNS", "Run"]


@dataclass(frozen=True)
class Run:
    """A run of its own: how its folder is made (returns further arguments), the exit code, what standard error says."""

    name: str
    make: Callable[[Path], list[str]]
    code: int
    says: str


RUNS: list[Run] = []


def _run(name: str, code: int, says: str, make: Callable[[Path], object]) -> None:
    def made(raw: Path) -> list[str]:
        arguments = make(raw)
        return arguments if isinstance(arguments, list) else []

    RUNS.append(Run(name, made, code, says))


def _manifest(*lines: str, header: str = "scene,hr,lr,group") -> Callable[[Path], None]:
    return lambda raw: (raw / "manifest.csv").write_text("\n".join([header, *lines, ""]), encoding="utf-8") and None


def _bytes(content: bytes, name: str = "manifest.csv") -> Callable[[Path], None]:
    return lambda raw: (raw / name).write_bytes(content) and None


def _copy(raw: Path, *names: str) -> None:
    for side in ("hr", "lr"):
        for name in names:
            shutil.copy(raw / side / "a.jpg", raw / side / name)


def _only(raw: Path, *names: str) -> None:
    """Files of these names in the folder itself, instead of hr/ and lr/."""
    for side in ("hr", "lr"):
        shutil.rmtree(raw / side)
    for name in names:
        (raw / name).write_bytes(b"")


def _decisions(text: str) -> Callable[[Path], list[str]]:
    def make(raw: Path) -> list[str]:
        (raw / "decisions.csv").write_text(text, encoding="utf-8")
        return ["--accept", str(raw / "decisions.csv")]

    return make


def _tone_file(text: str) -> Callable[[Path], list[str]]:
    def make(raw: Path) -> list[str]:
        (raw / "tone.json").write_text(text, encoding="utf-8")
        return ["--tone", str(raw / "tone.json")]

    return make


def _pairs(name: str, content: str) -> Callable[[Path], None]:
    """A pairs folder that is damaged before the run begins."""

    def make(raw: Path) -> None:
        out = raw.parent / "pairs"
        out.mkdir()
        (out / name).write_text(content, encoding="utf-8")

    return make


def _loop(raw: Path) -> None:
    shutil.rmtree(raw)
    raw.symlink_to(raw.name)


def _loop_inside(raw: Path) -> None:
    _only(raw)
    (raw / "hr").symlink_to("hr")


_GONE = "is not there; give a folder"
_run("manifest without columns", 2, "columns missing: hr, lr; expected", _manifest(header="scene,HR,LR"))
_run("manifest of another kind", 2, "columns missing: scene, hr, lr", _manifest("1,2", header="a,b"))
_run("manifest empty", 2, "columns missing", _bytes(b""))
_run("manifest of nothing", 2, "no captures found", _manifest())
_run("manifest with a short row", 2, "row 2: got 2 cells, expected 4", _manifest("a,hr/a.jpg"))
_run("manifest with a long row", 2, "row 2: got 5 cells, expected 4", _manifest("a,hr/a.jpg,lr/a.jpg,g,x"))
_run("manifest with columns twice", 2, "columns twice: hr", _manifest("a,b,c,d", header="scene,hr,hr,lr"))
_run("manifest in Latin-1", 2, "not a CSV file in UTF-8", _bytes("scene,hr,lr\né,a,b\n".encode("latin-1")))
_run("manifest that is an image", 2, "not a CSV file", lambda raw: shutil.copy(raw / "hr/a.jpg", raw / "manifest.csv"))
_run("manifest with an open quote", 2, "not a CSV file", _manifest('a,"hr/a.jpg,lr/a.jpg,g'))
_run("manifest with a huge cell", 2, "not a CSV file", _manifest("a," + "x" * 200_000 + ",lr/a.jpg,g"))
_run("manifest with zero bytes", 2, "not a CSV|control|expected a relative", _bytes(b"scene,hr,lr\na,h\0r,l\0r\n"))
_run(
    "path that leaves",
    2,
    r"row 2, column hr: got '\.\./x\.jpg', expected a relative",
    _manifest("a,../x.jpg,lr/a.jpg,g"),
)
_run("path that leaves in the middle", 2, "row 2, column lr", _manifest("a,hr/a.jpg,lr/../../x.jpg,g"))
_run("absolute path", 2, "row 2, column hr", _manifest("a,/etc/passwd,lr/a.jpg,g"))
_run("path with a line break", 2, "row 2, column hr", _manifest('a,"hr/a\nb.jpg",lr/a.jpg,g'))
_run("scene empty", 2, "scene '' is empty", _manifest(",hr/a.jpg,lr/a.jpg,g"))
_run("scene with a slash", 2, "contains '/'", _manifest("x/y,hr/a.jpg,lr/a.jpg,g"))
_run("scene with a dot", 2, "begins with a dot", _manifest("..,hr/a.jpg,lr/a.jpg,g"))
_run("scene with a line break", 2, "control characters", _manifest('"a\nb",hr/a.jpg,lr/a.jpg,g'))
_run("scene too long", 2, "201 bytes", _manifest("x" * 201 + ",hr/a.jpg,lr/a.jpg,g"))
_run("scene twice", 2, "rows 2 and 3", _manifest("a,hr/a.jpg,lr/a.jpg,g", "a,hr/a.jpg,lr/a.jpg,g"))
_run("scene in both cases", 2, "would share files", _manifest("a,hr/a.jpg,lr/a.jpg,g", "A,hr/a.jpg,lr/a.jpg,g"))
for _start in "=+-@":
    _run(f"formula {_start}", 2, "take for a formula", _manifest(f"{_start}cmd()|x!A1,hr/a.jpg,lr/a.jpg,g"))
_run("formula as group", 2, "column group.*take for a formula", _manifest('a,hr/a.jpg,lr/a.jpg,"=1+1"'))
_run("formula as file", 2, "take for a formula", _manifest("a,hr/=a.jpg,lr/a.jpg,g"))
_run("formula as file name", 2, "take for a formula", lambda raw: _copy(raw, "=1+1.jpg"))
_run("duplicate stems", 2, "are both scene 'a'", lambda raw: _copy(raw, "a.png"))
_run("stems in both cases", 2, "would share files", lambda raw: _copy(raw, "A.jpg"))
_run("accents in two ways", 2, "would share files", lambda raw: _copy(raw, "caf\u00e9.jpg", "cafe\u0301.jpg"))
_run("file name with a line break", 2, "control characters", lambda raw: _copy(raw, "a\nb.jpg"))
_run("file name with an escape", 2, "control characters", lambda raw: _copy(raw, "a\x1b[31m.jpg"))
_run("file name not UTF-8", 2, "not UTF-8", lambda raw: _copy(raw, os.fsdecode(b"a\xff.jpg")))
_run("file name too long", 2, "at most 200", lambda raw: _copy(raw, "x" * 220 + ".jpg"))
_run("no folder", 2, _GONE, shutil.rmtree)
_run("empty folder", 2, "no captures found; expected a manifest.csv", lambda raw: _only(raw))
_run("folder of other files", 2, "no captures found", lambda raw: _only(raw, "holiday.jpg", "notes.txt"))
_run("folders that are files", 2, "no captures found", lambda raw: _only(raw, "hr", "lr"))
_run("other scale only", 2, r"only _LR4; give --scale 4", lambda raw: _only(raw, "x_HR.png", "x_LR4.png"))
_run("folder that is a loop", 2, _GONE, _loop)
_run("folder hr that is a loop", 2, "no captures", _loop_inside)
_run("decisions of other columns", 2, "expected scene,decision,note", _decisions("a,b\n1,2\n"))
_run("decisions that are none", 2, "expected accept or reject", _decisions("scene,decision,note\na,maybe,\n"))
_run("decisions that are no table", 2, "not a CSV file", _decisions('scene,decision,note\na,"acc\n'))
_run("decisions that are a folder", 2, "give the CSV file", lambda raw: ["--accept", str(raw / "hr")])
_run(
    "threshold that is no number", 2, "expected a finite number; change --max-sigma", lambda raw: ["--max-sigma", "nan"]
)
_run("threshold without end", 2, "expected a finite number", lambda raw: ["--max-residual-p50", "inf"])
_run("scale out of range", 2, "scale: got 17", lambda raw: ["--scale", "17"])
_run("crop that is none", 2, "expected WxH", lambda raw: ["--crop", "big"])
_run("tone that is none", 2, "tone: got", lambda raw: ["--tone", "gamma=nan"])
_run("tone file that is not there", 2, "is not there; make it again", lambda raw: ["--tone", str(raw / "no.json")])
_run("tone file of something else", 2, "is not a file of d2crealsr tone", _tone_file('{"a": 1}'))
_run("tone file of another version", 2, "version 9", _tone_file('{"format": "d2crealsr tone curves", "version": 9}'))
_run("captures as out", 2, "holds the captures themselves", lambda raw: ["--out", str(raw)])
_run(
    "out that is a file", 2, "is no folder, so nothing can be written", lambda raw: ["--out", str(raw / "hr" / "a.jpg")]
)
_run("pairs folder of another format", 2, "expected a description", _pairs("dataset.json", "{}"))
_run(
    "pairs folder of another version",
    2,
    "version",
    _pairs("dataset.json", '{"format": "d2crealsr-pairs", "version": 9}'),
)
_run("pairs folder with no JSON", 2, "not JSON", _pairs("dataset.json", "{"))
_run("pairs folder with deep JSON", 2, "not JSON", _pairs("dataset.json", "[" * 100_000))
_run("pairs folder with a strange manifest", 2, "columns missing", _pairs("manifest.csv", "a,b\n1,2\n"))
