"""The file of tone curves is read back exactly, and what is no such file is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from d2crealsr.errors import UsageError
from d2crealsr.store.tone_file import CameraCurve, ToneFile, check_tone_output, read_tone_file, write_tone_file

CURVE = CameraCurve(
    tone="curve=0.1:-0.25:0.2", interval=((0.05, 0.15), (-0.3, -0.2), (0.1, 0.3)), improved=11, chance=0.0005, scenes=12
)
FOUND = ToneFile(
    curves={"Canon EOS R6": CURVE, "lr": CameraCurve(tone="srgb", interval=((-0.1, 0.2),), improved=6, chance=0.4)},
    scenes=("001", "002"),
    scale=8,
    misfit_before=0.0123,
    misfit_after=1 / 3,
    tool_version="1.2",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_tone_file(tmp_path / "tone.json", FOUND)
    return tmp_path / "tone.json"


def test_it_is_read_back_exactly(file: Path) -> None:
    assert read_tone_file(file) == FOUND


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": "other"}, "is not a file of d2crealsr tone"),
        ({"version": 2}, "has version 2 of the format, expected 1"),
        ({"curves": {}}, "is damaged, key curves: got {}, expected a curve for each camera"),
        ({"curves": [1]}, r"is damaged, key curves: got \[1\], expected a curve for each camera"),
        ({"curves": {"x": 1}}, "is damaged, key curves.x: got 1, expected tone, interval, improved and chance"),
        ({"curves": {"x\n": {}}}, r"is damaged, key curves: got the camera 'x\\n', expected make and model"),
        ({"scenes": 3}, "is damaged, key scenes: got 3, expected a list of names"),
        ({"scale": 8.5}, "is damaged, key scale: got 8.5, expected a whole number"),
        ({"misfit_after": "small"}, "is damaged, key misfit_after: got 'small', expected a number"),
        ({"misfit_before": 10**400}, "is damaged, key misfit_before: got 1000.*, expected a number"),
        ({"tool_version": None}, "is damaged, key tool_version: got None, expected a text"),
    ],
)
def test_another_file_is_refused_in_one_line(file: Path, changes: dict[str, Any], says: str) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(UsageError, match=rf"tone\.json: {says}.*d2crealsr tone CAPTURES") as raised:
        read_tone_file(file)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"tone": 1}, "tone: got 1, expected the name of a tone curve"),
        ({"interval": [[0, 1], [2]]}, r"interval: got \[\[0, 1\], \[2\]\], expected pairs of numbers"),
        ({"interval": [[0, float("nan")]]}, r"interval: got \[\[0, nan\]\], expected pairs of numbers"),
        ({"improved": 0.5}, "improved: got 0.5, expected a whole number"),
        ({"scenes": "12"}, "scenes: got '12', expected a whole number"),
        ({"chance": True}, "chance: got True, expected a number"),
    ],
)
def test_a_damaged_curve_is_told_by_its_camera_and_key(file: Path, entry: dict[str, Any], says: str) -> None:
    content = json.loads(file.read_text())
    content["curves"]["Canon EOS R6"] |= entry
    file.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=rf"is damaged, key curves\.Canon EOS R6\.{says}; make it again"):
        read_tone_file(file)


def test_a_missing_entry_is_told_by_its_key(file: Path) -> None:
    content = json.loads(file.read_text())
    del content["curves"]["lr"]["tone"]
    file.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=r"key curves\.lr\.tone: got nothing, expected the name of a tone curve"):
        read_tone_file(file)


def test_a_file_that_is_no_json_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UsageError, match=r"is not a file of d2crealsr tone \(line 1, column 2: Expecting"):
        read_tone_file(tmp_path / "a.json")
    with pytest.raises(UsageError, match="is not there"):
        read_tone_file(tmp_path / "b.json")


def test_only_such_a_file_is_replaced(file: Path) -> None:
    check_tone_output(file)
    file.write_text('{"mine": 1}')
    with pytest.raises(UsageError, match="holds something else than tone curves"):
        check_tone_output(file)
    with pytest.raises(UsageError, match=r"ends in \.json"):
        check_tone_output(file.with_suffix(".txt"))
