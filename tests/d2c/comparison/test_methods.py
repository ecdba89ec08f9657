"""The methods of the table: single paths equal the tree in what they say, and all are trained by the same rules."""

from __future__ import annotations

import pytest
import torch

from d2c.comparison.claims import NoStandardisation
from d2c.comparison.methods import METHODS, Rules, chosen
from d2c.comparison.triplet import TripletForm, triplet_of
from d2c.errors import ConfigError
from d2c.losses import triplet_loss
from d2c.networks import find


def test_single_paths_of_the_papers_size_have_16_48_and_72_blocks():
    paths = chosen(["path-depth", "path-body", "path-parameters"], "paper", 8, Rules())
    assert [path.model.depth * path.model.groups * path.model.blocks for path in paths] == [16, 48, 72]
    assert [path.model.blocks for path in paths] == [4, 12, 18]
    assert {path.model.width for path in paths} == {1}
    assert [path.parameters() for path in paths] == [1_933_059, 4_315_011, 6_101_475]
    assert {path.stage for path in paths} == {"1"}


def test_all_networks_share_loss_rate_and_schedule_and_native_ones_do_not():
    rules = Rules(loss="l1", lr=3e-4, batch=8, patch=32)
    trained = [method.train for method in chosen([], "tiny", 4, rules) if method.network]
    assert len(trained) == len(METHODS) - 2
    assert {(t.loss, t.lr, t.schedule, t.batch, t.patch, t.ema) for t in trained} == {("l1", 3e-4, "cosine", 8, 32, 0)}
    native = {method.name: method.train for method in chosen([], "paper", 4, Rules(native=True)) if method.network}
    assert (native["rrdb"].lr, native["lpkpn"].batch, native["srresnet"].lr) == (2e-4, 64, 2e-4)


@pytest.mark.slow
def test_the_size_of_one_and_a_half_million_is_that_at_x8():
    counts = {m.name: m.parameters() for m in chosen([], "1.5M", 8, Rules()) if m.network}
    compared = {name: count for name, count in counts.items() if name not in ("path-depth", "path-body")}
    assert all(1_350_000 < count < 1_650_000 for count in compared.values()), compared


def test_unknown_methods_and_sizes_are_named():
    with pytest.raises(ConfigError, match="method: got 'srgan', expected some of bicubic, filter"):
        chosen(["srgan"], "paper", 8, Rules())
    with pytest.raises(ConfigError, match="size: got 'huge', expected one of paper"):
        chosen([], "huge", 8, Rules())


def test_the_triplet_with_all_its_parts_is_the_one_that_trains():
    torch.manual_seed(0)
    predictions, hr = torch.rand(2, 4, 3, 9, 8), torch.rand(2, 3, 9, 8)
    own = triplet_loss(predictions, hr, tree=(2, 2), theta=0.8, margin=0.1)
    made = triplet_of(predictions, hr, TripletForm(), tree=(2, 2), theta=0.8, margin=0.1)
    torch.testing.assert_close(made, own)
    for form in (TripletForm(absolute=False), TripletForm(squared=False), TripletForm(standardised=False)):
        assert not torch.isclose(triplet_of(predictions, hr, form, tree=(2, 2), theta=0.8, margin=0.1), own)


def test_the_literal_triplet_is_eq_4_with_norms():
    torch.manual_seed(0)
    predictions, hr = torch.rand(1, 2, 3, 6, 6), torch.rand(1, 3, 6, 6)
    made = triplet_of(
        predictions, hr, TripletForm(standardised=False, squared=False), tree=(1, 2), theta=0.8, margin=0.1
    )
    a, b = (predictions[0, k] - hr[0] for k in range(2))
    a, b = a.abs(), b.abs()
    root = a.numel() ** 0.5
    apart = (a - b).norm() / root
    wanted = sum((r.norm() / root - apart + 0.1).clamp(min=0) for r in (a, b)) / 2
    torch.testing.assert_close(made, wanted)


def test_a_claim_is_a_network_of_its_own_with_d2csrs_settings():
    found = find(f"{NoStandardisation.__module__}:NoStandardisation")
    assert found.preset("paper") == find("d2csr").preset("paper")
    assert [stage.__name__ for stage in found.stages(found.preset("tiny").train)] == [
        "PlainDivergence",
        "ConvergenceStage",
    ]
