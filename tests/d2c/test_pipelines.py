"""The recipes, run small: they wire, they resume, they leave what they say."""

from __future__ import annotations

import dataclasses
import re
import runpy
import signal
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from d2c.comparison.cells import Cell, Work
from d2c.comparison.methods import BICUBIC, FILTER
from d2c.d2csr.presets import PRESETS
from d2c.errors import ConfigError
from d2c.inference.bicubic import bicubic
from d2c.settings.presets import scaled_down
from d2c.training.runfolder import RunFolder
from d2crealsr.command.demo import RECIPE
from d2crealsr.simulate.recipe import POSTCARDS
from d2crealsr.store.images import read_image, write_image
from d2crealsr.ui.progress import Reporter
from tests.d2c.recipes import PIPELINES, recipe


def run(name, *arguments):
    result = CliRunner().invoke(recipe(name).main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_from_pairs_to_figures(pairs, tmp_path):
    arguments = ["--data", pairs, "--out", tmp_path / "run", "--preset", "tiny", "--scale-down", 100, "--device", "cpu"]
    output = run("train_d2c", *arguments)
    assert "fused" in output
    assert set(pd.read_csv(tmp_path / "run/quality.csv")["protocol"]) == {"basicsr-y", "d2c-released"}
    figures = tmp_path / "run/figures"
    expected = {f"000_x2{part}.png" for part in ("", "_branches", "_weights", "_patch")}
    assert {p.name for p in figures.iterdir()} == expected
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*.png")}
    run("train_d2c", *arguments)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "run").rglob("*.png")} == before


def test_a_signal_lets_a_step_end_and_saves_it(pairs, tmp_path, monkeypatch):
    class Impatient(Reporter):
        def start(self, what, total, done=0):
            self.what = what

        def step(self, done, info=""):
            if (self.what, done) == ("stage 1", 1):
                signal.raise_signal(signal.SIGINT)

    arguments = ["--data", pairs, "--out", tmp_path, "--preset", "tiny", "--scale-down", 25, "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["train_d2c.py", *map(str, arguments)])
    monkeypatch.setattr("d2c.console.ConsoleReporter", Impatient)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(PIPELINES / "train_d2c.py"), run_name="__main__")
    assert ended.value.code == 130
    assert RunFolder(tmp_path).load_state()["step"] == 2  # the next save was due at step 4
    monkeypatch.undo()
    assert "fused" in run("train_d2c", *arguments)


def test_a_captioned_picture_ends_it(pairs, tmp_path):
    arguments = ["--data", pairs, "--out", tmp_path, "--preset", "tiny", "--scale-down", 100, "--device", "cpu"]
    output = run("train_d2c", *arguments, "--images", 1, "--caption", "Simulated.")
    assert f"LR enlarged | ours | HR, one picture: {tmp_path / 'comparison.png'}" in output
    picture = read_image(tmp_path / "comparison.png")
    hr = read_image(pairs / "hr/000.png")
    height, width = hr.shape[:2]
    np.testing.assert_array_equal(picture[-height:, -width:], hr)
    upscaled = read_image(tmp_path / "figures/000_x2.png")
    np.testing.assert_array_equal(picture[-height:, width + 4 :][:, :width], upscaled)
    assert (picture[:30] < 128).any()  # the caption


def test_the_demos_recipe_leaves_one_group_of_photographs_to_the_test():
    cards = pd.read_csv(RECIPE, dtype=str)
    assert cards["scene"].tolist() == [f"{number:03d}" for number in range(1, 22)]
    groups = cards[cards["scene"] != "021"].groupby("group")["scene"].agg(list)  # 021 is cut short
    assert groups["table"] == ["001", "002", "003"]
    assert all(len(scenes) > 3 for group, scenes in groups.items() if group != "table")
    sources = cards.groupby("group")["source"].agg(lambda names: set(";".join(names).split(";")))
    assert len(set().union(*sources)) == sum(map(len, sources))  # no photograph is in two groups
    assert set(cards["generator"]) <= set(POSTCARDS)


@pytest.mark.slow
def test_ablations_make_one_table(pairs, tmp_path):
    where = ["--data", pairs, "--out", tmp_path, "--preset", "tiny", "--scale-down", 100, "--device", "cpu"]
    output = run("ablations", *where, "--only", "no-triplet", "--only", "width-1", "--seeds", 2)
    assert "This is a smoke test and ranks nothing" in output
    assert "checkerboard" in output
    table = pd.read_csv(tmp_path / "ablations.csv")
    assert set(table["model"]) == {"no-triplet", "width-1"}
    assert set(table["seed"]) == {0, 1}
    assert list(table[(table.model == "width-1") & (table.seed == 0)]["method"]) == [
        "bicubic",
        "branch_1",
        "mean",
        "fused",
        "oracle",
    ]


@pytest.mark.slow
def test_worth_compares_arms_over_paired_seeds(pairs, tmp_path):
    where = ["--train", pairs, "--out", tmp_path, "--size", "tiny", "--device", "cpu", "--seeds", 2]
    chosen = [part for name in ("published", "path-depth") for part in ("--only", name)]
    assert "0 of 12 rows" in run("worth", *where, *chosen, "--minutes", 0)
    output = run("worth", *where, *chosen)
    assert "12 of 12 rows" in output
    assert "This is a smoke test and ranks nothing" in output
    rows = pd.read_csv(tmp_path / "rows.csv")
    assert len(rows) == len(rows.drop_duplicates(["arm", "seed", "test", "steps"])) == 12
    assert rows[rows["arm"] == "path-depth"]["oracle"].isna().all()
    last = rows[rows["steps"] == 16].pivot(index="seed", columns="arm", values="result")
    compared = pd.read_csv(tmp_path / "worth-differences.csv").set_index(["steps", "measure"])
    expected = (last["published"] - last["path-depth"]).mean()
    assert compared.loc[(16, "result"), "difference"] == pytest.approx(expected, abs=1e-5)
    page = (tmp_path / "worth.md").read_text()
    assert page in run("worth", *where, *chosen)
    assert (tmp_path / "worth.md").read_text() == page
    with pytest.raises(ConfigError, match="baseline: got 'rcan', expected one of published, "):
        run("worth", *where, "--baseline", "rcan")
    with pytest.raises(ConfigError, match="budget: got steps=5, but the size says the steps; leave --budget out"):
        run("worth", *where, "--budget", "steps=5")


def test_the_papers_tables_are_all_there():
    found = recipe("ablations").variants(PRESETS["paper"])
    assert found["no-triplet"].train.alpha == 0
    assert not found["no-deep-residual"].model.deep_residual
    assert [found[f"width-{k}"].model.width for k in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert [found[f"depth-{k}"].model.depth for k in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert (found["depth-4"].model.groups, found["depth-4"].model.blocks) == (2, 1)
    assert [found[f"single-depth-{k}"].model.width for k in (1, 2, 3, 4)] == [1, 1, 1, 1]
    assert found["single-depth-2"] is found["width-1"]
    assert found["depth-2"] is found["width-2"]
    assert found["theta-1"].train.theta == 1
    assert found["literal-norms"].network == "d2c.comparison.claims:LiteralNorms"


def test_scaling_down():
    paper = PRESETS["paper"]
    assert scaled_down(paper, 1) == paper
    small = scaled_down(paper, 100)
    assert small.model == paper.model
    assert (small.train.epochs, small.train.epochs_convergence, small.train.patch) == (200, 20, 10)
    released = scaled_down(PRESETS["released"], 10).train
    assert (released.triplet_after, released.triplet_period, released.triplet_length) == (20, 100, 20)
    assert dataclasses.replace(small.train, **{"epochs": 20_000}).lr == paper.train.lr
    with pytest.raises(ConfigError, match="scale-down: got 0"):
        scaled_down(paper, 0)


@pytest.fixture
def without_plots(monkeypatch):
    """Plots are named but not drawn, which takes longer than all the rest."""
    from d2c.comparison import results

    def write(_figure, path):
        path.parent.mkdir(exist_ok=True)
        path.touch()

    for name in ("quality_figure", "curves_figure"):
        monkeypatch.setattr(results, name, lambda *_: None)
    monkeypatch.setattr(results, "save_figure", write)


@pytest.mark.usefixtures("without_plots")
def test_table_1_is_made_cell_by_cell_and_says_that_minutes_rank_nothing(pairs, make_pairs, tmp_path):
    elsewhere = make_pairs(tmp_path / "elsewhere", count=2, test=2, seed=3)
    where = [
        "--train",
        pairs,
        "--test",
        pairs,
        elsewhere,
        "--out",
        tmp_path / "out",
        "--size",
        "tiny",
        "--device",
        "cpu",
    ]
    how = ["--budget", "steps=2", "--seeds", 2, "--batch", 2, "--patch", 8]
    few = ["--only", "bicubic", "--only", "filter", "--only", "path-depth"]
    output = run("table1", *where, *how, *few)
    assert "This is a smoke test and ranks nothing" in output
    assert "reference" in output
    table = pd.read_csv(tmp_path / "out/table1.csv")
    assert set(table["method"]) == {"bicubic", "filter", "path-depth"}
    assert table["test"].nunique() == 2
    run(
        "table1",
        *where[:2],
        "--out",
        tmp_path / "one",
        "--size",
        "tiny",
        "--device",
        "cpu",
        *how[:2],
        "--only",
        "bicubic",
    )
    assert "bicubic" in (tmp_path / "one/table1.md").read_text().lower()  # a method alone has no differences
    assert set(table["protocol"]) == {"basicsr-y", "d2c-released"}
    assert table.loc[
        table["method"] == "path-depth", ["seeds", "steps", "crops"]
    ].drop_duplicates().values.tolist() == [[2, 2, 4]]
    differing = pd.read_csv(tmp_path / "out/table1-differences.csv")
    assert set(differing.loc[differing["method"] == "path-depth", "bounds"]) == {"range"}
    page = (tmp_path / "out/table1.md").read_text()
    assert "31.67 / 0.887" in page
    assert "collage of protocols" in page
    marks = [int(number) for number in re.findall(r"^\[(\d+)\]", page, re.MULTILINE)]
    assert marks == list(range(1, len(marks) + 1))
    plots = {path.name for path in (tmp_path / "out/plots").iterdir()}
    assert {"table1-crops.png", "table1-elsewhere-basicsr-y.png"} <= plots
    shown = re.findall(r"\(plots/([^)]+)\)", page)
    assert sorted(shown) == sorted([*plots, *(name.replace(".png", ".pdf") for name in plots)])
    cells = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/cells").rglob("*") if path.is_file()}
    assert run("table1", *where, *how, *few).endswith(page + "\n")
    assert {path: path.stat().st_mtime_ns for path in cells} == cells


@pytest.mark.slow
def test_every_method_of_table_1_is_trained_and_each_tries_the_same_rates(pairs, tmp_path):
    where = ["--train", pairs, "--out", tmp_path, "--size", "tiny", "--device", "cpu", "--seeds", 1]
    how = ["--budget", "crops=4", "--batch", 2, "--patch", 16, "--lr", 1e-3, "--lr", 1e-4, "--loss", "l1"]
    run("table1", *where, *how)
    table = pd.read_csv(tmp_path / "table1.csv")
    networks = ["srresnet", "edsr", "rcan", "rrdb", "cdc", "lpkpn", "swinir"]
    assert list(table.loc[table["protocol"] == "basicsr-y", "method"]) == [
        "bicubic", "filter", *networks, "d2csr", "d2csr:mean", "path-depth", "path-body", "path-parameters",
    ]  # fmt: skip
    assert len(list((tmp_path / "cells").iterdir())) == 2 + 2 * 11
    assert read_image(tmp_path / "plots/table1-crops.png").std() > 10
    assert (tmp_path / "plots/table1-crops.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_a_flow_has_both_stages_in_one_budget_and_a_line_for_its_samples(make_pairs, tmp_path):
    pairs = make_pairs(tmp_path / "pairs", scale=4, count=4)
    where = ["--train", pairs, "--out", tmp_path, "--size", "tiny", "--device", "cpu", "--seeds", 1]
    run("table1", *where, "--budget", "crops=8", "--batch", 2, "--patch", 8, "--only", "srflow", "--precision", "bf16")
    table = pd.read_csv(tmp_path / "table1.csv")
    lines = table[table["protocol"] == "basicsr-y"]
    assert list(lines["method"]) == ["srflow", "srflow:sample_0.9"]
    assert lines["label"].iloc[1] == "SRFlow, drawn at temperature 0.9"
    assert set(lines["crops"]) == {8}
    rows = pd.read_csv(next((tmp_path / "cells").iterdir()) / "run/log.csv")
    assert list(rows.groupby("stage")["step"].max()) == [2, 2]
    settings = (next((tmp_path / "cells").iterdir()) / "run/config.toml").read_text()
    assert 'precision = "fp32"' in settings


@pytest.mark.usefixtures("without_plots")
@pytest.mark.parametrize("layout", ["RealSR", "DRealSR", "list"])
def test_data_sets_of_the_paper_are_read_as_their_authors_lay_them_out(layout, make_pairs, tmp_path):
    made = make_pairs(tmp_path / "made", count=3, size=(24, 20), scale=4)
    folder = tmp_path / ("RealSR(V3)" if layout == "RealSR" else layout)
    lines = []
    for k in range(3):
        part = "Test" if k == 0 else "Train"
        hr, lr = (read_image(made / side / f"{k:03d}.png") for side in ("hr", "lr"))
        if layout == "RealSR":
            hr_file = folder / f"Canon/{part}/4/Canon_{k:03d}_HR.png"
            lr_file, lr = hr_file.with_name(f"Canon_{k:03d}_LR4.png"), bicubic(lr, 96, 80)
        elif layout == "DRealSR":
            hr_file = folder / f"{part}_x4/{part.lower()}_HR/panasonic_{k}_x4.png"
            lr_file = folder / f"{part}_x4/{part.lower()}_LR/panasonic_{k}_x1.png"
        else:
            hr_file, lr_file = (folder / part / side / f"{k}.png" for side in ("HR", "LR"))
            lines.append((part, f"{lr_file.absolute()} {hr_file.absolute()}\n"))
        for path, image in ((hr_file, hr), (lr_file, lr)):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_image(path, image)
    train = test = folder
    if layout == "list":
        train, test = folder / "train.txt", folder / "test.txt"
        for path, part in ((train, "Train"), (test, "Test")):
            path.write_text("".join(line for of, line in lines if of == part))
    out = ["--out", tmp_path / "out", "--scale", 4, "--only", "bicubic", "--only", "filter"]
    run("table1", "--train", train, "--test", test, *out)
    table = pd.read_csv(tmp_path / "out/table1.csv")
    assert set(table["layout"]) == {layout}
    assert set(table["images"]) == {1}
    assert table["psnr_db"].min() > 20
    page = (tmp_path / "out/table1.md").read_text()
    assert ("not of the images measured here" in page) == (layout == "list")  # D2CRealSR's list is one of scale 8
    assert f"paper, {'DRealSR' if layout == 'DRealSR' else 'RealSR'} x4" in page


def test_figures_are_drawn_from_the_cells_of_table_1_and_say_how_places_were_chosen(pairs, tmp_path, monkeypatch):
    from d2c.comparison import drawing

    captions = []
    monkeypatch.setattr(drawing, "crop_grid", lambda scene, caption: captions.append((scene.box, caption)))
    monkeypatch.setattr(drawing, "save_figure", lambda _figure, path: None)
    monkeypatch.setattr(drawing, "contact_sheet", lambda pictures, title: captions.append((len(pictures), title)))
    where = ["--train", pairs, "--out", tmp_path, "--only", "bicubic", "--only", "filter"]
    with pytest.raises(ConfigError, match=r"has none of these methods trained; run table1.py"):
        run("figures", *where)
    for method in (BICUBIC, FILTER):
        Cell(Work(data=pairs, out=tmp_path, scale=2), method).trained()
    assert f"{tmp_path / 'figures'}" in run("figures", *where, "--side", 6)
    run("figures", *where, "--box", "2,3,5,4", "--image", "000")
    assert "chosen by rule" in captions[0][1]
    assert captions[1][0] == 6
    assert captions[2][0] == (2, 3, 5, 4)
    assert "given by --box" in captions[2][1]
    for box in ("2,3,5", "0,0,25,4"):
        with pytest.raises(ConfigError, match="box: got"):
            run("figures", *where, "--box", box)


@pytest.mark.slow
def test_precisions_are_compared_over_paired_seeds(make_pairs, tmp_path):
    pairs = make_pairs(tmp_path / "pairs", size=(28, 26))
    arguments = ["--train", pairs, "--out", tmp_path, "--preset", "tiny", "--budget", "steps=2", "--device", "cpu"]
    output = run("precision", *arguments, "--seeds", 2, "--only", "bf16")
    rows = pd.read_csv(tmp_path / "precision.csv")
    assert set(rows["method"]) == {"fp32", "bf16"}
    assert set(rows["seed"]) == {0, 1}
    assert re.search(r"\| fused \| bf16 \| \d+\.\d{3} \| .*2 seeds: undecided \|", output)
    refused = CliRunner().invoke(recipe("precision").main, [*map(str, arguments), "--precision", "bf16"])
    assert "leave --precision out" in str(refused.exception)


@pytest.mark.parametrize("option", [("--lr", 1e-3), ("--batch", 2), ("--patch", 16), ("--loss", "l1")])
def test_what_the_publications_decide_cannot_be_given_beside_native(option, pairs, tmp_path):
    where = ["--train", pairs, "--out", tmp_path / "out", "--size", "tiny", "--device", "cpu", "--budget", "steps=2"]
    arguments = [str(each) for each in (*where, "--native", *option)]
    result = CliRunner().invoke(recipe("table1").main, arguments)
    said = str(result.exception or "") + result.output
    assert result.exit_code != 0
    assert f"leave out {option[0]} or --native" in said
    assert not (tmp_path / "out").exists()


def test_the_commands_of_pipelines_that_the_documentation_shows_are_understood():
    root = PIPELINES.parent
    pages = "\n".join(page.read_text() for page in (root / "README.md", *sorted((root / "docs").glob("*.md"))))
    shown = re.findall(r"^    python pipelines/(\w+)\.py (.*)$", pages, re.M)
    assert len(shown) >= 4
    for name, arguments in shown:
        recipe(name).main.make_context(name, arguments.split()).close()
