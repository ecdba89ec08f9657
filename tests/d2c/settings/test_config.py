"""Settings: presets, ranges, and TOML there and back."""

from __future__ import annotations

import dataclasses
import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.errors import ConfigError
from d2c.networks import find
from d2c.settings import toml

PRESETS, preset = find("d2csr").sizes(), find("d2csr").preset


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_toml(name, tmp_path):
    chosen = preset(name)
    path = tmp_path / "config.toml"
    path.write_text(
        toml.to_text({"model": dataclasses.asdict(chosen.model), "train": dataclasses.asdict(chosen.train)})
    )
    tables = toml.read(path)
    assert toml.from_table(D2CConfig, tables["model"], D2CConfig(), "x") == chosen.model
    assert toml.from_table(TrainConfig, tables["train"], TrainConfig(), "x") == chosen.train


def test_presets_are_the_documented_ones():
    assert list(PRESETS) == ["paper", "released", "small", "tiny"]
    paper = preset("paper")
    assert (paper.model.depth, paper.model.width, paper.model.groups, paper.model.blocks) == (2, 2, 2, 4)
    assert (paper.train.lr, paper.train.batch, paper.train.patch, paper.train.epochs) == (1e-4, 4, 96, 20_000)
    assert preset("released").model.convergence_gain == preset("paper").model.convergence_gain == 1
    released = preset("released").train
    assert (released.alpha, released.margin, released.margin_siblings, released.joint) == (2e-5, 5e-5, 2e-5, True)


def test_unknown_preset():
    with pytest.raises(ConfigError, match="expected one of paper, released, small, tiny"):
        preset("huge")


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True),
        st.one_of(
            st.booleans(),
            st.integers(-(2**62), 2**62),
            st.floats(allow_nan=False),
            st.text(st.characters(codec="utf-8")),
        ),
    )
)
def test_toml_text_reads_back(table):
    assert tomllib.loads(toml.to_text({"t": table})) == {"t": table}


def test_none_is_left_out_and_other_values_refused():
    assert toml.to_text({"t": {"a": None, "b": 1}}) == "[t]\nb = 1\n"
    with pytest.raises(TypeError, match="no TOML form for list"):
        toml.to_text({"t": {"a": []}})
    assert math.isinf(tomllib.loads(toml.to_text({"t": {"a": math.inf}}))["t"]["a"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[train]\nlearning_rate = 1", "unknown setting 'learning_rate'"),
        ("[train]\nbatch = 1.5", "batch: got 1.5, expected int"),
        ("[train]\nbatch = true", "batch: got True, expected int"),
        ("[train]\njoint = 1", "joint: got 1, expected bool"),
        ("[train]\nprecision = 'fp8'", "precision: got 'fp8', expected one of fp32, tf32, bf16, fp16"),
        ("[train]\ntheta = 2", "theta: got 2.0, expected 0 to 1; change --theta"),
        ("[train]\nlr = nan", "lr: got nan, expected at least 0"),
        ("[train]\nbatch = 4\naccumulate = 3", "a batch of 4 has no 3 equal parts"),
        ("batch = 4", "batch stands outside a table"),
        ("[train", "is not TOML"),
    ],
)
def test_wrong_settings_are_named(text, message, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        toml.from_table(TrainConfig, toml.read(path)["train"], TrainConfig(), "c.toml")


def test_whole_numbers_do_for_floats(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("[train]\nalpha = 1\nmargin_siblings = 2\n")
    train = toml.from_table(TrainConfig, toml.read(path)["train"], TrainConfig(), "c.toml")
    assert (train.alpha, train.margin_siblings) == (1.0, 2.0)
    assert isinstance(train.alpha, float)


def test_numbers_that_single_precision_cannot_hold_are_refused():
    for value in (math.inf, 1e300):
        with pytest.raises(ConfigError, match=r"lr: got .*, expected a finite number, at most 1e\+38; change --lr"):
            TrainConfig(lr=value)


@pytest.mark.parametrize("name", ["ema", "beta1", "beta2"])
def test_decays_that_forget_nothing_are_refused(name):
    with pytest.raises(ConfigError, match=f"{name}: got 1.0, expected below 1; change --{name}"):
        TrainConfig(**{name: 1.0})


@pytest.mark.parametrize("name", ["seed", "steps", "patch"])
def test_whole_numbers_that_no_library_takes_are_refused(name):
    with pytest.raises(ConfigError, match=rf"{name}: got 9+, expected at most 9223372036854775807; change --{name}"):
        TrainConfig(**{name: int("9" * 30)})
