"""Which scenes of a folder the tone curves are found from, what the file says, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from d2crealsr.command.cli import main
from d2crealsr.dataset import find_tone as finding
from d2crealsr.dataset.find_tone import find_tone
from d2crealsr.errors import UsageError
from d2crealsr.registration.pooled_tone import FittedCurve, PooledTone
from d2crealsr.registration.tone_evidence import ToneScene
from d2crealsr.store.tone_file import read_tone_file
from d2crealsr.types import AlignmentFailure
from tests.dataset.conftest import write_captures

NUMBERS = np.array([0.5, -0.1, -0.3, -0.2, 0.1])
PICTURE = PIL.Image.new("RGB", (64, 48))
SCENES = 4
"""Instead of a dozen, which would take three times as long."""


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[ToneScene]:
    """The scenes that are fitted, without registering and fitting them. A scene with an x in its name is not found."""
    seen: list[ToneScene] = []

    def located(hr: Any, lr: Any, settings: Any) -> Any:
        if (hr.pixels == 7).all():
            return AlignmentFailure(reason="too_few_matches", message="nothing agrees")
        refinement = SimpleNamespace(mapping=None, sigma_blur_hr_px=4.0, phase=None)
        return SimpleNamespace(located=SimpleNamespace(refinement=refinement))

    def fitted(scenes: Sequence[ToneScene], **_: Any) -> PooledTone:
        seen.extend(scenes)
        cameras = sorted({camera for scene in scenes for camera in scene.cameras})
        curves = {
            camera: FittedCurve(NUMBERS, (NUMBERS - 0.1, NUMBERS + 0.1), 11, 0.001 if camera != "lr" else 0.4)
            for camera in cameras
        }
        return PooledTone(curves, tuple(scene.name for scene in scenes), 0.02, 0.01)

    monkeypatch.setattr(finding, "SCENES", SCENES)
    monkeypatch.setattr(finding, "FEWEST_SCENES", SCENES - 1)
    monkeypatch.setattr(finding, "locate_pair", located)
    monkeypatch.setattr(finding, "fit_tone", fitted)
    return seen


def shoot(raw: Path, names: Sequence[str], hr_model: str) -> None:
    for name in names:
        for side, model in (("hr", hr_model), ("lr", "Two")):
            exif = PIL.Image.Exif()
            exif[0x010F], exif[0x0110] = "Acme", model
            (raw / side).mkdir(parents=True, exist_ok=True)
            PICTURE.save(raw / side / f"{name}.jpg", exif=exif)


def test_scenes_over_the_whole_folder_are_used(given: list[ToneScene], tmp_path: Path) -> None:
    raw = write_captures(tmp_path / "raw", [f"{number:02}" for number in range(7)])
    find_tone(raw, tmp_path / "tone.json")
    assert [int(scene.name) for scene in given] == [0, 2, 4, 6]
    assert {scene.cameras for scene in given} == {("hr", "lr")}


def test_scenes_that_are_not_found_are_replaced(given: list[ToneScene], tmp_path: Path) -> None:
    raw = write_captures(tmp_path / "raw", [f"{number:02}" for number in range(SCENES + 1)])
    PIL.Image.new("RGB", (64, 48), (7, 7, 7)).save(raw / "hr" / "00.png")
    told: list[str] = []
    find_tone(raw, tmp_path / "tone.json", on_scene=told.append)
    assert "00 left out" in told
    assert sorted(int(scene.name) for scene in given) == list(range(1, SCENES + 1))


def test_each_pair_of_cameras_has_its_own_scenes(given: list[ToneScene], tmp_path: Path) -> None:
    shoot(tmp_path / "raw", [f"a{number}" for number in range(5)], "One")
    shoot(tmp_path / "raw", [f"b{number}" for number in range(4)], "Three")
    found = find_tone(tmp_path / "raw", tmp_path / "tone.json")
    assert [scene.cameras[0] for scene in given] == ["Acme One"] * SCENES + ["Acme Three"] * SCENES
    assert sorted(found.curves) == ["Acme One", "Acme Three", "Acme Two"]


def test_the_command_says_what_it_found_and_what_comes_next(given: list[ToneScene], tmp_path: Path) -> None:
    raw = write_captures(tmp_path / "raw", ["1", "2", "3", "4"])
    out = tmp_path / "tone.json"
    result = CliRunner().invoke(main, ["tone", str(raw), "--out", str(out), "--scale", "4"])
    assert result.exit_code == 0, result.output
    assert "hr: curve=0.5:-0.1:-0.3:-0.2:0.1 (better than srgb in 11 of " in result.stdout
    assert "lr: srgb: the scenes do not show a departure from it" in result.stdout
    assert f"align {raw} --out pairs/ --scale 4 --tone {out}" in result.stdout
    file = read_tone_file(out)
    assert [file.curves[side].scenes for side in ("hr", "lr")] == [4, 4]
    assert (file.curves["lr"].tone, file.curves["hr"].interval[0], file.scale) == ("srgb", (0.4, 0.6), 4)


@pytest.mark.usefixtures("given")
def test_a_camera_with_too_few_scenes_is_not_called_srgb_by_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, fitted = tmp_path / "raw", finding.fit_tone
    shoot(raw, ["a0", "a1", "a2"], "One")
    shoot(raw, ["b0"], "Three")

    def uncertain(*scenes: Any, **more: Any) -> PooledTone | None:
        found = fitted(*scenes, **more)
        return found and found._replace(
            curves={camera: curve._replace(chance=0.5) for camera, curve in found.curves.items()}
        )

    monkeypatch.setattr(finding, "fit_tone", uncertain)
    result = CliRunner().invoke(main, ["tone", str(raw), "--out", str(tmp_path / "tone.json")])
    assert "Acme One: srgb: the scenes do not show a departure from it" in result.stdout
    assert "Acme Three: srgb: 1 scene by this camera cannot show another, 3 needed" in result.stdout


@pytest.mark.usefixtures("given")
def test_too_few_scenes_are_refused(tmp_path: Path) -> None:
    raw = write_captures(tmp_path / "raw", ["1", "2"])
    with pytest.raises(UsageError, match=r"raw: 2 scenes with HR and LR can be registered, .* 3 needed.*; add scenes"):
        find_tone(raw, tmp_path / "tone.json")


@pytest.mark.usefixtures("given")
def test_captures_that_do_not_match_are_given_up_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "SCENES", 2)
    raw = write_captures(tmp_path / "raw", [f"{number:02}" for number in range(8)])
    for capture in (raw / "hr").iterdir():
        PIL.Image.new("RGB", (64, 48), (7, 7, 7)).save(capture)
    told: list[str] = []
    says = r"0 scenes .* \(6 cannot, the first is 00: nothing agrees\); correct these captures, or add scenes"
    with pytest.raises(UsageError, match=says):
        find_tone(raw, tmp_path / "tone.json", on_scene=told.append)
    assert len(told) == 6


def test_a_scale_of_1_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="scale: got 1, expected at least 2"):
        find_tone(tmp_path, tmp_path / "tone.json", scale=1)
