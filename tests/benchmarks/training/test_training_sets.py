"""The pairs of the training benchmarks: how many are kept for testing, and that no others are taken for them."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

from benchmarks.result_tables import write_csv
from benchmarks.training import training_sets
from d2crealsr.errors import UsageError
from d2crealsr.store.columns import MANIFEST
from d2crealsr.store.pairs import published_paths, read_manifest, write_pairs_table
from d2crealsr.store.tables import frame_of


@pytest.fixture
def simulated(tmp_path, monkeypatch):
    """Simulated pairs in groups of the given sizes, and one rejected scene in each."""

    def made(sizes, test):
        rows = [
            {"scene": f"g{k}-{n}", "status": "accepted" if n < size else "rejected", "group": f"g{k}", "scale": 8}
            for k, size in enumerate(sizes)
            for n in range(size + 1)
        ]
        for row in rows:
            if row["status"] == "accepted":
                row["hr_path"], row["lr_path"] = published_paths(row["scene"])

        def build(_captures, pairs, **_settings):
            pairs.mkdir(parents=True)
            write_pairs_table(pairs, "manifest.csv", frame_of(rows, MANIFEST))

        monkeypatch.setattr(training_sets, "simulate", lambda *_, **__: None)
        monkeypatch.setattr(training_sets, "build", build)
        folder = training_sets.simulated(tmp_path, scale=8, size="mini", scenes=len(rows), seed=0, test=test).folder
        manifest = read_manifest(folder)
        return int((manifest.loc[manifest["status"] == "accepted", "split"] == "test").sum())

    return made


@pytest.mark.parametrize(
    ("sizes", "test", "kept"), [([8] * 15, 30, 32), ([3, 5, 8, 8], 6, 8), ([1] * 9, 2, 2), ([4, 4], 0, 0)]
)
def test_whole_groups_are_kept_for_testing_and_at_least_the_number_asked_for(simulated, sizes, test, kept):
    assert simulated(sizes, test) == kept


def test_a_number_that_no_groups_can_give_is_refused(simulated):
    with pytest.raises(UsageError, match="2 test scenes cannot be drawn"):
        simulated([2], 2)


WANTED = {"scale": 8, "size": "mini", "scenes": 3, "seed": 0, "test": 1, "recipe": None, "photos": None}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Pairs of three scenes, which are not truly simulated, and how often that was asked for."""
    calls = []

    def build(_captures, pairs, settings, **_):
        rows = [{"scene": name, "status": "accepted", "scale": settings.scale} for name in "abc"]
        write_csv(pairs / "manifest.csv", rows)

    monkeypatch.setattr(training_sets, "simulate", lambda *_, **__: calls.append("simulated"))
    monkeypatch.setattr(training_sets, "build", build)
    monkeypatch.setattr(training_sets, "split", lambda *_, **__: None)
    monkeypatch.setattr(training_sets, "_of_whole_groups", lambda _, test: test)
    training_sets.simulated(tmp_path / "set", **WANTED)
    return calls


def test_pairs_are_made_once(made, tmp_path):
    training_sets.simulated(tmp_path / "set", **WANTED)
    assert made == ["simulated"]


@pytest.mark.parametrize(
    "other",
    [{"scale": 2}, {"size": "half"}, {"scenes": 4}, {"seed": 1}, {"test": 2}, {"recipe": "postcards"}],
    ids=lambda other: next(iter(other)),
)
def test_pairs_of_another_request_are_refused(made, tmp_path, other):
    ((name, value),) = other.items()
    with pytest.raises(UsageError, match=rf"made with {name} .*, now asked for {name} {value}; give another --work"):
        training_sets.simulated(tmp_path / "set", **WANTED | other)
    assert made == ["simulated"]


def test_pairs_of_other_photographs_are_refused(made, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").touch()
    with pytest.raises(UsageError, match=r"made with photographs those in scikit-image, now .* 1 files"):
        training_sets.simulated(tmp_path / "set", **WANTED | {"photos": tmp_path / "photos"})


def test_finished_pairs_without_a_record_are_judged_by_their_manifest(made, tmp_path):
    (tmp_path / "set" / "asked.json").unlink()
    training_sets.simulated(tmp_path / "set", **WANTED)
    for other in ({"scale": 2}, {"scenes": 4}):
        with pytest.raises(UsageError, match=r"was made with scale 8, scenes 3, now asked for scale"):
            training_sets.simulated(tmp_path / "set", **WANTED | other)
    assert made == ["simulated"]
