"""How `builtin:x8` is made: parts without a common photograph, training until a time, and its table."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("torch")
from benchmarks.training import builtin_data, builtin_table, builtin_x8
from d2crealsr.errors import UsageError
from d2crealsr.store.files import write_text


def test_no_photograph_is_in_two_parts(tmp_path):
    for k in range(60):
        write_text(tmp_path / "photos" / f"{k:02d}.jpg", str(k))
    parts = dict(builtin_data._dealt(tmp_path / "photos", tmp_path / "work"))
    names = {name: {path.name for path in folder.iterdir()} for name, folder in parts.items() if folder}
    assert {name: len(found) for name, found in names.items()} == {"train": 40, "validation": 8, "test": 12}
    assert len(set().union(*names.values())) == 60
    assert parts["wheel"] is None
    assert dict(builtin_data._dealt(tmp_path / "photos", tmp_path / "work")) == parts
    write_text(tmp_path / "photos" / "000.jpg", "one more, by which the order changes")
    with pytest.raises(UsageError, match=r"work.photos.train: was made with other photographs .*; give another --work"):
        dict(builtin_data._dealt(tmp_path / "photos", tmp_path / "work"))


def test_too_few_photographs_are_refused_before_anything_is_simulated(tmp_path, monkeypatch):
    for k in range(59):
        write_text(tmp_path / "photos" / f"{k:02d}.jpg", str(k))
    monkeypatch.setattr(builtin_data, "simulated", lambda *_, **__: pytest.fail("simulated"))
    with pytest.raises(UsageError, match=r"has 59 photographs \(\*\.jpg\), expected at least 60"):
        builtin_data.make(tmp_path / "work", tmp_path / "photos", print)
    assert not (tmp_path / "work").exists()


def test_a_run_ends_at_its_time_without_an_error_and_only_then(monkeypatch):
    seen = []

    def stopped(run, reporter, interrupts):
        seen.append(interrupts.asked)
        interrupts.check()
        raise KeyboardInterrupt

    monkeypatch.setattr(builtin_x8, "train", stopped)
    builtin_x8.until(None, time.time() - 1)
    with pytest.raises(KeyboardInterrupt):
        builtin_x8.until(None, time.time() + 100)
    assert seen == [True, False]


def test_the_table_has_means_over_images_and_the_smallest_gain():
    same = {"photographs": "some", "protocol": "basicsr-y", "bicubic_db": 20.0, "filter_ssim": 0.5}
    rows = [same | {"image": str(k), "filter_db": 21.0, "builtin_db": 21.0 + k} for k in (1, 3)]
    (row,) = builtin_table.mean_rows(rows)
    assert (row["images"], row["builtin_db"], row["filter_ssim"]) == (2, 23.0, 0.5)
    assert (row["over_filter_db"], row["least_over_filter_db"]) == (2.0, 1.0)
