"""The arms: equal in what they are called equal, and sharing what they share."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from d2c.comparison.worth.arms import BASELINE, MAIN, SIZES, arms_of
from d2c.d2csr.network import D2CSR
from d2c.inference.run import upscale
from d2c.networks import find, network_of
from d2c.networks.base.count import executed_multiply_adds
from d2c.tails.siblings import run_siblings


@pytest.fixture(scope="module")
def arms():
    return {arm.name: arm for arm in arms_of(SIZES["tiny"], 2)}


def test_arms_of_one_trunk_share_stage_1(arms):
    trunks = {}
    for arm in arms.values():
        assert trunks.setdefault(arm.trunk.name, arm.trunk).train == arm.trunk.train
        assert trunks[arm.trunk.name].model == arm.trunk.model
        assert arm.trunk.stage == "1"
    assert list(arms)[:2] == ["published", "together"]
    assert {*MAIN, BASELINE} <= set(arms)
    assert trunks["tree-alpha0.03"].train.alpha == 0.03
    assert {arm.trunk.name for name, arm in arms.items() if name in ("published", "together", "mean")} == {"tree"}


def test_all_steps_are_spent_and_the_last_stage_has_its_share(arms):
    for arm in arms.values():
        assert sum(arm.split(7000)) == 7000
    assert arms["published"].split(7000) == (6364, 636)
    assert arms["together"].split(7000) == (5600, 1400)
    assert arms["mean"].split(7000) == arms["path-body"].split(7000) == (7000, 0)


def test_a_constant_rate_and_no_clipping_for_all(arms):
    for arm in arms.values():
        assert {arm.method.stage, arm.trunk.stage} <= {"1", "2", "3"}
        assert (arm.trunk.train.schedule, arm.trunk.train.lr_halve_epochs, arm.trunk.train.clip_norm) == ("step", 0, 0)
        assert not arm.trunk.warmup
        assert arm.trunk.train.ema
    assert SIZES["table-3"].rates == (1e-4, 2e-4, 4e-4, 8e-4)
    assert SIZES["table-3"].milestones == (1500, 3000, 7000)


@pytest.mark.slow
def test_paths_equal_the_tree_in_what_they_are_called_after(arms):
    costs = {name: arm.costs() for name, arm in arms.items()}
    tree = costs["published"]
    assert costs["path-body"]["blocks"] == tree["blocks"] == costs["one-body"]["blocks"] == 6
    assert costs["path-depth"]["blocks"] == 2
    for name, what in (("path-parameters", "parameters"), ("path-multiply-adds", "multiply_adds")):
        one_more = dataclasses.replace(arms[name].method.model, blocks=arms[name].method.model.blocks + 1)
        assert costs[name][what] <= tree[what]
        more = dataclasses.replace(arms[name].method, model=one_more)
        assert getattr(more, "parameters" if what == "parameters" else "executed_multiply_adds")() > tree[what]
    assert costs["mean"]["parameters"] < tree["parameters"]  # without the convergence net


def test_a_composed_tail_costs_a_convolution_of_5_by_5_at_the_size_of_lr(arms):
    model = arms["path-depth"].method.model
    network, n = find("d2csr"), model.features
    one, two = (executed_multiply_adds(network, dataclasses.replace(model, blocks=k)) for k in (1, 2))
    assert two - one == model.depth * model.groups * 2 * 9 * n * n
    # Colours and head; in two branches a block, a group and a branch; two convolutions after the tree; and the tail.
    expected = 9 + 27 * n + 2 * (2 + 1 + 1) * 9 * n * n + 2 * 9 * n * n + 12 * 25 * n
    assert arms["path-depth"].method.executed_multiply_adds() == expected


def test_one_body_feeds_all_tails_and_runs_side_by_side_and_in_strips(arms):
    method = arms["one-body"].method
    torch.manual_seed(0)
    model = find(method.network).make(method.model).eval()
    assert isinstance(model, D2CSR)
    assert network_of(model)[1] == method.model
    lr = torch.rand(1, 3, 9, 7)
    with torch.no_grad():
        features, made = model.leaf_features(lr), model(lr)
        with run_siblings(side_by_side=True):
            torch.testing.assert_close(model(lr), made)
    assert len(features) == 4
    assert all(feature is features[0] for feature in features)
    pixels = (lr[0].movedim(0, -1) * 255).round().to(torch.uint8).numpy()
    with torch.no_grad():
        expected = model(torch.from_numpy(pixels / 255.0).float().movedim(-1, 0)[None])[0].movedim(0, -1)
    found = upscale(model, pixels)
    torch.testing.assert_close(torch.from_numpy(found.sr), expected, atol=1e-5, rtol=0)
    assert found.more["predictions"].shape == (4, 18, 14, 3)
