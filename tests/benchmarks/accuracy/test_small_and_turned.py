"""The captures and the table of the benchmark of small, turned captures."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import small_and_turned
from d2crealsr.imaging import geometry
from d2crealsr.store.images import write_image
from d2crealsr.types import Size


def test_right_is_accepted_with_a_small_error() -> None:
    rows = [{"of": "x2", "status": "accepted", "mean": mean, "rms": mean, "sigma_hr_px": 0.2} for mean in (0.1, 0.4)]
    rows.append({"of": "x3", "status": "low_texture"})
    table = {row["scenes"]: row for row in small_and_turned.summarise(rows)}
    assert [table[name]["right"] for name in ("all", "x2", "x3")] == [1, 1, 0]
    assert table["all"]["count"] == 3


def test_a_turned_photograph_shows_its_content_where_the_truth_says(tmp_path: Path) -> None:
    """A white disc in the middle of HR."""
    x, y = np.meshgrid(np.arange(160) - 70.0, np.arange(120) - 50.0)
    photo = np.where((x**2 + y**2 < 100)[..., None], 250, 20).repeat(3, axis=2).astype(np.uint8)
    write_image(tmp_path / "a.png", photo)
    pair = small_and_turned.of_photo(3, [tmp_path / "a.png"])
    assert Size.of(pair.hr) == (160, 120)
    light = pair.lr[..., 1] > 100
    found = np.argwhere(light).mean(axis=0)[::-1]
    assert found == pytest.approx(pair.true.hr_to_lr(np.array([70.0, 50.0])), abs=0.2)
    assert geometry.scale_effective(pair.true.H_hr_to_lr, np.zeros(2)) == pytest.approx(pair.facts["reduction"])
