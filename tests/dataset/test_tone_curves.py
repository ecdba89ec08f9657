"""The curves of a file reach the captures of their cameras, stay in the folder, and change what must be made again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from d2crealsr.dataset.build import build
from d2crealsr.dataset.reruns import Rerun
from d2crealsr.errors import SettingsError, UsageError
from d2crealsr.settings import AlignSettings
from d2crealsr.store.tone_file import CameraCurve, ToneFile, write_tone_file
from d2crealsr.types import AlignmentFailure
from tests.dataset.conftest import capture
from tests.dataset.folders import manifest

HR_CURVE, LR_CURVE = "curve=0.5:0:-0.5", "curve=-0.5:0:0.5"


def tone_file(path: Path, **curves: str) -> Path:
    found = {
        name.replace("_", " "): CameraCurve(tone=tone, interval=(), improved=12, chance=0.001)
        for name, tone in curves.items()
    }
    write_tone_file(
        path,
        ToneFile(curves=found, scenes=("1",), scale=8, misfit_before=0.02, misfit_after=0.01, tool_version="1"),
    )
    return path


def shot(path: Path, model: str) -> None:
    exif = PIL.Image.Exif()
    if model:
        exif[0x010F], exif[0x0110] = "Acme", model
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(capture(1, path.parent.name)).save(path, quality=95, exif=exif)


@pytest.fixture
def shoot(tmp_path: Path) -> Path:
    for side, model in (("hr", "One"), ("lr", "Two")):
        shot(tmp_path / f"raw/{side}/a.jpg", model)
    return tmp_path / "raw"


def told_tone(hr: Any, lr: Any, *, settings: AlignSettings) -> AlignmentFailure:
    """An aligner that only says which curve it was given."""
    return AlignmentFailure(reason="too_few_matches", message=settings.tone)


def told(pairs: Path) -> list[str]:
    return list(manifest(pairs)["message"])


def test_each_capture_gets_the_curve_of_its_camera(shoot: Path, tmp_path: Path) -> None:
    file = tone_file(tmp_path / "tone.json", Acme_One=HR_CURVE, Acme_Two=LR_CURVE)
    build(shoot, tmp_path / "pairs", settings={"tone": str(file)}, align=told_tone)
    assert told(tmp_path / "pairs") == [f"{HR_CURVE}/{LR_CURVE}"]


def test_captures_that_name_no_camera_go_by_side(tmp_path: Path) -> None:
    for side in ("hr", "lr"):
        shot(tmp_path / f"raw/{side}/a.jpg", "")
    file = tone_file(tmp_path / "tone.json", hr=HR_CURVE, lr=HR_CURVE)
    build(tmp_path / "raw", tmp_path / "pairs", settings=AlignSettings(tone=str(file)), align=told_tone)
    assert told(tmp_path / "pairs") == [HR_CURVE]


def test_the_folder_keeps_the_curves_and_another_file_makes_it_again(shoot: Path, tmp_path: Path) -> None:
    file, pairs = tmp_path / "tone.json", tmp_path / "pairs"
    tone_file(file, Acme_One=HR_CURVE, Acme_Two=LR_CURVE)
    build(shoot, pairs, settings={"tone": str(file)}, align=told_tone)
    recipe = manifest(pairs)["recipe"].iloc[0]
    file.unlink()
    build(shoot, pairs, align=told_tone)
    assert (told(pairs), manifest(pairs)["recipe"].iloc[0]) == ([f"{HR_CURVE}/{LR_CURVE}"], recipe)
    tone_file(file, Acme_One=HR_CURVE, Acme_Two="srgb")
    build(shoot, pairs, settings={"tone": str(file)}, align=told_tone)
    assert told(pairs) == [f"{HR_CURVE}/srgb"]
    assert manifest(pairs)["recipe"].iloc[0] != recipe


@pytest.mark.parametrize(
    ("former", "says"),
    [
        (f'{{"One": "{HR_CURVE}", "Two": "srgb"}}', [f"tone of One: {HR_CURVE} → {LR_CURVE}"]),
        (f'{{"One": "{LR_CURVE}"}}', ["tone of Two: none → srgb"]),
        ("auto", [f"tone of One: auto → {LR_CURVE}", "tone of Two: auto → srgb"]),
    ],
)
def test_a_rerun_tells_the_curves_that_change_by_camera(former: str, says: list[str]) -> None:
    asked = AlignSettings(tone=f'{{"One": "{LR_CURVE}", "Two": "srgb"}}')
    described = {"settings": {"tone": former}}
    assert Rerun.of("raw", Path("pairs"), asked, described, "1").changed == says


def test_a_file_of_another_camera_is_refused_before_anything_is_done(shoot: Path, tmp_path: Path) -> None:
    file = tone_file(tmp_path / "tone.json", Acme_Three=HR_CURVE)
    with pytest.raises(UsageError, match=r"has curves for Acme Three, but a\.jpg is of Acme One; run d2crealsr tone"):
        build(shoot, tmp_path / "pairs", settings={"tone": str(file)}, align=told_tone)
    assert not (tmp_path / "pairs").exists()


def test_a_file_with_a_curve_that_is_none_is_refused(shoot: Path, tmp_path: Path) -> None:
    file = tone_file(tmp_path / "tone.json", Acme_One="curve=1:2")
    with pytest.raises(UsageError, match=r"tone\.json: key curves\.Acme One\.tone: got 'curve=1:2', expected srgb"):
        build(shoot, tmp_path / "pairs", settings={"tone": str(file)}, align=told_tone)


def test_a_scene_by_a_camera_without_a_curve_fails_alone(shoot: Path, tmp_path: Path) -> None:
    file = tone_file(tmp_path / "tone.json", Acme_One=HR_CURVE)
    build(shoot, tmp_path / "pairs", settings={"tone": str(file)}, align=told_tone)
    row = manifest(tmp_path / "pairs").iloc[0]
    assert row["reasons"] == "tone_unknown"
    assert "none for the camera of the LR capture (Acme Two), only for Acme One" in row["message"]


@pytest.mark.parametrize("tone", ['{"Acme": "gamma=9"}', "{}", "{", "srgb/srgb/srgb", "curve=1:2", '["srgb"]', "srgb/"])
def test_what_is_no_tone_is_refused(tone: str) -> None:
    with pytest.raises(SettingsError, match="tone: got"):
        AlignSettings(tone=tone)
