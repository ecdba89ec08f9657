"""Camera RAW from capture to row: one rendering for both shots, recorded, and part of the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.dng import write_dng
from d2crealsr.dataset.build import build
from d2crealsr.store.images import read_image
from d2crealsr.store.pairs import read_dataset
from tests.dataset.conftest import write_captures
from tests.dataset.folders import manifest

pytest.importorskip("rawpy", reason="the extra raw is not installed")

if TYPE_CHECKING:
    from collections.abc import Callable

    Aligner = Callable[..., Any]


def quick(aligner: Aligner) -> Aligner:
    """The quick aligner, which knows pixels only."""

    def align(hr: Any, lr: Any, *, settings: Any) -> Any:
        return aligner(getattr(hr, "pixels", hr), getattr(lr, "pixels", lr), settings=settings)

    return align


def sensor(path: Path, seed: int) -> None:
    levels = np.random.default_rng(seed).integers(4000, 60_000, (48, 64)).astype(np.uint16)
    write_dng(path, levels, wb=(1.2 + 0.1 * seed, 1.0, 1.1))


@pytest.fixture
def shoot(tmp_path: Path) -> Path:
    raw = write_captures(tmp_path / "raw", ["a", "b"])
    for side, seed in (("hr", 1), ("lr", 2)):
        sensor(raw / side / "a.dng", seed)
        (raw / side / "a.png").unlink()
    (raw / "lr" / "b.png").unlink()
    sensor(raw / "lr" / "b.dng", 3)
    return raw


def test_rows_say_how_each_capture_was_developed(shoot: Path, tmp_path: Path, aligner: Aligner) -> None:
    out = tmp_path / "pairs"
    build(shoot, out, align=quick(aligner))
    rows = manifest(out)
    both, one = rows.loc["a"], rows.loc["b"]
    assert both["hr_developed"].endswith("white balance as shot 1.3000 1.0000 1.1000")
    assert both["lr_developed"].endswith("white balance of HR 1.3000 1.0000 1.1000")
    assert "stored as sRGB of 16 bits" in both["lr_developed"]
    assert (both["hr_tone"], both["lr_tone"], both["tone"]) == ("linear", "linear", "srgb")
    assert (one["hr_developed"], one["hr_tone"], one["lr_tone"]) == ("", "srgb", "linear")
    assert one["lr_developed"].endswith("white balance as shot 1.5000 1.0000 1.1000")
    assert both["hr_camera"] == "Simulated Bayer"
    for side in ("hr", "lr"):
        assert read_image(out / side / "a.png").dtype == np.uint16


def test_the_rendering_is_a_part_of_the_recipe_of_camera_raw_alone(
    shoot: Path, tmp_path: Path, aligner: Aligner, monkeypatch: pytest.MonkeyPatch
) -> None:
    from d2crealsr.store.readers import raws

    out = tmp_path / "pairs"
    build(shoot, out, align=quick(aligner))
    recipes = manifest(out)["recipe"]
    (shoot / "hr" / "c.png").write_bytes((shoot / "hr" / "b.png").read_bytes())
    (shoot / "lr" / "c.png").write_bytes((shoot / "hr" / "b.png").read_bytes())
    assert build(shoot, out, align=quick(aligner)).unchanged == 2
    changed = raws.RAW.development._replace(settings=lambda: "LibRaw of another version")  # type: ignore[union-attr]
    import dataclasses

    from d2crealsr.store import readers

    table = tuple(dataclasses.replace(one, development=changed) if one is raws.RAW else one for one in readers.READERS)
    monkeypatch.setattr(readers, "READERS", table)
    again = build(shoot, out, align=quick(aligner))
    assert (again.done, again.unchanged) == (2, 1)
    rows = manifest(out)
    assert (rows.loc[["a", "b"], "recipe"] != recipes).all()
    assert rows.loc["a", "hr_developed"].startswith("LibRaw of another version, white balance")


def test_what_is_preferred_is_kept_for_the_next_run(shoot: Path, tmp_path: Path, aligner: Aligner) -> None:
    import PIL.Image

    for side in ("hr", "lr"):
        PIL.Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(shoot / side / "a.jpg")
    out = tmp_path / "pairs"
    first = build(shoot, out, align=quick(aligner))
    assert manifest(out).loc["a", ["hr_source", "lr_source"]].tolist() == ["hr/a.jpg", "lr/a.jpg"]
    assert sum("--prefer raw takes it" in note for note in first.notes) == 1
    assert "prefer" not in read_dataset(out)
    for prefer in ({"prefer": "raw"}, {}):
        build(shoot, out, align=quick(aligner), **prefer)
        assert manifest(out).loc["a", ["hr_source", "lr_source"]].tolist() == ["hr/a.dng", "lr/a.dng"]
