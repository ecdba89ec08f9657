"""Tables 2 and 3, the paper's claims, and Fig. 8: what is trained, and how a sentence of the paper is answered."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from d2c.comparison.compare import compare
from d2c.comparison.figure8 import STRUCTURES, answer, answers, methods_of_figure8
from d2c.comparison.intervals import Difference
from d2c.comparison.methods import Rules
from d2c.errors import ConfigError
from d2c.networks import find


@pytest.mark.parametrize("name", ["LiteralNorms", "NoStandardisation", "NoAbsoluteValue"])
def test_each_claim_trains_both_nets(name):
    network = find(f"d2c.comparison.claims:{name}")
    preset = network.preset("tiny")
    model = network.make(dataclasses.replace(preset.model, scale=2, features=4, convergence_features=4))
    torch.manual_seed(0)
    lr, hr = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 16, 16)
    for kind, parameters in zip(
        network.stages(preset.train), (model.divergence_parameters(), model.convergence_parameters()), strict=True
    ):
        stage = kind(model, preset.train)
        terms = stage(lr, hr, **stage.term_weights(0))
        assert set(terms) <= set(stage.terms)
        terms["total"].backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in parameters)


def test_a_perfect_prediction_has_a_finite_gradient_under_literal_norms():
    from d2c.comparison.triplet import norm

    same = torch.rand(2, 3, 5, 5, requires_grad=True)
    norm(same - same.detach()).backward()
    assert torch.isfinite(same.grad).all()


@pytest.mark.slow
def test_the_sizes_of_figure_8_are_the_papers():
    methods = {m.name: m for m in methods_of_figure8(list(STRUCTURES), "paper", 8, Rules())}
    assert list(methods) == list(STRUCTURES)
    small = methods["d2csr-0.19M"].model
    assert (small.features, small.groups, small.blocks, small.width, small.depth) == (16, 1, 1, 2, 2)
    counted = {"d2csr-0.23M": 230_136, "d2csr-0.19M": 188_082}  # the tree alone
    for name, trees in counted.items():
        idle = dataclasses.replace(methods[name], stage="1")
        assert idle.parameters() == trees
    with pytest.raises(ConfigError, match="method: got 'd2csr-9M', expected some of bicubic"):
        methods_of_figure8(["d2csr-9M"], "paper", 8, Rules())


def test_a_network_without_the_scale_is_left_out_of_figure_8_unless_it_is_named():
    at_4, at_2 = ([m.name for m in methods_of_figure8([], "tiny", scale, Rules())] for scale in (4, 2))
    assert [name for name in at_4 if name not in at_2] == ["srflow"]
    assert len(at_4) == len(set(at_4))
    assert at_4[-len(STRUCTURES) :] == list(STRUCTURES)
    with pytest.raises(ConfigError, match="scale: got 2, expected 4 or 8"):
        methods_of_figure8(["srflow"], "tiny", 2, Rules())
    assert [m.name for m in methods_of_figure8(["d2csr-0.19M"], "tiny", 2, Rules())] == ["d2csr-0.19M"]


def test_the_papers_sentence_is_answered_yes_no_or_unresolved():
    assert answer(Difference(0.1, 0.05, 0.15, "interval")) == "yes"
    assert answer(Difference(-0.1, -0.15, -0.05, "interval")) == "no"
    assert answer(Difference(0.1, -0.05, 0.15, "interval")) == "unresolved"
    assert answer(Difference(0.1, 0.05, 0.15, "range")) == "unresolved"


@pytest.mark.slow
def test_small_models_are_compared_with_rcan_and_cdc(begun):
    work, tests = begun
    rules = Rules(batch=2, patch=16)
    found = compare(work, methods_of_figure8(["rcan", "cdc", "d2csr-0.19M"], "tiny", 2, rules), [0], tests)
    said = answers(found, tests)
    assert len(said) == 2
    assert all("is D2C-SR, 4 features, 1 × 1 blocks" in text and "**unresolved**" in text for text in said)
