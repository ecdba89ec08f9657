"""`validate` on folders whose errors were put there on purpose."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import ndimage

from d2crealsr.command.cli import main
from d2crealsr.errors import LayoutError, TableError
from d2crealsr.imaging import geometry
from d2crealsr.store.columns import MANIFEST
from d2crealsr.store.images import write_image
from d2crealsr.store.pairs import write_pairs_table
from d2crealsr.store.tables import frame_of
from d2crealsr.truth.shift import fourier_shift
from d2crealsr.truth.validate import COLUMNS, validate

SCALE = 8
X, Y, WIDTH, HEIGHT = 140, 93, 48, 32
REF = 8
TRUE = np.array([[0.125, 0.001, 90.0], [-0.001, 0.125, 60.0], [0, 0, 1]])


@dataclass
class Scene:
    """A scene and what is wrong with it: errors of mapping and of pixels in HR px."""

    mapping: tuple[float, float] = (0.0, 0.0)
    pixels: tuple[float, float] = (0.0, 0.0)
    status: str = "accepted"
    same: bool = True
    differs: float = 0.0


def texture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shape = ((HEIGHT + 2 * REF) * SCALE, (WIDTH + 2 * REF) * SCALE)
    layers = [ndimage.gaussian_filter(rng.standard_normal(shape), sigma) for sigma in (1.5, 5, 20)]
    return np.clip(0.4 + 0.07 * sum(layer / layer.std() for layer in layers), 0, 1)


def srgb(linear: np.ndarray) -> np.ndarray:
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.clip(linear, 0, 1) ** (1 / 2.4) - 0.055)
    return np.repeat(np.rint(255 * np.clip(encoded, 0, 1)).astype(np.uint8)[..., None], 3, axis=2)


def matrix(H: np.ndarray) -> dict[str, float]:
    return {f"h{i}{j}": float(H[i, j]) for i in range(3) for j in range(3)}


def make(folder: Path, scenes: dict[str, Scene]) -> tuple[Path, Path]:
    """A pairs folder and a truth, as the tool writes them."""
    manifest, truth = [], []
    for seed, (name, scene) in enumerate(scenes.items()):
        picture = texture(seed).astype(np.float32)
        write_image(folder / "raw/reference" / f"{name}.png", srgb(picture))
        published = fourier_shift(picture, scene.pixels)[REF * SCALE : -REF * SCALE, REF * SCALE : -REF * SCALE]
        write_image(folder / "pairs/hr" / f"{name}.png", srgb(1.1 * published))
        H = geometry.translation(*(part / SCALE for part in scene.mapping)) @ TRUE
        row = {"scene": name, "status": scene.status, "group": name, "scale": SCALE}
        if scene.status != "failed":
            row |= {"lr_x": X, "lr_y": Y, "lr_width": WIDTH, "lr_height": HEIGHT, **matrix(H)}
        if scene.status == "accepted":
            row |= {"hr_path": f"hr/{name}.png", "lr_path": f"lr/{name}.png"}
        manifest.append(row)
        truth.append(
            {"scene": name, **matrix(TRUE), "k1_hr": 0, "k1_lr": 0}
            | {"hr_width": 1200, "hr_height": 800, "lr_width": 300, "lr_height": 200}
            | {"ref_x": X - REF, "ref_y": Y - REF, "same_scene": scene.same, "content_differs_fraction": scene.differs}
        )
    write_pairs_table(folder / "pairs", "manifest.csv", frame_of(manifest, MANIFEST))
    pd.DataFrame(truth).to_csv(folder / "raw/truth.csv", index=False)
    return folder / "pairs", folder / "raw/truth.csv"


def test_pixels_and_mapping_agree_where_nothing_is_wrong(tmp_path: Path) -> None:
    moved = (0.21, -0.13)
    result = validate(*make(tmp_path, {"0001": Scene(), "0002": Scene(mapping=moved, pixels=moved)}))
    assert result.findings == []
    assert result.floor_hr_px < 0.01
    table = result.table.set_index("scene")
    assert table.loc["0001", "true_error_max_hr_px"] == pytest.approx(0, abs=1e-9)
    assert table.loc["0002", "true_error_mean_hr_px"] == pytest.approx(np.hypot(*moved))
    assert table.loc["0002", ["true_error_x_hr_px", "true_error_y_hr_px"]].tolist() == pytest.approx(moved)
    assert table.loc["0002", ["pixel_shift_x_hr_px", "pixel_shift_y_hr_px"]].tolist() == pytest.approx(moved, abs=0.01)
    assert table.loc["0002", "pixel_shift_hr_px"] == pytest.approx(np.hypot(*moved), abs=0.01)
    assert (table["disagreement_hr_px"] < 0.01).all()


def test_summary_counts_scenes_and_takes_means_over_the_accepted(tmp_path: Path) -> None:
    scenes = {"a": Scene(mapping=(0.3, 0)), "b": Scene(mapping=(0, 0.1)), "c": Scene(mapping=(9, 9), status="rejected")}
    summary = validate(*make(tmp_path, scenes)).summary
    assert (summary["scenes"], summary["accepted"]) == (3, 2)
    assert summary["true_error_mean_hr_px"] == pytest.approx(0.2)
    assert summary["true_error_p95_of_means_hr_px"] == pytest.approx(0.29)
    assert summary["true_error_median_of_max_hr_px"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("scene", "finding"),
    [
        (Scene(same=False), "accepted, but HR and LR show different scenes"),
        (Scene(mapping=(1.2, 0), pixels=(1.2, 0)), "accepted, but its worst point is 1.20 HR px off, at most 1"),
        (Scene(differs=0.3), "accepted, but 30.0% of its content differs, at most 2%"),
        (Scene(mapping=(0.2, 0)), "pixel shift and mapping error disagree by 0.2"),
        (Scene(pixels=(0.0, 0.1)), "pixel shift and mapping error disagree by 0.1"),
        (Scene(mapping=(0.2, 0), pixels=(-0.2, 0)), "pixel shift and mapping error disagree by 0.4"),
    ],
    ids=["wrong scene", "off", "occluded", "mapping only", "pixels only", "opposite signs"],
)
def test_what_is_wrong_is_found(scene: Scene, finding: str, tmp_path: Path) -> None:
    (line,) = validate(*make(tmp_path, {"good": Scene(), "0013": scene})).findings
    assert line.startswith("scene 0013: ")
    assert finding in line


def test_a_bowed_card_may_depart_from_its_plane(tmp_path: Path) -> None:
    pairs, truth = make(tmp_path, {"a": Scene(pixels=(0.1, 0.0))})
    table = pd.read_csv(truth, dtype={"scene": str})
    table.assign(bow_shift_max_hr_px=0.15).to_csv(truth, index=False)
    assert validate(pairs, truth).findings == []


def test_rejected_scenes_keep_their_mapping_error_and_failed_ones_their_row(tmp_path: Path) -> None:
    scenes = {"a": Scene(), "b": Scene(status="rejected", mapping=(3, 4)), "c": Scene(status="failed")}
    result = validate(*make(tmp_path, scenes))
    assert result.findings == []
    table = result.table.set_index("scene")
    assert table.loc["b", "true_error_mean_hr_px"] == pytest.approx(5)
    assert np.isnan(table.loc["b", "pixel_shift_hr_px"])
    assert table.loc["c"].filter(like="hr_px").isna().all()


def test_nothing_measured_is_said_and_has_its_own_exit_code(tmp_path: Path) -> None:
    pairs, truth = make(tmp_path, {"a": Scene(status="rejected"), "b": Scene(status="failed")})
    done: list[tuple[int, int]] = []
    assert not validate(pairs, truth, on_scene=lambda *numbers: done.append(numbers)).measured
    assert done == [(1, 2), (2, 2)]
    result = CliRunner().invoke(main, ["validate", str(pairs), "--truth", str(truth)])
    assert result.exit_code == 3
    assert result.stdout.splitlines()[-1] == "nothing was measured: no pair is accepted"
    assert "nan" not in result.stdout
    pairs, truth = make(tmp_path, {"a": Scene()})
    pd.read_csv(truth).assign(scene="other").to_csv(truth, index=False)
    result = CliRunner().invoke(main, ["validate", str(pairs), "--truth", str(truth)])
    assert result.exit_code == 4
    assert "nothing was measured: no accepted pair could be compared\n\n1 finding\n" in result.stdout


def test_a_folder_without_scenes_has_nothing_to_measure(tmp_path: Path) -> None:
    pairs, truth = make(tmp_path, {"a": Scene()})
    manifest = pairs / "manifest.csv"
    manifest.write_text(manifest.read_text().splitlines()[0] + "\n")
    found = validate(pairs, truth)
    assert (len(found.table), list(found.table), found.findings) == (0, list(COLUMNS), [])
    assert found.summary["scenes"] == found.summary["accepted"] == 0
    result = CliRunner().invoke(main, ["validate", str(pairs), "--truth", str(truth), "--csv", str(tmp_path / "e.csv")])
    assert result.exit_code == 3
    assert result.stdout.splitlines()[-1] == "nothing was measured: no pair is accepted"
    assert (tmp_path / "e.csv").read_text() == ",".join(COLUMNS) + "\n"
    result = CliRunner().invoke(main, ["validate", str(pairs), "--truth", str(truth), "--json"])
    assert result.exit_code == 3
    assert json.loads(result.stdout)["scenes"] == []


def test_scene_that_the_truth_does_not_know(tmp_path: Path) -> None:
    pairs, truth = make(tmp_path, {"a": Scene(), "b": Scene()})
    table = pd.read_csv(truth, dtype=str)
    table[table["scene"] != "b"].to_csv(truth, index=False)
    assert validate(pairs, truth).findings == ["scene b: not in truth.csv; give the truth of these captures"]


def test_reference_that_is_missing_is_a_finding(tmp_path: Path) -> None:
    pairs, truth = make(tmp_path, {"a": Scene()})
    shutil.rmtree(truth.parent / "reference")
    (line,) = validate(pairs, truth).findings
    assert line.startswith("scene a: pixels not measured: a.png: cannot be read")


def test_reference_of_another_part_of_the_picture_is_a_finding(tmp_path: Path) -> None:
    pairs, truth = make(tmp_path, {"a": Scene()})
    table = pd.read_csv(truth, dtype={"scene": str})
    table["ref_x"] += 200
    table.to_csv(truth, index=False)
    (line,) = validate(pairs, truth).findings
    assert "share less than 128 px a side" in line


def test_crop_that_reaches_beyond_the_reference_is_measured_where_both_are(tmp_path: Path) -> None:
    """The published rectangle may be larger than the default crop; the origin must still be taken from the table."""
    pairs, truth = make(tmp_path, {"a": Scene(mapping=(0.1, 0.0), pixels=(0.1, 0.0))})
    table = pd.read_csv(truth, dtype={"scene": str})
    table["ref_x"] += 2 * REF
    table.to_csv(truth, index=False)
    reference = texture(0)[:, 2 * REF * SCALE :]
    write_image(truth.parent / "reference/a.png", srgb(reference))
    result = validate(pairs, truth)
    assert result.findings == []
    assert result.table["pixel_shift_x_hr_px"].tolist() == pytest.approx([0.1], abs=0.01)


def test_many_jobs_find_the_same(tmp_path: Path) -> None:
    folder = make(tmp_path, {"a": Scene(), "b": Scene(mapping=(0.2, 0))})
    one, two = validate(*folder), validate(*folder, jobs=2)
    pd.testing.assert_frame_equal(one.table, two.table)
    assert one.findings == two.findings


def test_tables_that_are_missing_or_damaged_end_it(tmp_path: Path) -> None:
    pairs, truth = make(tmp_path, {"a": Scene()})
    with pytest.raises(LayoutError, match="is not there"):
        validate(tmp_path / "nowhere", truth)
    with pytest.raises(LayoutError, match=r"truth2\.csv is not there"):
        validate(pairs, truth.with_name("truth2.csv"))
    pd.read_csv(truth, dtype=str).drop(columns="same_scene").to_csv(truth, index=False)
    with pytest.raises(TableError, match="columns missing: same_scene"):
        validate(pairs, truth)
