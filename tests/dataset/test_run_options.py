"""Options and settings of a run: limits, profiles, thresholds, threads and backends."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
import pytest

from d2crealsr.dataset.build import build
from d2crealsr.errors import SettingsError
from d2crealsr.settings import AlignSettings
from d2crealsr.store.images import read_image, write_image
from tests.dataset.folders import done_by, manifest
from tests.icc import ADOBE_RGB, matrix_profile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Aligner = Callable[..., Any]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "pairs"


def test_a_limit_is_no_setting(raw: Path, out: Path, aligner: Aligner) -> None:
    """A capture that was refused for its size is tried again; all others stay as they are."""
    write_image(raw / "hr" / "001.png", np.zeros((60, 64, 3), np.uint8))
    assert done_by(raw, out, align=aligner, max_pixels=48 * 64) == set(manifest(out)["scene"])
    row = manifest(out).loc["001"]
    assert (row["status"], row["reasons"]) == ("failed", "too_large")
    assert "raise --max-megapixels" in row["message"]
    assert done_by(raw, out, align=aligner) == {"001"}
    assert done_by(raw, out, align=aligner, max_pixels=48 * 64) == set()


def test_colour_profiles_are_converted_refused_and_recorded(raw: Path, out: Path, aligner: Aligner) -> None:
    profile = matrix_profile("Adobe RGB (1998)", ADOBE_RGB, 2.2)
    for side in ("hr", "lr"):
        pixels = read_image(raw / side / "001.png")
        PIL.Image.fromarray(pixels).save(raw / side / ("NA.png" if side == "lr" else "001.png"), icc_profile=profile)
    build(raw, out, align=aligner)
    rows = manifest(out)
    assert rows["hr_profile"].tolist() == ["Adobe RGB (1998)" if scene == "001" else "" for scene in rows.index]
    assert rows.loc["001", "status"] == "accepted"
    assert rows.loc["NA", "reasons"] == "colour_profile"
    build(raw, out, align=aligner, settings=AlignSettings(convert_lr_profile=True))
    rows = manifest(out)
    assert rows.loc["NA", ["status", "lr_profile"]].tolist() == ["accepted", "Adobe RGB (1998)"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_thresholds_are_numbers(value: float) -> None:
    with pytest.raises(SettingsError, match=r"max_sigma: got .*, expected .*; change --max-sigma"):
        AlignSettings(max_sigma=value)


def test_settings_that_contradict_each_other(raw: Path, out: Path, aligner: Aligner) -> None:
    with pytest.raises(SettingsError, match="add --backend dask"):
        build(raw, out, align=aligner, scheduler="tcp://nowhere:1")


def test_dask_that_is_not_installed(raw: Path, out: Path, aligner: Aligner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SettingsError, match=r"pip install '\.\[dask\]' in the checkout"):
        build(raw, out, align=aligner, backend="dask")


def test_threads_are_given_back(raw: Path, out: Path, aligner: Aligner) -> None:
    from d2crealsr import opencv

    opencv.set_thread_count(2)
    seen = []

    def watching(hr: Any, lr: Any, *, settings: Any) -> Any:
        seen.append(opencv.thread_count())
        return aligner(hr, lr, settings=settings)

    build(raw, out, align=watching)
    assert set(seen) == {1}
    assert opencv.thread_count() == 2


def test_blas_has_one_thread_while_scenes_run(raw: Path, out: Path, aligner: Aligner) -> None:
    threadpoolctl = pytest.importorskip("threadpoolctl")
    before = [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]
    seen: set[int] = set()

    def watching(hr: Any, lr: Any, *, settings: Any) -> Any:
        seen.update(pool["num_threads"] for pool in threadpoolctl.threadpool_info())
        return aligner(hr, lr, settings=settings)

    build(raw, out, align=watching)
    assert seen == {1}
    assert [pool["num_threads"] for pool in threadpoolctl.threadpool_info()] == before
