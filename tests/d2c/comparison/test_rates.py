"""The best of several rates for each method; one that cannot be trained at any does not stop the others."""

from __future__ import annotations

import dataclasses

import pytest

from d2c.comparison import cells
from d2c.comparison.cells import Cell
from d2c.comparison.methods import BICUBIC, Rules, chosen
from d2c.comparison.rates import at_rate, with_best_rates
from d2c.errors import ConfigError, MemoryNeedError, TrainingError

RATES = (1e-3, 1e-4)


@pytest.fixture
def methods():
    """Two networks of a few weights, and bicubic."""
    found = chosen(["edsr", "srresnet"], "tiny", 2, Rules(batch=2, patch=8))
    small = [dataclasses.replace(m, model=dataclasses.replace(m.model, features=4, blocks=1)) for m in found]
    return [*small, BICUBIC]


def test_each_method_has_its_best_rate(begun, methods):
    work, _ = begun
    found, failures = with_best_rates(work, methods, RATES)
    assert failures == []
    assert [method.name for method in found] == [method.name for method in methods]
    for method in found[:-1]:
        tried = [Cell(work, at_rate(method, rate)).curve()[-1][1] for rate in RATES]
        assert Cell(work, method).curve()[-1][1] == max(tried) > min(tried)


@pytest.mark.parametrize("error", [TrainingError("the loss is nan"), MemoryNeedError("got 8 GiB free, expected 9")])
def test_a_method_that_cannot_be_trained_at_any_rate_is_named_and_the_others_go_on(begun, methods, monkeypatch, error):
    work, _ = begun
    train = cells.train

    def refuse(request, *args, **kwargs):
        if request.network == "edsr":
            raise error
        return train(request, *args, **kwargs)

    monkeypatch.setattr(cells, "train", refuse)
    found, failures = with_best_rates(work, methods, RATES)
    assert [method.name for method in found] == ["srresnet", "bicubic"]
    (failure,) = failures
    diverges = "diverges at every rate of 0.001, 0.0001; add a lower --lr"
    expected = diverges if isinstance(error, TrainingError) else error
    assert failure == f"edsr: {expected}"


def test_rates_need_validation_pairs(begun, methods):
    work, _ = begun
    without = [dataclasses.replace(methods[0], train=dataclasses.replace(methods[0].train, validation=0.0))]
    with pytest.raises(ConfigError, match="several rates need validation pairs to choose by; give one --lr"):
        with_best_rates(work, without, RATES)
