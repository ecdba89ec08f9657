"""What a report reads from the log of a run whose stages are not those of its network."""

from __future__ import annotations

import pytest

import d2c
from d2c.d2csr.config import TrainConfig
from d2c.d2csr.entry import NETWORK
from d2c.networks import find
from d2c.networks.base.stage import Stage
from d2c.report.curves import Log, figures, read_log
from d2c.report.headline import state_of
from d2c.training.log import columns
from d2c.training.runfolder import RunFolder


class Edges(Stage):
    """A loss with a term that no network of the table has, and a weight."""

    terms, weights, realigns = ("total", "pixel", "edge"), ("strength",), True

    def term_weights(self, epoch):
        return {"strength": 0.5}

    def forward(self, lr, hr, **weights):
        sr = self.upscaled(lr)
        hr = self.target(sr, hr)
        pixel, edge = (sr - hr).abs().mean(), (sr.diff(dim=-1) - hr.diff(dim=-1)).abs().mean()
        return {"total": pixel + weights["strength"] * edge, "pixel": pixel, "edge": edge}


class Again(Edges):
    """A second stage."""

    lengths = ("steps_convergence", "epochs_convergence")


def squares(sr, hr):
    return (sr - hr).square().mean()


@pytest.mark.parametrize(
    ("loss", "stages", "terms"),
    [
        (squares, 1, ["total"]),
        (Edges, 1, ["total", "pixel", "edge"]),
        ([Edges, Again], 2, ["total", "pixel", "edge"]),
    ],
)
def test_a_run_with_stages_of_its_own_is_finished_and_has_their_terms(loss, stages, terms, pairs, tmp_path):
    out, options = tmp_path / "run", {"patch": 8, "batch": 2, "features": 6, "device": "cpu", "log_every": 1}
    options |= {"steps": 4, "steps_convergence": 2, "realign": True, "ema": 0.0}
    d2c.train(pairs, out, preset="tiny", loss=loss, **options)
    log, settings = read_log(out / "log.csv"), RunFolder(out).settings()
    state = state_of(log, settings)
    assert state == (stages, 4 if stages == 1 else 2, 4 if stages == 1 else 2, stages)
    assert state.is_finished
    chart = next(figure.chart for figure in figures(log, settings.network, settings.train) if figure.id == "loss")
    assert [line.name for line in chart.lines] == terms
    settings.facts.pop("stage_steps")  # an earlier version did not note them
    assert state_of(log, settings).stages == stages
    assert state_of(log, settings).is_finished == (stages == 1)


@pytest.mark.parametrize("name", ["d2csr", "cdc", "lpkpn", "srflow", "edsr"])
def test_the_terms_of_a_log_are_those_of_the_stages_of_its_network(name):
    network = find(name)
    model, train, _ = network.preset("tiny")
    row = dict.fromkeys([*columns(network, model, train), "at"], 1.0)
    terms = dict.fromkeys(term for kind in network.stages(train) for term in kind.terms)
    assert Log(rows=[row], stages=[]).terms == list(terms)
    assert Log(rows=[], stages=[]).terms == []


def test_the_advice_on_the_rate_names_the_option_by_which_the_run_counts():
    log = Log(rows=[{"at": 1.0, "lr": 1e-4}], stages=[])
    for changes, option in (({}, "--lr-halve-epochs"), ({"lr_halve_steps": 5}, "--lr-halve-steps")):
        assert figures(log, NETWORK, TrainConfig(**changes))[-1].todo == f"A longer run, or {option}."
