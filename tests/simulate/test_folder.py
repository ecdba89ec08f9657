"""A folder of captures: the same bytes however it is made, and only what is missing is made."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from d2crealsr.errors import LayoutError, MachineError
from d2crealsr.simulate import Recipe, SimulateSettings, shoot, simulate
from d2crealsr.store import lock_folder, read_image
from d2crealsr.store.truth import TRUTH, read_truth


def settings(**changes):
    return SimulateSettings(**({"size": "mini", "scenes": 2} | changes))


def bytes_of(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".lock"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    told = []
    truth = simulate(folder, settings=settings(), on_scene=told.append)
    return folder, truth, told


def test_files_and_tables(made):
    folder, truth, told = made
    assert told == ["001", "002"]
    names = set(bytes_of(folder))
    assert {"hr/001.jpg", "lr/001.jpg", "reference/001.png", "hr/002.jpg", "manifest.csv", "truth.csv"} <= names
    manifest = pd.read_csv(folder / "manifest.csv", dtype={"scene": str})
    assert list(manifest.columns[:4]) == ["scene", "hr", "lr", "group"]
    assert all((folder / path).is_file() for path in [*manifest["hr"], *manifest["lr"]])
    read = read_truth(folder / "truth.csv")
    assert list(read.index) == list(truth["scene"])
    assert list(truth.columns[: len(TRUTH)]) == [column.name for column in TRUTH]
    columns = [f"h{i}{j}" for i in range(3) for j in range(3)]
    np.testing.assert_array_equal(read[columns].to_numpy(float), truth[columns].to_numpy(float))  # every digit
    assert read_image(folder / "reference" / "001.png").shape == ((56 + 16) * 8, (86 + 16) * 8, 3)


def test_same_bytes_for_any_number_of_jobs_and_any_company(made, tmp_path):
    """Two processes, and a third scene in the table: the first two come out the same."""
    folder, _, _ = made
    simulate(tmp_path / "b", settings=settings(scenes=3), jobs=2)
    ours, theirs = bytes_of(folder), bytes_of(tmp_path / "b")
    assert {name for name in ours if ours[name] != theirs[name]} == {"manifest.csv", "truth.csv"}


def test_a_recipe_file_gives_the_scenes_it_was_written_from(made, tmp_path):
    folder, _, _ = made
    lines = (folder / "manifest.csv").read_text().splitlines()
    recipe = tmp_path / "recipe.csv"
    recipe.write_text("\n".join([lines[0], lines[2]]) + "\n")
    simulate(tmp_path / "c", settings=settings(), manifest=recipe)
    assert (tmp_path / "c/hr/002.jpg").read_bytes() == (folder / "hr/002.jpg").read_bytes()
    assert not (tmp_path / "c/hr/001.jpg").exists()


def test_only_what_is_missing_is_made(made, tmp_path, monkeypatch):
    from d2crealsr.simulate import folder as module

    raw = tmp_path / "raw"
    shutil.copytree(made[0], raw)
    before = bytes_of(raw)
    calls = []
    monkeypatch.setattr(module, "shoot", lambda recipe, *a, **kw: calls.append(recipe.scene) or shoot(recipe, *a, **kw))
    simulate(raw, settings=settings())
    assert calls == []
    (raw / "lr/002.jpg").unlink()
    (raw / ".scenes/001.json").write_text("{")
    (raw / "hr/.tmp-killed.jpg").write_bytes(b"half")
    simulate(raw, settings=settings())
    assert calls == ["001", "002"]
    assert bytes_of(raw) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "was simulated with seed 0, now it is 1; ask for the same, or give another folder"),
        ({"image_format": "png"}, "was simulated with image_format jpg, now it is png"),
        ({"nuisances": ("glare",)}, "was simulated with nuisances none, now it is glare"),
    ],
)
def test_a_folder_of_other_settings_is_left_alone(made, tmp_path, changes, message):
    raw = shutil.copytree(made[0], tmp_path / "raw")
    before = bytes_of(raw)
    with pytest.raises(LayoutError, match=message):
        simulate(raw, settings=settings(**changes))
    assert bytes_of(raw) == before


def test_a_folder_of_another_recipe_is_left_alone(made, tmp_path):
    raw = shutil.copytree(made[0], tmp_path / "raw")
    recipe, before = tmp_path / "recipe.csv", bytes_of(raw)
    table = pd.read_csv(raw / "manifest.csv", dtype=str, keep_default_na=False)
    table.loc[1, "texture_seed"] = "7"
    table.to_csv(recipe, index=False)
    with pytest.raises(LayoutError, match=r"was simulated with scene 002 of texture_seed \d+, now it is 7"):
        simulate(raw, settings=settings(), manifest=recipe)
    assert bytes_of(raw) == before


def test_fewer_scenes_leave_the_rest_and_more_are_added(made, tmp_path):
    raw = shutil.copytree(made[0], tmp_path / "raw")
    before = bytes_of(raw)
    simulate(raw, settings=settings(scenes=1))
    assert bytes_of(raw) == before
    simulate(raw, settings=settings(scenes=3))
    after = bytes_of(raw)
    assert {name for name in before if before[name] != after[name]} == {"manifest.csv", "truth.csv"}
    assert pd.read_csv(raw / "truth.csv", dtype={"scene": str})["scene"].tolist() == ["001", "002", "003"]


@pytest.mark.parametrize("name", ["hr/mine.png", "mine_HR.jpg", "manifest.csv", "dataset.json", "a.pt", "index.html"])
def test_what_somebody_else_made_is_left_alone(tmp_path, name):
    file = tmp_path / "raw" / name
    file.parent.mkdir(parents=True)
    content = '{"format": "d2crealsr-pairs"}' if name == "dataset.json" else "mine"
    file.write_text(content)
    with pytest.raises(LayoutError, match=f"holds .*{file.name}.* that no simulation made"):
        simulate(tmp_path / "raw", settings=settings(scenes=1))
    assert file.read_text() == content
    assert sorted(path.name for path in (tmp_path / "raw").iterdir() if path.name[0] != ".") == [name.split("/")[0]]


def test_captures_put_among_the_simulated_ones_are_left_alone(made, tmp_path):
    raw = shutil.copytree(made[0], tmp_path / "raw")
    (raw / "hr" / "003.jpg").write_text("mine")
    with pytest.raises(LayoutError, match=r"holds hr/003\.jpg, which no simulation made"):
        simulate(raw, settings=settings(scenes=3))
    assert (raw / "hr" / "003.jpg").read_text() == "mine"


def test_links_are_not_written_through(made, tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "raw" / "hr").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LayoutError, match="hr: is a link"):
        simulate(tmp_path / "raw", settings=settings(scenes=1))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_other_files_are_no_obstacle(tmp_path):
    for name in ("notes.txt", ".DS_Store", "run.log"):
        (tmp_path / name).write_text("mine")
    simulate(tmp_path, settings=settings(scenes=1))
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_png_holds_the_pixels_that_shoot_returns(tmp_path, any_recipe):
    recipe = tmp_path / "r.csv"
    recipe.write_text(
        "scene,group,source,generator,texture_seed,capture_seed\n"
        f"any,any,,{any_recipe.generator},{any_recipe.texture_seed},{any_recipe.capture_seed}\n"
    )
    chosen = settings(image_format="png", nuisances=("orientation-flags",))
    simulate(tmp_path / "raw", settings=chosen, manifest=recipe)
    scene = shoot(any_recipe, chosen)
    np.testing.assert_array_equal(read_image(tmp_path / "raw/hr/any.png"), scene.hr)
    np.testing.assert_array_equal(read_image(tmp_path / "raw/lr/any.png"), scene.lr)


def test_seeds_and_scale_change_the_captures(any_recipe):
    plain = shoot(any_recipe, settings())
    other_seed = shoot(any_recipe, settings(seed=1))
    assert (plain.truth.H_hr_to_lr != other_seed.truth.H_hr_to_lr).any()
    fourfold = shoot(any_recipe, settings(scale=4))
    assert fourfold.truth.H_hr_to_lr[0, 0] == pytest.approx(2 * plain.truth.H_hr_to_lr[0, 0], rel=0.01)
    assert fourfold.reference.shape == ((114 + 16) * 4, (172 + 16) * 4, 3)


def test_same_size_pairs_and_small_photographs(tmp_path, any_recipe):
    """Scale 1, and an own photograph smaller than a print."""
    from d2crealsr.simulate import folder_library
    from d2crealsr.store import write_image

    write_image(tmp_path / "dot.png", np.full((7, 9, 3), 90, np.uint8))
    recipe = Recipe(scene="a", group="dot", generator="photos", source=("dot",))
    scene = shoot(recipe, settings(scale=1), library=folder_library(tmp_path))
    assert scene.truth.H_hr_to_lr[0, 0] == pytest.approx(1, abs=0.06)


def test_one_run_at_a_time_and_disks_that_refuse(tmp_path):
    with lock_folder(tmp_path), pytest.raises(MachineError, match="in use"):
        simulate(tmp_path, settings=settings(scenes=1))
    (tmp_path / "hr").write_text("a file where the folder should be")
    with pytest.raises(MachineError, match="cannot be written"):
        simulate(tmp_path, settings=settings(scenes=1))
