"""The estimate and its manifest row: what is written is read back, value by value, through the file as well."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d2crealsr.imaging import geometry
from d2crealsr.imaging.estimate import Estimate, homography_cells, mapping_from_row, missing_cells
from d2crealsr.imaging.photometry import Photometry
from d2crealsr.imaging.placement import Placement
from d2crealsr.store.columns import MANIFEST
from d2crealsr.store.pairs import read_manifest, write_pairs_table
from d2crealsr.store.tables import frame_of, records
from d2crealsr.types import Crop, Size

if TYPE_CHECKING:
    from pathlib import Path

HR, LR = Size(6000, 4000), Size(4032, 3024)

numbers = st.floats(-1e6, 1e6)
coefficients = st.floats(-0.2, 0.2)
three = st.tuples(numbers, numbers, numbers)
lights = st.builds(
    Photometry,
    tone=st.sampled_from(["srgb", "gamma=1", "gamma=2.2", "curve=-0.5:0:0.25"]),
    hr_tone=st.sampled_from(["", "linear"]),
    gain=three,
    offset=three,
    field_x=coefficients,
    field_y=coefficients,
    field_r2=coefficients,
)
homographies = st.lists(numbers, min_size=8, max_size=8).map(lambda h: np.array([*h, 1.0]).reshape(3, 3))
mappings = st.builds(
    geometry.CaptureMapping,
    H_hr_to_lr=homographies,
    hr_size=st.just(HR),
    lr_size=st.just(LR),
    k1_hr=coefficients,
    k1_lr=coefficients,
)
crops = st.builds(Crop, st.integers(0, 9999), st.integers(0, 9999), st.integers(1, 9999), st.integers(1, 9999))
placements = st.builds(Placement, mappings, crops, st.integers(1, 16))
estimates = st.builds(Estimate, placement=placements, light=lights, ca_k=st.tuples(coefficients, coefficients))


def plain(estimate: Estimate | None) -> dict[str, Any]:
    """All values of an estimate, arrays as lists."""
    assert estimate is not None
    values = dataclasses.asdict(estimate)
    values["placement"]["mapping"]["H_hr_to_lr"] = estimate.placement.mapping.H_hr_to_lr.tolist()
    return values


@settings(derandomize=True)
@given(estimates)
def test_an_estimate_comes_back_from_its_row(estimate: Estimate) -> None:
    assert plain(Estimate.from_row(estimate.to_row(), HR, LR)) == plain(estimate)


@settings(derandomize=True)
@given(estimates)
def test_every_value_has_a_cell_of_its_own(estimate: Estimate) -> None:
    """As many cells as numbers and tones (both in one, and each), all of them columns of the manifest."""
    row = estimate.to_row()
    assert row.keys() <= {column.name for column in MANIFEST}
    assert len(row) == 1 + 4 + 9 + 2 + 3 + 3 + 3 + 3 + 2


def example() -> Estimate:
    H = np.array([[0.125000000000003, 1e-9, 512.25], [-1 / 3, 0.125, 1e5], [1e-9, -1e-17, 1.0]])
    mapping = geometry.CaptureMapping(H_hr_to_lr=H, hr_size=HR, lr_size=LR, k1_hr=1 / 7, k1_lr=-1e-12)
    light = Photometry(tone="gamma=2.2", gain=(0.1, 1 / 3, 3.0), offset=(-1e-9, 0.0, 2e-3), field_x=0.1, field_r2=-0.7)
    return Estimate(placement=Placement(mapping, Crop(10, 20, 30, 40), 8), light=light, ca_k=(1e-4, -2e-4))


def test_it_comes_back_bit_by_bit_from_the_manifest(tmp_path: Path) -> None:
    row = {"scene": "001", "status": "rejected", "group": "001", **example().to_row()}
    write_pairs_table(tmp_path, "manifest.csv", frame_of([row], MANIFEST))
    manifest = read_manifest(tmp_path)
    for found in (*records(manifest), *manifest.to_dict("records")):  # pandas has nan, numbers of its own and no None
        assert plain(Estimate.from_row(found, HR, LR)) == plain(example())


@pytest.mark.parametrize("missing", [None, float("nan"), ...])
def test_a_row_without_a_homography_has_no_estimate(missing: object) -> None:
    row = {**example().to_row(), "h12": missing}
    assert Estimate.from_row(row if missing is not ... else {k: v for k, v in row.items() if k != "h12"}) is None


def test_a_crop_without_pixels_has_no_cells_and_comes_back_as_one() -> None:
    placement = dataclasses.replace(example().placement, crop=Crop(7, 9, 0, 0))
    row = dataclasses.replace(example(), placement=placement).to_row()
    assert not {"lr_x", "lr_y", "lr_width", "lr_height"} & row.keys()
    back = Estimate.from_row(row)
    assert back is not None
    assert back.placement.crop.side == 0


def test_what_a_row_leaves_out_is_as_it_was_captured() -> None:
    H = example().placement.mapping.H_hr_to_lr
    found = Estimate.from_row({"scale": 4, "tone": "", "k1_hr": None, **homography_cells(H)})
    assert found is not None
    assert (found.light, found.ca_k) == (Photometry(), (0.0, 0.0))
    assert (found.placement.mapping.k1_hr, found.placement.mapping.k1_lr) == (0.0, 0.0)


GROUPS = {
    "lenses": ("k1_hr", "k1_lr"),
    "light": ("tone", *(f"{name}_{c}" for name in ("gain", "offset") for c in "rgb"), "field_x", "field_y", "field_r2"),
    "chromatic aberration": ("ca_k_r", "ca_k_b"),
}


@pytest.mark.parametrize("missing", [None, float("nan")])
@pytest.mark.parametrize("group", GROUPS)
def test_a_part_of_a_group_is_damage_and_a_whole_group_may_be_absent(group: str, missing: object) -> None:
    row = example().to_row()
    for name in GROUPS[group]:
        damaged = row | {name: "" if name == "tone" else missing}
        assert Estimate.from_row(damaged) is None, name
        assert missing_cells(damaged) == (name,)
    without = {name: cell for name, cell in row.items() if name not in GROUPS[group]}
    assert Estimate.from_row(without) is not None
    assert missing_cells(without) == GROUPS[group]


def test_no_cell_is_missing_in_a_row_that_was_written() -> None:
    assert missing_cells(example().to_row()) == ()
    assert missing_cells(dataclasses.replace(example(), light=Photometry(), ca_k=(0.0, 0.0)).to_row()) == ()


def test_a_stages_row_takes_the_lr_lens_from_elsewhere() -> None:
    H = example().placement.mapping.H_hr_to_lr
    stage = {**homography_cells(H), "k1_hr": 0.01, "gain_g": 1.0}
    found = mapping_from_row(stage, HR, LR, k1_lr=-0.02)
    assert found is not None
    assert (found.k1_hr, found.k1_lr) == (0.01, -0.02)
    np.testing.assert_array_equal(found.H_hr_to_lr, H)
