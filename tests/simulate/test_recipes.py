"""Recipes: drawn, read from a table, refused with a reason."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from d2crealsr.errors import LayoutError, MachineError, SettingsError, TableError
from d2crealsr.simulate import SIZES, SimulateSettings, default_recipes, folder_library, wheel_library
from d2crealsr.simulate.recipe import KINDS
from d2crealsr.simulate.recipe_table import RECIPE_COLUMNS, read_recipes, recipe_row
from d2crealsr.store import write_image

DATA_MANIFEST = Path(__file__).parents[2] / "data_manifest.csv"


def table(tmp_path, **changes):
    row = {
        **{"scene": "001", "hr": "hr/001.jpg", "lr": "lr/001.jpg", "group": "g", "source": "coffee"},
        **{"source_licence": "", "generator": "smooth", "texture_seed": "1", "capture_seed": "2"},
    } | changes
    path = tmp_path / "recipe.csv"
    path.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n")
    return path


def test_data_manifest_is_the_recipe_of_seed_0():
    library = wheel_library()
    recipes = read_recipes(DATA_MANIFEST, library)
    assert len(recipes) == 115
    assert recipes == default_recipes(115, 0, library)
    assert tuple(pd.read_csv(DATA_MANIFEST, dtype={"scene": str}).columns) == RECIPE_COLUMNS


def test_five_kinds_in_equal_shares_and_no_seed_twice():
    recipes = default_recipes(115, 0, wheel_library())
    assert Counter(recipe.generator for recipe in recipes) == dict.fromkeys(KINDS, 23)
    assert len({recipe.texture_seed for recipe in recipes}) == 115
    assert len({recipe.capture_seed for recipe in recipes}) == 115


def test_a_card_shows_photographs_of_its_group_only():
    library = wheel_library()
    for recipe in default_recipes(115, 3, library):
        groups = {library.groups_of[name] for name in recipe.source}
        assert groups == ({recipe.group} if recipe.source else set())
    drawn = [recipe for recipe in default_recipes(115, 3, library) if not recipe.source]
    assert len({recipe.group for recipe in drawn}) == len(drawn)  # each a picture of its own
    assert not {recipe.group for recipe in drawn} & set(library.groups_of.values())


def test_first_scenes_do_not_depend_on_how_many_follow():
    library = wheel_library()
    assert default_recipes(3, 8, library) == default_recipes(30, 8, library)[:3]


def test_rows_round_trip(tmp_path):
    library = wheel_library()
    recipes = default_recipes(10, 5, library)
    path = tmp_path / "r.csv"
    pd.DataFrame([recipe_row(recipe, "png") for recipe in recipes]).to_csv(path, index=False)
    assert read_recipes(path, library) == recipes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator": "marble"}, "row 2: generator 'marble', expected one of leaves"),
        ({"source": "mona-lisa"}, "row 2: no photograph 'mona-lisa'"),
        ({"source": ""}, "row 2: generator 'smooth' without a photograph"),
        ({"texture_seed": "-1"}, "row 2: texture_seed '-1', expected a whole number"),
        ({"capture_seed": "1.5"}, "row 2: capture_seed '1.5'"),
        ({"texture_seed": "9" * 23}, f"texture_seed '{'9' * 23}', expected a whole number from 0 to {2**63 - 1};"),
        ({"capture_seed": "9" * 5000}, f"row 2: capture_seed '9+, expected a whole number from 0 to {2**63 - 1};"),
        ({"scene": "a/b"}, "row 2: scene 'a/b' contains '/'"),
        ({"scene": ".a"}, "row 2: scene '.a' begins with a dot"),
    ],
)
def test_bad_cells_are_refused_by_row(tmp_path, changes, message):
    with pytest.raises(TableError, match=message):
        read_recipes(table(tmp_path, **changes), wheel_library())


def test_the_largest_seed_is_taken(tmp_path):
    (recipe,) = read_recipes(table(tmp_path, texture_seed=str(2**63 - 1)), wheel_library())
    assert recipe.texture_seed == 2**63 - 1


def test_bad_tables_are_refused(tmp_path):
    library = wheel_library()
    with pytest.raises(LayoutError, match="is not there"):
        read_recipes(tmp_path / "none.csv", library)
    path = table(tmp_path)
    header, row = path.read_text().splitlines()
    path.write_text(f"{header}\n{row}\n{row.replace('001', '002', 1)}\n{row}\n")
    with pytest.raises(TableError, match="row 4: scene '001' occurs twice"):
        read_recipes(path, library)
    path.write_text(header + "\n")
    with pytest.raises(TableError, match="holds no scene"):
        read_recipes(path, library)
    path.write_text("scene,hr,lr\n001,a,b\n")
    with pytest.raises(TableError, match="columns missing: group, source, generator"):
        read_recipes(path, library)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "huge"}, "size: got 'huge', expected one of mini, half, full"),
        ({"scenes": 0}, "scenes: got 0"),
        ({"scale": 17}, "scale: got 17"),
        ({"seed": -1}, "seed: got -1"),
        ({"nuisances": ("fog",)}, "nuisances: got 'fog', expected among lr-exposure-x4"),
        ({"image_format": "bmp"}, "image_format: got 'bmp'"),
    ],
)
def test_settings_out_of_range(changes, message):
    with pytest.raises(SettingsError, match=message):
        SimulateSettings(**changes)


def test_sizes_are_the_design_s():
    assert {name: tuple(size) for name, size in SIZES.items()} == {
        "mini": (1200, 800),
        "half": (3000, 2000),
        "full": (6000, 4000),
    }


def test_wheel_photographs_are_read_from_disk_never_fetched(monkeypatch):
    import skimage.data._fetchers as fetchers

    monkeypatch.setattr(fetchers, "_fetch", lambda *args, **kw: pytest.fail("asked skimage.data for a picture"))
    library = wheel_library()
    for name in library.paths:
        photograph = library.read(name)
        assert photograph.dtype == np.uint8
        assert photograph.ndim == 3
        assert library.licences[name]


def test_missing_wheel_photographs_say_what_to_do(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match="pip install scikit-image"):
        wheel_library()


def test_own_photographs(tmp_path):
    with pytest.raises(LayoutError, match="no such folder"):
        folder_library(tmp_path / "none")
    with pytest.raises(LayoutError, match="holds no image"):
        folder_library(tmp_path)
    deep = np.full((40, 60, 3), 25700, np.uint16)
    write_image(tmp_path / "sea.png", deep)
    write_image(tmp_path / "hill.png", np.zeros((40, 60, 3), np.uint8))
    (tmp_path / "._sea.png").write_bytes(b"what macOS keeps beside a file")
    (tmp_path / "more.jpg").mkdir()
    library = folder_library(tmp_path)
    assert set(library.paths) == {"sea", "hill"}
    assert (library.read("sea") == 100).all()
    recipes = default_recipes(10, 0, library)
    assert {recipe.group for recipe in recipes if recipe.source} == {"sea", "hill"}
    assert library.others("sea") == ("hill",)
    write_image(tmp_path / "sea.jpg", np.zeros((40, 60, 3), np.uint8))
    with pytest.raises(LayoutError, match="share a name"):
        folder_library(tmp_path)
