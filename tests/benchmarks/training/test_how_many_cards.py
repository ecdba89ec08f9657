"""How many cards a network needs: subsets of cards, the order of the runs, gains within draws, and the stored table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.result_tables import read_csv
from d2c.data.layouts import Pair
from d2crealsr.errors import UsageError

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

import torch

from benchmarks.training import how_many_cards
from benchmarks.training.card_sets import KINDS, SHARES, cards_of, dealt, subset
from benchmarks.training.how_many_cards import DRAWS, answers, network_rows, numbers, summary, tasks
from benchmarks.training.luma_network import LumaNetwork, Schedule, psnr_db, train_luma

RESULTS = Path(how_many_cards.__file__).parents[1] / "results"


def pairs(count: int) -> list[Pair]:
    return [Pair(name=f"{i:02d}", hr=Path("hr"), lr=Path("lr"), scale=8, group=f"{i:02d}") for i in range(count)]


def test_no_photograph_is_in_two_parts_and_all_are_used():
    cards = dealt(pairs(56), 60)
    names = [pair.group for part in cards[:3] for pair in part]
    assert len(set(names)) == len(names) == 56
    assert ([len(part) for part in cards[:3]], cards.refused) == ([40, 8, 8], 4)
    with pytest.raises(UsageError, match=r"captures of 48 of 60 photographs .* expected more than 48"):
        dealt(pairs(sum(SHARES.values())), 60)


def test_too_few_photographs_are_refused_before_anything_is_simulated(tmp_path):
    with pytest.raises(UsageError, match=r"--photos: .* has 0 photographs \(\*\.jpg\), expected more than 48"):
        cards_of(tmp_path / "work", tmp_path)
    assert not (tmp_path / "work").exists()


def test_pairs_of_other_photographs_are_not_taken_for_those_of_a_folder(tmp_path):
    (tmp_path / "done").touch()
    (tmp_path / "recipe.csv").write_text("scene,source\n001,somebody\n")
    for number in range(49):
        (tmp_path / f"{number}.jpg").touch()
    with pytest.raises(UsageError, match=r"--work: .* has the pairs of other photographs .*; give another folder"):
        cards_of(tmp_path, tmp_path)


RUN = "network,cards,draw,test_db,pooled_db,steps\n"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (RUN + "tiny,5,0,26.1,26.0,1000\ntiny,5,", r"rows\.csv: line 3 is damaged; delete this line"),
        (RUN + "tiny,5,x,26.1,26.0,1000\n", r"rows\.csv: line 2 is damaged; delete this line"),
        (RUN + "tiny,5,0,26.1,26.0,2\n", r"runs of 2 steps, expected 1000; give another folder"),
    ],
    ids=["cut", "no number", "other steps"],
)
def test_a_stored_row_that_cannot_be_used_is_named(tmp_path, text, match):
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(UsageError, match=match):
        network_rows(None, tmp_path, 1000, 8, 0)


def test_subsets_are_nested_and_have_equally_many_cards_of_each_kind():
    every = pairs(40)
    kinds = [every[first : first + 8] for first in range(0, 40, 8)]
    for draw in range(3):
        chosen = {cards: {pair.name for pair in subset(kinds, cards, draw)} for cards in DRAWS}
        assert chosen[5] < chosen[10] < chosen[20] < chosen[40]
        for cards, names in chosen.items():
            assert [sum(pair.name in names for pair in kind) for kind in kinds] == [cards // KINDS] * KINDS
    assert subset(kinds, 5, 0) != subset(kinds, 5, 1)


def test_a_run_that_is_cut_has_equally_many_draws_of_every_number_of_cards():
    order = list(tasks(8))
    assert len(order) == len(set(order)) == 2 * sum(DRAWS.values())
    assert {(cards, draw) for _, cards, draw in order[:8]} == {(cards, 0) for cards in DRAWS}


def test_gains_are_taken_within_a_draw():
    level = np.array([25.0, 25.4, 24.8])
    rows = [
        {"network": "tiny", "cards": 5, "draw": i, "test_db": psnr, "pooled_db": 24.0} for i, psnr in enumerate(level)
    ]
    for draw, gain in enumerate((0.5, 0.6, 0.7)):
        rows.append(rows[draw] | {"cards": 10, "test_db": level[draw] + gain})
    few, more = summary(rows)
    assert "gain_db" not in few
    assert (more["gain_db"], more["draws"]) == (pytest.approx(0.6), 3)
    assert more["gain_half_width_db"] == pytest.approx(4.303 * 0.1 / np.sqrt(3), rel=1e-3)
    assert answers([few, more]) == ["tiny: the last gain, at 10 photographs, was still resolved"]
    assert (more["total_db"], more["total_resolved"]) == (more["gain_db"], "yes")
    assert answers([few, more | {"gain_resolved": "no"}]) == ["tiny: beyond 5 photographs the gain was not resolved"]


@pytest.mark.slow  # the first step of Adam imports much of torch
def test_the_network_starts_as_bicubic_interpolation_and_learns_detail():
    rng = np.random.default_rng(0)
    hr = 90 + 60 * np.kron(rng.integers(0, 2, (12, 12)), np.ones((2, 2))).astype(np.float32)
    lr = np.ascontiguousarray(hr[::2, ::2] + 20)
    torch.manual_seed(0)
    network = LumaNetwork(2, 4, 1)
    before = psnr_db(network.image(lr), hr, 2)
    schedule = Schedule(steps=20, rate=1e-2, validate_every=5, patch=8, average=0.5)
    found = train_luma(network, [(lr, hr)], [(lr, hr)], schedule, 0)
    assert found.validation_db == pytest.approx(psnr_db(found.network.image(lr), hr, 2))
    assert found.validation_db > before + 1


def test_the_stored_table_follows_from_its_runs():
    rows = [numbers(row) for row in read_csv(RESULTS / "how-many-cards-runs.csv")]
    stored = read_csv(RESULTS / "how-many-cards.csv")
    for row, again in zip(stored, summary(rows), strict=True):
        assert list(row) == list(again)
        for name, value in row.items():
            close = pytest.approx(again[name], nan_ok=True)
            assert value == again[name] if isinstance(again[name], str) else float(value) == close


def test_one_draw_is_not_said_to_resolve_nothing():
    rows = [{"network": "tiny", "cards": cards, "draw": 0, "test_db": 25.0, "pooled_db": 24.0} for cards in (5, 10)]
    assert answers(summary(rows)) == ["tiny: no gain is judged, since one draw gives no interval"]
