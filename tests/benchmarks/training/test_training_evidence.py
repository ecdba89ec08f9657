"""The training benchmark, run small on pictures made here: each part's table, and that nothing is done twice."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="torch is not installed (extra 'train')")

from benchmarks.result_tables import write_csv
from benchmarks.training import training_evidence
from benchmarks.training.training_evidence import main, measured
from benchmarks.training.training_sets import city100_x4, validation_pairs
from d2c.d2csr.presets import PRESETS
from d2c.data.layouts import find_pairs, with_split
from d2crealsr.errors import UsageError
from d2crealsr.store import read_image, write_image


@pytest.fixture(scope="module")
def city100(tmp_path_factory):
    """Seven pairs of equal size, of noise that LR has smoothed."""
    from scipy.ndimage import gaussian_filter

    folder = tmp_path_factory.mktemp("city100")
    rng = np.random.default_rng(0)
    for k in range(1, 8):
        texture = gaussian_filter(rng.normal(0, 1, (115, 129, 3)), (2, 2, 0))
        for kind, sigma in (("H", 0), ("L", 2)):
            image = gaussian_filter(texture, (sigma, sigma, 0))
            write_image(folder / f"{k:03d}{kind}.PNG", np.clip(128 + 400 * image, 0, 255).astype(np.uint8))
    return folder


def run(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_pairs_of_city100_are_reduced_and_split(city100, tmp_path):
    made = city100_x4(city100, tmp_path / "pairs")
    pairs = find_pairs(made.folder)
    assert [(p.name, p.scale, p.split) for p in pairs if p.split == "test"] == [("003", 4, "test"), ("007", 4, "test")]
    lr, source = read_image(pairs[0].lr), read_image(city100 / "001L.PNG")
    assert lr.shape == (28, 32, 3)
    assert lr[3, 5, 1] == round(float(source[12:16, 20:24, 1].mean()))
    names = {p.name for p in with_split(pairs, "train", made.folder)}
    assert {p.name for p in validation_pairs(made.folder, 0.2)} < names
    for record in (True, False):
        if not record:
            (made.folder / "asked.json").unlink()
        city100_x4(city100, made.folder)
        with pytest.raises(UsageError, match=r"was made with .*scenes 7.*, now asked for .*scenes 3"):
            city100_x4(city100, made.folder, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("part", "column"), [("gain", "gain"), ("losses", "alpha")])
def test_a_part_makes_its_table_once(city100, tmp_path, part, column):
    where = ("--work", tmp_path / "work", "--city100", city100, "--set", "city100-x4", "--small", "--seeds", "0")
    output = run(part, *where, "--out", tmp_path / "table.txt")
    assert "measured: validation pairs" in output
    assert str(tmp_path) not in output
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row[column] for row in rows}) == len(rows) == 2
    for row in rows:
        branches = [float(row[f"branch_{k}"]) for k in (1, 2, 3, 4)]
        assert float(row["fused_over_best"]) == pytest.approx(float(row["fused"]) - max(branches))
        assert float(row["oracle"]) > max(branches)
        assert float(row["divergence"]) > 0
        assert float(row["cpu_minutes"]) > 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("row.csv")}
    assert run(part, *where) == output
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("row.csv")} == before


def test_pooled_psnr_is_that_of_the_mean_error(city100, tmp_path):
    import torch

    from d2c import D2CSR, D2CConfig

    torch.manual_seed(0)
    model = D2CSR(D2CConfig(scale=4, features=4, groups=1, blocks=1, reduction=2, convergence_features=4))
    row, images = measured(model, find_pairs(city100_x4(city100, tmp_path / "pairs").folder)[:2])
    errors = [255**2 * 10 ** (-image["psnr_db"] / 10) for image in images if image["method"] == "bicubic"]
    assert row["pooled_bicubic"] == pytest.approx(10 * np.log10(255**2 / np.mean(errors)))
    assert row["pooled_bicubic"] < row["bicubic"]


def test_test_pairs_are_for_reporting_seeds_only(city100, tmp_path):
    where = ["main", "--work", str(tmp_path), "--city100", str(city100), "--small", "--seeds", "0"]
    result = CliRunner().invoke(main, where)
    assert result.exit_code == 2
    assert "main needs reporting seeds" in result.output


def test_a_finished_run_of_other_steps_is_refused(tmp_path):
    from d2c.settings import toml

    preset = PRESETS["tiny"]
    settings = dataclasses.replace(preset.train, steps=20)
    text = toml.to_text(
        {"model": {"network": "d2csr", **dataclasses.asdict(preset.model)}, "train": dataclasses.asdict(settings)}
    )
    (tmp_path / "config.toml").write_text(text)
    write_csv(tmp_path / "row.csv", [{"seed": 0, "cpu_minutes": 1, "fused": 20, "mean": 19}])
    run = training_evidence.Run(folder=tmp_path, data=None, model=preset.model, train=settings, labels={"seed": 0})
    assert training_evidence.table([run], on_test=False)[0]["fused"] == 20
    longer = dataclasses.replace(run, train=dataclasses.replace(settings, steps=700))
    with pytest.raises(UsageError, match="was trained with steps 20, now asked for 700; give another --work"):
        training_evidence.table([longer], on_test=False)


def test_the_small_simulated_set_fills_a_batch_and_the_others_need_city100(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(training_evidence, "simulated", lambda *_, **wanted: asked.append(wanted))
    training_evidence.training_sets(tmp_path, None, "simulated-x8", True, 1)
    scenes, test = asked[0]["scenes"], asked[0]["test"]
    assert test
    assert (1 - training_evidence.VALIDATION) * (scenes - test) - 2 > PRESETS["tiny"].train.batch  # QA may refuse two
    with pytest.raises(UsageError, match=r"needs City100, .*; give it with --city100"):
        training_evidence.training_sets(tmp_path, None, "city100-x4", True, 1)
