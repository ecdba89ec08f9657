"""The pairs format: what is written comes back, and what breaks the format is told with its place."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2crealsr.errors import LayoutError, MachineError, TableError
from d2crealsr.store import pairs
from d2crealsr.store.captures import find_captures
from d2crealsr.store.columns import ALIGNMENT, MANIFEST, RESIDUALS, TABLES
from d2crealsr.store.decisions import read_decisions
from d2crealsr.store.tables import frame_of

AWKWARD = ["001", "1", "1e5", "NA", "NaN", "None", "TRUE", "a,b", 'say "x"', "null", "ünï", "00"]


MANIFEST_1 = re.findall(
    r"\w+",
    """scene, status, reasons, split, group, scale, hr_path, lr_path, hr_source, lr_source, lr_x, lr_y, lr_width,
    lr_height,
    h00, h01, h02, h10, h11, h12, h20, h21, h22, k1_hr, k1_lr, scale_effective, rotation_deg, card_offset,
    n_keypoints_hr, n_keypoints_lr, n_matches, n_inliers, reprojection_rmse_lr_px, residual_p50_hr_px,
    residual_p95_hr_px, sigma_hr_px, zncc, tone, gain_r, gain_g, gain_b, offset_r, offset_g, offset_b,
    field_x, field_y, field_r2, ca_k_r, ca_k_b, lens_model, accepted_by,
    brightness_error_before, brightness_error_after, sharpness_ratio, clipped_fraction, hr_sha256, lr_sha256,
    hr_source_sha256, lr_source_sha256""",
)
ALIGNMENT_1 = re.findall(
    r"\w+",
    """scene, iteration, stage, scale_effective, sigma_blur_hr_px, n_keypoints_hr, n_keypoints_lr, n_matches, n_inliers,
    reprojection_rmse_lr_px, update_mean_hr_px, update_max_hr_px, residual_p50_hr_px, zncc, gain_g,
    h00, h01, h02, h10, h11, h12, h20, h21, h22, k1_hr, stopped""",
)


def row(scene: str, **cells: Any) -> dict[str, Any]:
    hr_path, lr_path = pairs.published_paths(scene)
    accepted = {"status": "accepted", "group": scene, "scale": 8, "hr_path": hr_path, "lr_path": lr_path}
    return {"scene": scene, **accepted, **cells}


def write(folder: Path, *rows: dict[str, Any]) -> None:
    pairs.write_pairs_table(folder, "manifest.csv", frame_of(rows, MANIFEST))


def test_fixed_columns_stand_first_and_in_the_documented_order(tmp_path: Path) -> None:
    write(tmp_path, row("001"))
    header = (tmp_path / "manifest.csv").read_text().splitlines()[0].split(",")
    assert header[: len(MANIFEST_1)] == MANIFEST_1
    assert [column.name for column in ALIGNMENT if column.fixed] == ALIGNMENT_1
    assert [column.name for column in RESIDUALS] == ["scene", "lr_x", "lr_y", "dx_hr_px", "dy_hr_px", "weight"]


def test_awkward_scenes_survive_and_are_sorted(tmp_path: Path) -> None:
    write(tmp_path, *(row(scene) for scene in AWKWARD))
    frame = pairs.read_manifest(tmp_path)
    assert frame["scene"].tolist() == sorted(AWKWARD)
    assert all(isinstance(scene, str) for scene in frame["scene"])
    assert frame["hr_path"].tolist() == [f"hr/{scene}.png" for scene in sorted(AWKWARD)]


def test_dtypes_and_empty_cells(tmp_path: Path) -> None:
    write(tmp_path, row("a", n_matches=None, zncc=math.nan, sigma_hr_px=math.inf, n_inliers=17, tone=None))
    frame = pairs.read_manifest(tmp_path)
    assert str(frame["n_inliers"].dtype) == "Int64"
    assert frame["n_inliers"].tolist() == [17]
    assert frame["n_matches"].isna().all()
    assert frame["zncc"].dtype == np.float64
    assert frame["sigma_hr_px"].isna().all()
    assert frame["tone"].tolist() == [""]
    assert not frame.select_dtypes(include="str").isna().any().any()
    assert ",nan" not in (tmp_path / "manifest.csv").read_text().lower()


def test_pandas_alone_reads_it_as_the_readme_says(tmp_path: Path) -> None:
    write(tmp_path, row("0042", n_inliers=3))
    frame = pd.read_csv(tmp_path / "manifest.csv", dtype={"scene": str})
    assert frame.loc[0, "scene"] == "0042"
    assert frame.loc[0, "n_inliers"] == 3


@settings(max_examples=10, deadline=None)
@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=9, max_size=9))
def test_homographies_come_back_bit_by_bit(tmp_path_factory: pytest.TempPathFactory, numbers: list[float]) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    names = [f"h{r}{c}" for r in range(3) for c in range(3)]
    write(folder, row("a", **dict(zip(names, numbers, strict=True))))
    assert pairs.read_manifest(folder)[names].to_numpy()[0].tolist() == numbers


_PLAIN = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40)


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(scenes=st.lists(_PLAIN.filter(lambda s: pairs.scene_problem(s) is None), min_size=1, max_size=4, unique=True))
def test_any_good_scene_name_survives(tmp_path_factory: pytest.TempPathFactory, scenes: list[str]) -> None:
    folder = tmp_path_factory.mktemp("pairs")
    write(folder, *(row(scene, message=scene) for scene in scenes))
    again = pairs.read_manifest(folder)
    assert again["scene"].tolist() == again["message"].tolist() == sorted(scenes)


def test_writing_what_was_read_gives_the_same_bytes(tmp_path: Path) -> None:
    write(
        tmp_path, row("b", zncc=1 / 3, h00=0.1, rotation_deg=-1e-12, n_inliers=3), row("a", gain_r=1 / 7, notes="mine")
    )
    first = (tmp_path / "manifest.csv").read_bytes()
    pairs.write_pairs_table(tmp_path, "manifest.csv", pairs.read_manifest(tmp_path))
    assert (tmp_path / "manifest.csv").read_bytes() == first
    assert b"-0.000000" not in first
    assert b"\r" not in first
    assert first.splitlines()[0].endswith(b",notes")  # a stranger's column is kept, at the end


@pytest.mark.parametrize(
    ("scene", "problem"),
    [
        ("", "is empty"),
        (".hidden", "begins with a dot"),
        ("a/b", "contains '/'"),
        ("a\nb", "control characters"),
        ("a\x7fb", "control characters"),
        ("\udcff", "not UTF-8"),
        ("é" * 101, "202 bytes"),
        ("=HYPERLINK()", "begins with '='"),
        ("-2+3+cmd", "begins with '-'"),
    ],
)
def test_scenes_that_cannot_name_files(scene: str, problem: str, tmp_path: Path) -> None:
    assert problem in str(pairs.scene_problem(scene))
    if scene and problem != "not UTF-8":  # which no table can hold where pandas keeps text in Arrow
        with pytest.raises(TableError, match=r"manifest\.csv, row 3: scene .*" + re.escape(problem)):
            write(tmp_path, row("!first"), row(scene, hr_path="hr/x.png", lr_path="lr/x.png"))
    assert pairs.scene_problem("é" * 100) is None


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"status": "good"}, r"row 2, column status: got 'good', expected one of 'accepted', 'rejected', 'failed'"),
        ({"scale": 17}, r"row 2, column scale: got 17, expected a whole number of at least 1 and at most 16"),
        ({"scale": None}, r"column scale"),
        ({"n_inliers": -1}, r"row 2, column n_inliers: got -1, expected a whole number of at least 0 or nothing"),
        ({"split": "validation"}, r"column split: got 'validation'"),
        ({"group": ""}, r"column group"),
        ({"hr_path": ""}, r"column hr_path: got nothing"),
        ({"hr_path": "/etc/passwd"}, r"column hr_path: got '/etc/passwd', expected a relative path"),
        ({"lr_path": "lr/../../x.png"}, r"column lr_path"),
        ({"hr_source": "../raw/a.png"}, r"column hr_source"),
    ],
)
def test_values_out_of_the_format_are_told_with_their_place(
    cells: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(TableError, match=message):
        write(tmp_path, row("a", **cells))
    assert not (tmp_path / "manifest.csv").exists()


def corrupt(folder: Path, old: str, new: str) -> None:
    path = folder / "manifest.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a,accepted,", "a,perhaps,", "row 2, column status: got 'perhaps'"),
        (",8,hr/a.png", ",eight,hr/a.png", "row 2, column scale: got 'eight', expected a whole number"),
        (",8,hr/a.png", ",8.5,hr/a.png", "row 2, column scale: got '8.5'"),
        ("b,accepted", "a,accepted", "column scene: got 'a', expected each scene once"),
        ("b,accepted", "../b,accepted", r"row 3: scene '../b' begins with a dot"),
        ("hr/a.png", "/hr/a.png", "row 2, column hr_path"),
        ("status", "state", "columns missing: status"),
        ("split", "scene", "columns twice: scene"),
        ("a,accepted", '"a,accepted', "not a CSV file"),
        (",a,8", ",a,8,,,,", "row 2: got"),
    ],
)
def test_a_damaged_manifest_is_told_with_its_place(old: str, new: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, row("a"), row("b"))
    corrupt(tmp_path, old, new)
    with pytest.raises(TableError, match=message):
        pairs.read_manifest(tmp_path)


def test_only_the_columns_that_are_wanted_need_be_there(tmp_path: Path) -> None:
    wanted = ["scene", "status", "split", "group", "scale", "hr_path", "lr_path"]
    (tmp_path / "manifest.csv").write_text(",".join(wanted) + ",junk\n007,accepted,,g,4,hr/007.png,lr/007.png,x\n")
    frame = pairs.read_manifest(tmp_path, columns=wanted)
    assert frame.columns.tolist() == wanted
    assert frame.loc[0, "scene"] == "007"
    with pytest.raises(TableError, match="columns missing: reasons"):
        pairs.read_manifest(tmp_path)


def test_a_table_in_place_of_its_folder_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "manifest.csv"
    table.write_text("scene\n")
    for read in (pairs.read_manifest, pairs.read_alignment, pairs.read_residuals):
        with pytest.raises(LayoutError, match=r"manifest\.csv: is a file, expected a pairs folder; give the folder"):
            read(table)


def test_missing_and_unwritable_tables(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="align CAPTURES"):
        pairs.read_manifest(tmp_path)
    with pytest.raises(LayoutError, match="is not there"):
        pairs.read_residuals(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot be written"):
        write(tmp_path / "file", row("a"))


def test_empty_tables_have_their_header(tmp_path: Path) -> None:
    for name, columns in TABLES.items():
        pairs.write_pairs_table(tmp_path, name, frame_of([], columns))
    assert len(pairs.read_manifest(tmp_path)) == len(pairs.read_alignment(tmp_path)) == 0
    assert len(pairs.read_residuals(tmp_path)) == len(pairs.read_timings(tmp_path)) == 0


def test_dataset_description(tmp_path: Path) -> None:
    pairs.write_dataset(tmp_path, {"scale": 8, "licence": "© me"})
    said = pairs.read_dataset(tmp_path)
    assert len(said.pop("checksum")) == 64
    assert said == {"format": "d2crealsr-pairs", "version": 2, "scale": 8, "licence": "© me", "sha256": {}}
    path = tmp_path / "dataset.json"
    path.write_text(path.read_text().replace('"version": 2', '"version": 3'))
    with pytest.raises(LayoutError, match="got format version 3, expected at most 2"):
        pairs.read_dataset(tmp_path)
    path.write_text("[]")
    with pytest.raises(LayoutError, match="d2crealsr-pairs"):
        pairs.read_dataset(tmp_path)
    path.write_text("{")
    with pytest.raises(LayoutError, match="not JSON"):
        pairs.read_dataset(tmp_path)
    path.unlink()
    with pytest.raises(LayoutError, match="is not there"):
        pairs.read_dataset(tmp_path)


def test_every_text_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """Windows editors and spreadsheets write one."""
    earlier = Path(__file__).parents[1] / "earlier/v0.1.0"
    shutil.copytree(earlier / "pairs", tmp_path / "pairs")
    shutil.copytree(earlier / "raw", tmp_path / "raw")
    for path in (tmp_path / "pairs").glob("*.*"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert pairs.read_dataset(tmp_path / "pairs")["scale"] == 2
    assert len(pairs.read_manifest(tmp_path / "pairs")) == 4
    assert len(pairs.read_timings(tmp_path / "pairs")) == 4
    scene = pairs.read_manifest(tmp_path / "pairs")["scene"][0]
    (tmp_path / "decisions.csv").write_text(f"\ufeffscene,decision,note\n{scene},reject,\n", encoding="utf-8")
    assert read_decisions(tmp_path / "decisions.csv") == {scene: "reject"}
    hr, lr = (next((tmp_path / "raw" / side).iterdir()) for side in ("hr", "lr"))
    table = f"\ufeffscene,hr,lr\na,hr/{hr.name},lr/{lr.name}\n"
    (tmp_path / "raw/manifest.csv").write_text(table, encoding="utf-8")
    assert find_captures(tmp_path / "raw")[0].hr == tmp_path / "raw/hr" / hr.name
