"""The file of tone curves is read back exactly, and what is no such file is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from d2crealsr.errors import UsageError
from d2crealsr.store.tone_file import CameraCurve, ToneFile, check_tone_output, read_tone_file, write_tone_file

CURVE = CameraCurve(
    tone="curve=0.1:-0.25:0.2", interval=((0.05, 0.15), (-0.3, -0.2), (0.1, 0.3)), improved=11, chance=0.0005
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
        ({"curves": {}}, "is damaged"),
        ({"curves": {"x": {"tone": 1, "interval": [], "improved": 0, "chance": 1}}}, "is damaged"),
        ({"curves": {"x": {"tone": "srgb", "interval": [], "improved": 0.5, "chance": 1}}}, "is damaged"),
        ({"curves": {"x\n": {"tone": "srgb", "interval": [], "improved": 0, "chance": 1}}}, "is damaged"),
        ({"curves": [1]}, "is damaged"),
        ({"scenes": 3}, "is damaged"),
        ({"misfit_after": "small"}, "is damaged"),
    ],
)
def test_another_file_is_refused_in_one_line(file: Path, changes: dict[str, Any], says: str) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    with pytest.raises(UsageError, match=rf"tone\.json: {says}.*d2crealsr tone CAPTURES") as raised:
        read_tone_file(file)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_json_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UsageError, match="is not a file of d2crealsr tone"):
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
