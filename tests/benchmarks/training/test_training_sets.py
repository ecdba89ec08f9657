"""The pairs of the training benchmarks: how many simulated scenes are kept for testing."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

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
