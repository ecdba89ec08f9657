"""A simulated shoot, shuffled into a folder with what goes wrong in one: every scene is right, and none is wrong."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import PIL.Image
import pytest

from d2crealsr.ingest.run import ingest
from d2crealsr.simulate import SimulateSettings, default_recipes, shoot, wheel_library
from tests.ingest.conftest import MemoryCard, blurred, texture

if TYPE_CHECKING:
    from pathlib import Path

SEED = 1


def shots_of(number: int) -> dict[str, PIL.Image.Image]:
    """The frames of one simulated card by what they are; a few have a blurred second shot of one side."""
    library = wheel_library()
    recipe = default_recipes(12, SEED, library)[number]
    scene = shoot(recipe, SimulateSettings(size="mini", seed=SEED), library=library)
    shots = {f"{number} hr": PIL.Image.fromarray(scene.hr), f"{number} lr": PIL.Image.fromarray(scene.lr)}
    if number % 6 == 0:
        shots[f"{number} blurred"] = blurred(shots[f"{number} hr"], 4)
    if number % 6 == 3:
        shots[f"{number} blurred"] = blurred(shots[f"{number} lr"], 1.2)
    return shots


@pytest.mark.slow
def test_every_scene_of_a_shuffled_shoot_is_right(memory_card: MemoryCard, tmp_path: Path) -> None:
    frames = [(what, shot) for number in range(12) for what, shot in shots_of(number).items()]
    frames = [(what, shot) for what, shot in frames if what != "7 hr"]  # this shot was forgotten
    frames += [("stranger", texture(1, 1200, 800)), ("flat", PIL.Image.new("RGB", (1200, 800), (90, 90, 90)))]
    names = [f"{folder}/DSC{number:05d}.JPG" for folder in ("100", "101") for number in range(len(frames))]
    random.Random(SEED).shuffle(names)
    for name, (what, shot) in zip(names, frames, strict=False):
        memory_card.add(name, what, shot, camera="ILCE-7" if what[0] in "13579" else "EOS R6")
    result = ingest(memory_card.path, tmp_path / "raw", dry_run=True)
    shown = [memory_card.truth[frame.path.relative_to(memory_card.path).as_posix()] for frame in result.frames]
    found = sorted((shown[scene.hr], shown[scene.lr], scene.scale) for scene in result.plan.scenes)
    assert found == sorted((f"{number} hr", f"{number} lr", 8) for number in range(12) if number != 7)
    roles = {shown[entry.frame]: entry.role for entry in result.plan.entries}
    assert {roles[name] for name in ("7 lr", "stranger", "flat")} == {"nothing"}
    spare = {roles[name] for name in shown if name.endswith("blurred")}
    assert {"spare_hr", "spare_lr"} <= spare <= {"spare_hr", "spare_lr", "nothing"}  # some are beyond recognition
