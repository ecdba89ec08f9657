"""The recipes where nothing, or not everything, could be trained: the reasons are said, and no number is made up."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from d2c.comparison import cells
from d2c.comparison.compare import Comparison
from d2c.comparison.test_sets import TestSet
from d2c.errors import BatchError, TrainingError
from tests.d2c.recipes import recipe


@pytest.fixture
def all_diverge(monkeypatch):
    """Every training ends without a model."""

    def diverge(*_args):
        raise TrainingError("the loss is nan")

    monkeypatch.setattr(cells, "train", diverge)


@pytest.mark.usefixtures("all_diverge")
def test_where_nothing_can_be_trained_the_reasons_are_said_and_no_table_is_written(pairs, tmp_path):
    where = ["--train", pairs, "--out", tmp_path, "--size", "tiny", "--device", "cpu", "--budget", "crops=4"]
    for rates, reason in (
        ([1e-3, 1e-4], "edsr: diverges at every rate of 0.001, 0.0001; add a lower --lr"),
        ([1e-3], f"{pairs.name}_edsr_seed0: the loss is nan"),
    ):
        options = [part for rate in rates for part in ("--lr", rate)]
        arguments = [*where, *options, "--only", "edsr", "--seeds", 1, "--batch", 2, "--patch", 8]
        with pytest.raises(BatchError, match=f"^nothing could be trained: .*{re.escape(reason)}$"):
            CliRunner().invoke(
                recipe("table1").main, [str(a) for a in arguments], catch_exceptions=False, standalone_mode=False
            )
    assert not (tmp_path / "table1.csv").exists()


@pytest.mark.usefixtures("all_diverge")
@pytest.mark.parametrize("name", ["precision", "ablations"])
def test_where_no_model_can_be_trained_the_reasons_are_said_and_nothing_is_written(name, pairs, tmp_path):
    where = ["--train", pairs, "--out", tmp_path, "--size", "tiny", "--device", "cpu", "--seeds", 1]
    with pytest.raises(BatchError, match=r"^nothing could be trained: .*_seed0: the loss is nan"):
        CliRunner().invoke(recipe(name).main, [str(a) for a in where], catch_exceptions=False, standalone_mode=False)
    assert [path.name for path in tmp_path.iterdir()] == ["cells"]


@pytest.mark.parametrize(("trained", "psnr"), [("fp32", "not trained"), ("bf16", "25.000")])
def test_precisions_without_a_common_seed_have_no_loss(trained, psnr):
    names = ["test", "method", "seed", "output", "protocol", "image", "psnr_db"]
    rows = [("cards", trained, 0, output, "basicsr-y", "000", 25.0) for output in ("fused", "mean")]
    found = Comparison(cells=[], rows=pd.DataFrame(rows, columns=names), failures=[])
    tested = TestSet(name="cards", data=Path("cards"), scale=2, pairs=[], layout="folders", fingerprint="")
    page = recipe("precision").page(found, tested, ["fp32", "bf16"])
    assert f"| fused | bf16 | {psnr} | no seed was trained in both |" in page
