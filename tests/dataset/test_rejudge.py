"""Other thresholds, the same estimates: a rerun judges again, registers nothing, and ends in a fresh run's bytes."""

from __future__ import annotations

import dataclasses
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from d2crealsr.dataset import rejudge
from d2crealsr.dataset.build import build
from d2crealsr.dataset.verify import accept_edits
from d2crealsr.quality import verdict
from d2crealsr.settings import AlignSettings
from d2crealsr.simulate import SimulateSettings, simulate
from d2crealsr.store.images import read_image, write_image
from d2crealsr.store.pairs import read_manifest
from d2crealsr.store.tables import records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SETTINGS = {
    "default": AlignSettings(),
    "strict": AlignSettings(qa_profile="strict"),
    "off": AlignSettings(qa_profile="off"),
    "nothing is good": AlignSettings(max_residual_p95=0.001, max_sigma=0.0001),
}


def content(out: Path) -> dict[str, bytes]:
    files = (path for path in out.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files if path.name != "timings.csv"}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good scene, one whose card is half covered, one with nothing in LR, one whose HR is no image."""
    folder = tmp_path_factory.mktemp("judged")
    for scene, nuisances in (("good", ()), ("covered", ("occlusion",))):
        simulate(folder / scene, settings=SimulateSettings(size="mini", scenes=1, seed=5, nuisances=nuisances))
        for side in ("hr", "lr"):
            (folder / "raw" / side).mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / scene / side / "001.jpg", folder / "raw" / side / f"{scene}.jpg")
    for scene in ("blank", "broken"):
        shutil.copy(folder / "raw" / "hr" / "good.jpg", folder / "raw" / "hr" / f"{scene}.jpg")
        write_image(folder / "raw" / "lr" / f"{scene}.png", np.full((800, 1200, 3), 9, dtype=np.uint8))
    (folder / "raw" / "hr" / "broken.jpg").write_bytes(b"\xff\xd8")
    return folder / "raw"


@pytest.fixture(scope="module")
def fresh(raw: Path) -> dict[str, Path]:
    """A pairs folder for each of the settings, none of which knew another."""
    folders = {name: raw.parent / "fresh" / name for name in SETTINGS}
    for name, settings in SETTINGS.items():
        build(raw, folders[name], settings=settings)
    return folders


@pytest.fixture
def registers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def register(*_: Any, **__: Any) -> None:
        raise AssertionError("registered again")

    monkeypatch.setattr("d2crealsr.registration.sift.register", register)


def accepted(out: Path) -> set[str]:
    table = read_manifest(out)
    return set(table.loc[table["status"] == "accepted", "scene"])


def test_each_setting_has_its_own_verdict(fresh: dict[str, Path]) -> None:
    """Otherwise what follows would show nothing."""
    assert {name: accepted(out) for name, out in fresh.items()} == {
        **{"default": {"good"}, "strict": {"good"}, "off": {"good", "covered"}, "nothing is good": set()},
    }
    rows = [read_manifest(out).set_index("scene").loc["covered"] for out in fresh.values()]
    assert len({row["message"] for row in rows}) == len(SETTINGS)
    where = "LR shows something else than HR at column {differing_x:g}, row {differing_y:g} of LR"
    assert all((where.format(**row) in row["message"]) == ("content_mismatch" in row["reasons"]) for row in rows)


@pytest.mark.usefixtures("registers_nothing")
def test_the_same_bytes_as_a_fresh_run_without_registering(raw: Path, fresh: dict[str, Path]) -> None:
    """From each verdict to each other one: pairs published that were not kept, taken back, and neither."""
    out = raw.parent / "fresh" / "again"  # beside the others: the description names the way to the captures
    shutil.copytree(fresh["default"], out)
    for name in ("strict", "off", "nothing is good", "off", "default", "nothing is good", "strict", "default"):
        result = build(raw, out, settings=SETTINGS[name], allow_loss=True)
        assert (result.done, result.judged, result.unchanged) == (0, 4, 0), name
        assert content(out) == content(fresh[name]), name
    assert build(raw, out, settings=SETTINGS["default"]).unchanged == 4


@pytest.mark.usefixtures("registers_nothing")
def test_a_reviewer_needs_no_registration_either(raw: Path, fresh: dict[str, Path], tmp_path: Path) -> None:
    out = raw.parent / "fresh" / "reviewed"
    shutil.copytree(fresh["default"], out)
    decisions = tmp_path / "decisions.csv"
    decisions.write_text("scene,decision,note\ncovered,accept,\n")
    result = build(raw, out, accept=decisions)
    assert (result.judged, result.unchanged, result.reviewed) == (1, 3, 1)
    assert accepted(out) == {"good", "covered"}
    hr, lr = ((path / "hr" / "covered.png", path / "lr" / "covered.png") for path in (out, fresh["off"]))
    assert [path.read_bytes() for path in hr] == [path.read_bytes() for path in lr]
    decisions.write_text("scene,decision,note\ncovered,reject,\n")
    build(raw, out, accept=decisions)
    assert content(out) == content(fresh["default"])


def test_what_does_not_stand_is_done(raw: Path, fresh: dict[str, Path]) -> None:
    """A damaged file, another capture, another setting beside the thresholds."""
    out = raw.parent / "fresh" / "damaged"
    shutil.copytree(fresh["default"], out)
    (out / "hr" / "good.png").write_bytes(b"damaged")
    result = build(raw, out, settings=SETTINGS["strict"])
    assert (result.done, result.judged) == (1, 3)
    assert content(out) == content(fresh["strict"])
    result = build(raw, out, settings=AlignSettings(qa_profile="strict", interpolation="lanczos4"))
    assert (result.done, result.judged) == (4, 0)


@pytest.mark.parametrize("cells", [["gain_g"], ["k1_hr"], ["tone"], ["ca_k_r", "ca_k_b"], ["lr_x"]])
def test_a_row_that_lacks_a_part_of_its_estimate_is_not_published(cells: list[str], fresh: dict[str, Path]) -> None:
    """A default in its place would give other pixels without a word."""
    row = next(row for row in records(read_manifest(fresh["default"])) if row["scene"] == "good")
    hr, lr = (read_image(fresh["default"].parents[1] / "raw" / side / "good.jpg") for side in ("hr", "lr"))
    assert rejudge.published_from_row(row, hr, lr, AlignSettings()) is not None
    damaged = row | {name: "" if name == "tone" else None for name in cells}
    assert rejudge.published_from_row(damaged, hr, lr, AlignSettings()) is None


def test_a_pair_whose_row_was_damaged_is_aligned_again(raw: Path, fresh: dict[str, Path]) -> None:
    out = raw.parent / "fresh" / "torn"
    shutil.copytree(fresh["nothing is good"], out)
    table = pd.read_csv(out / "manifest.csv", dtype=str, keep_default_na=False)
    table.loc[table["scene"] == "good", "gain_g"] = ""
    table.to_csv(out / "manifest.csv", index=False)
    accept_edits(out)
    result = build(raw, out, settings=SETTINGS["default"])
    assert (result.done, result.judged) == (1, 3)
    assert content(out) == content(fresh["default"])


def test_another_aligner_is_asked_again(
    make_raw: Callable[[Path, list[str]], Path], tmp_path: Path, aligner: Callable[..., Any]
) -> None:
    """What its verdict goes by is not known."""
    raw = make_raw(tmp_path / "raw", ["1", "2"])
    build(raw, tmp_path / "out", align=aligner)
    result = build(raw, tmp_path / "out", align=aligner, settings=AlignSettings(min_zncc=0.5))
    assert (result.done, result.judged) == (2, 0)


ROW = {
    **{"anisotropy": 1.003, "perspective_ratio": 1.002, "scale_ratio": 1.01, "crop_side_lr_px": 144.0},
    **{"textured_fraction": 1.0, "zncc_block_p50": 0.98, "clipped_fraction": 0.01, "off_centre_hr_px": 0.0},
    **{"hr_clipped_fraction": 0.002, "colour_ratio": 0.08},
    **{"content_differs_fraction": 0.001, "sigma_hr_px": 0.02, "residual_p50_hr_px": 0.1, "residual_p95_hr_px": 0.3},
    **{"residual_local_hr_px": 0.2, "residual_side_hr_px": 0.1, "residual_worst_hr_px": 0.0, "sharpness_ratio": 2.5},
    **{"differing_hr_px": 0.0, "detail_scale": 3.5},
    "message": "",
}


def said(row: dict[str, Any], **changes: Any) -> rejudge.Verdict | None:
    return rejudge.judge_row(row, dataclasses.replace(AlignSettings(), **changes))


def test_a_verdict_that_rounding_leaves_open_is_none() -> None:
    row = ROW | {"residual_p50_hr_px": 0.123457}
    assert said(row, max_residual_p50=0.123458) == ((), "")
    assert said(row, max_residual_p50=0.123456) == (
        ("residual_too_large",),
        "residual_p50_hr_px 0.1235 above 0.123456",
    )
    assert said(row, max_residual_p50=0.123457) is None  # it may have been 0.1234574
    assert said(row, max_residual_p50=0.1234573) is None
    assert said(ROW | {"sigma_hr_px": 0.000123}, max_sigma=0.0001) is None  # rejected, but as 0.0001228 or 0.0001232?
    assert said(ROW | {"sigma_hr_px": 0.000123}, max_sigma=0.0002) == ((), "")


def test_an_empty_cell_that_may_be_anything_is_none() -> None:
    empty = ROW | {"sigma_hr_px": None}
    assert said(empty) is None
    assert said(empty, qa_profile="off") == ((), "")
    assert said(empty, refine="none") == ((), "")  # there is none then
    assert said(ROW | {"colour_ratio": None, "hr_clipped_fraction": None}) is None  # a row of an earlier version
    assert said(empty | {"message": "sigma_hr_px nan above 0.125"}) == (
        ("position_uncertain",),
        "sigma_hr_px nan above 0.25",
    )
    small = dict.fromkeys(ROW) | {name: ROW[name] for name in ("anisotropy", "perspective_ratio", "scale_ratio")}
    assert said(small | {"crop_side_lr_px": 12.0, "message": ""}) == (
        ("crop_too_small",),
        "crop_side_lr_px 12 below 32",
    )


@pytest.mark.parametrize("seed", range(20))
def test_a_verdict_over_a_row_is_the_one_over_its_statistics(seed: int) -> None:
    rng = np.random.default_rng(seed)
    statistics = {name: float(value * rng.uniform(0.2, 5)) for name, value in ROW.items() if name != "message"}
    statistics["crop_side_lr_px"] = 144.0
    row = {name: float(f"{value:.6f}") for name, value in statistics.items()} | {"message": ""}
    for profile in ("strict", "default", "off"):
        settings = AlignSettings(qa_profile=profile)
        found = rejudge.judge_row(row, settings)
        if found is not None:
            assert found == (verdict.judge(statistics, settings), verdict.explain(statistics, settings))


def test_settings_of_qa_are_those_of_its_rules() -> None:
    fields = {field.name for field in dataclasses.fields(AlignSettings)}
    assert set(verdict.QA_SETTINGS) <= fields
    assert {name for name in fields if name.startswith(("max_", "min_"))} < set(verdict.QA_SETTINGS)
