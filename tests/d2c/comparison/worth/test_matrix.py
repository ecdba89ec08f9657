"""The matrix: cut anywhere it goes on, and ends with the rows of one that was not cut."""

from __future__ import annotations

import dataclasses
import signal

import pandas as pd
import pytest

from d2c.comparison.deadline import Deadline, TimeIsUp
from d2c.comparison.worth import course
from d2c.comparison.worth.arms import SIZES
from d2c.comparison.worth.matrix import TRIAL_SEED, Matrix, Table
from d2c.errors import ConfigError, DataError, MemoryNeedError, MemoryRanOutError, TrainingError
from d2crealsr.ui.interrupts import Interrupted
from d2crealsr.ui.progress import Reporter

TINY = dataclasses.replace(SIZES["tiny"], milestones=(2, 5), rates=(1e-3,))
ONLY = ("mean",)


class Killed(BaseException):
    """The process is gone."""


class Killer(Reporter):
    """Ends the process after so many steps of all trainings."""

    def __init__(self, steps):
        self.left = steps

    def step(self, done, info=""):
        self.left -= 1
        if not self.left:
            raise Killed


def matrix(work, tests, only=ONLY):
    return Matrix(work=work, tests=tests, size=TINY, seeds=[0], only=only)


def without_seconds(found):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in found.rows.rows]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("only", "kills"),
    [(ONLY, (13,)), (("together", "mean"), (13, 13, 9))],
    ids=["stage 1", "two arms that share it"],
)
def test_a_matrix_that_is_killed_ends_with_the_rows_of_one_that_is_not(begun, monkeypatch, only, kills):
    work, tests = begun
    whole = matrix(dataclasses.replace(work, out=work.out / "whole"), tests, only)
    whole.run()
    assert whole.done == whole.wanted == 2 * len(only)
    assert not list((work.out / "whole/cells").iterdir())
    kept = {path.name for path in (work.out / "whole/weights").iterdir()}
    assert kept == {f"{name}-seed0.safetensors" for name in only}
    for steps in kills:  # the first pieces of work are decoded images
        with pytest.raises(Killed):
            matrix(dataclasses.replace(work, reporter=Killer(steps)), tests, only).run()
    matrix(work, tests, only).run()
    monkeypatch.setattr(course, "measured", None)
    again = matrix(work, tests, only)
    again.run()  # nothing is done twice
    assert without_seconds(again) == without_seconds(whole)
    assert again.trials.rows == whole.trials.rows
    row = again.rows.find(only[0], 0, tests[0].name, 5)
    assert (row["blocks"], row["rate"], row["crops"]) == ("6", "0.001", "10")
    assert 0 <= float(row["weight_departure"]) < 0.5


def test_what_is_written_is_not_done_again_after_a_cut_at_any_place(begun, monkeypatch):
    work, tests = begun
    calls = []

    def done(*call):
        calls.append(call)
        if len(calls) == cut:
            raise Killed
        return 20.0 + call[-1]

    monkeypatch.setattr(course.Course, "validated", lambda self, arm, steps: done(arm.name, self.rate, steps))
    monkeypatch.setattr(course.Course, "row", lambda self, arm, steps, _: {"result": done(arm.name, self.seed, steps)})
    monkeypatch.setattr(course.Course, "keep", lambda *_: None)
    only = ("together", "mean", "path-depth")
    cut = 0
    whole = matrix(dataclasses.replace(work, out=work.out / "whole"), tests, only)
    whole.run()
    every = [*calls]
    assert len(every) == 3 + 3 * 2
    for cut in range(1, len(every) + 1):
        calls.clear()
        own = dataclasses.replace(work, out=work.out / str(cut))
        with pytest.raises(Killed):
            matrix(own, tests, only).run()
        cut, before = 0, [*calls]
        calls.clear()
        again = matrix(own, tests, only)
        again.run()
        assert before[:-1] + calls == every
        assert again.rows.rows == whole.rows.rows
        assert again.done == again.wanted == 6


def test_when_the_time_is_up_it_stops_and_the_same_command_goes_on(begun):
    work, tests = begun
    with Deadline(0) as over, pytest.raises(TimeIsUp):
        matrix(dataclasses.replace(work, interrupts=over), tests).run()
    found = Deadline()
    assert not found.asked
    found.check()
    with Deadline(0) as over, over.held():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):  # a signal comes first
            over.check()


def test_a_rate_that_diverges_is_left_out_and_a_failed_seed_is_named(begun, monkeypatch):
    work, tests = begun
    size = dataclasses.replace(TINY, rates=(1e-3, 2e-3))
    at = {1e-3: 20.0, 2e-3: None}

    def validated(self, arm, _steps):
        if at[self.rate] is None:
            raise TrainingError("the loss is nan")
        return at[self.rate]

    def row(self, *_):
        assert (self.rate, self.seed) == (1e-3, 0)
        raise TrainingError("the loss is inf")

    monkeypatch.setattr(course.Course, "validated", validated)
    monkeypatch.setattr(course.Course, "row", row)
    found = Matrix(work=work, tests=tests, size=size, seeds=[0], only=["path-depth"])
    found.run()
    assert found.failures == ["path-depth, seed 0: the loss is inf"]
    assert [trial["psnr_db"] for trial in found.trials.rows] == ["20", ""]


def path_depth_fails_in_its_trials(monkeypatch, error):
    """The other arm, path-body, ends its trials and diverges when it is trained. Returns the trials as they come."""
    tried = []

    def validated(self, arm, _steps):
        tried.append((arm.name, self.rate))
        if arm.name == "path-depth":
            raise error
        return 20.0

    def row(self, arm, *_):
        assert arm.name == "path-body"
        raise TrainingError("the loss is inf")

    monkeypatch.setattr(course.Course, "validated", validated)
    monkeypatch.setattr(course.Course, "row", row)
    return tried


def test_an_arm_that_diverges_at_every_rate_does_not_end_the_others(begun, monkeypatch):
    work, tests = begun
    path_depth_fails_in_its_trials(monkeypatch, TrainingError("the loss is nan"))
    found = Matrix(work=work, tests=tests, size=TINY, seeds=[0], only=["path-depth", "path-body"])
    found.run()
    assert [why.partition(":")[0] for why in sorted(found.failures)] == ["path-body, seed 0", "path-depth"]


@pytest.mark.parametrize("error", [MemoryRanOutError, MemoryNeedError])
def test_an_arm_that_does_not_fit_into_memory_is_tried_once_and_again_in_the_next_run(begun, monkeypatch, error):
    work, tests = begun
    size = dataclasses.replace(TINY, rates=(1e-3, 2e-3))
    tried = path_depth_fails_in_its_trials(monkeypatch, error("too large"))
    for _ in range(2):
        found = Matrix(work=work, tests=tests, size=size, seeds=[0], only=["path-depth", "path-body"])
        found.run()
        assert found.failures == ["path-depth, rate 0.001: too large", "path-body, seed 0: the loss is inf"]
        assert {trial["arm"] for trial in found.trials.rows} == {"path-body"}
    assert tried.count(("path-depth", 1e-3)) == 2
    assert tried.count(("path-body", 1e-3)) == tried.count(("path-body", 2e-3)) == 1
    assert ("path-depth", 2e-3) not in tried


def test_other_pairs_another_size_and_unknown_arms_are_refused(begun):
    work, tests = begun
    matrix(work, tests)
    with pytest.raises(ConfigError, match=r"asked.json: was begun with milestones = \[2, 5\], now it is \[4, 8, 16\]"):
        Matrix(work=work, tests=tests, size=SIZES["tiny"], seeds=[0])
    with pytest.raises(ConfigError, match=r"arm: got 'tree', expected some of published, together, path-depth, "):
        Matrix(work=work, tests=tests, size=TINY, seeds=[0], only=["tree"])
    with pytest.raises(ConfigError, match="seeds: got 1001, at most 1000; lower --seeds"):
        Matrix(work=work, tests=tests, size=TINY, seeds=range(TRIAL_SEED + 1))


def test_a_table_is_read_back_and_another_one_is_refused(tmp_path):
    table = Table(tmp_path / "rows.csv", ("arm", "seed"), ("psnr", "mean"))
    table.add(("a", 0), {"psnr": 25.1234567})
    again = Table(tmp_path / "rows.csv", ("arm", "seed"), ("psnr", "mean"))
    assert again.rows == table.rows == [{"arm": "a", "seed": "0", "psnr": "25.1235", "mean": ""}]
    assert again.find("a", 0)
    assert again.find("a", 1) is None
    assert list(pd.read_csv(tmp_path / "rows.csv").columns) == ["arm", "seed", "psnr", "mean"]
    with pytest.raises(DataError, match="is not the table of this program; move it away"):
        Table(tmp_path / "rows.csv", ("arm", "seed"), ("psnr",))
