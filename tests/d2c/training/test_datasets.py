"""Training on several datasets: shares, validation on other pairs, resuming, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
import tomllib

import pandas as pd
import pytest
from click.testing import CliRunner

from d2c.cli import cli
from d2c.data.belonging import check_belonging
from d2c.data.datasets import Datasets
from d2c.data.patches import CropSource
from d2c.data.records import read_records
from d2c.errors import ConfigError, DataError
from d2c.networks import find
from d2c.report import report
from d2c.training.runfolder import RunFolder
from d2c.training.train import Request, train
from d2crealsr.store import read_image, write_image
from d2crealsr.ui.progress import Reporter
from tests.d2c.training.conftest import same

pytestmark = pytest.mark.usefixtures("memory_is_not_counted")

NETWORK = find("edsr")
MODEL = NETWORK.config(scale=2, features=3, blocks=1)
TRAIN = NETWORK.train(batch=2, patch=8, lr=1e-3, steps=4, validation=0.2)
TINY = ["--network", "edsr", "--batch", "2", "--patch", "8", "--features", "3", "--blocks", "1", "--device", "cpu"]
SHORT = ["--steps", "3"]


class Listen(Reporter):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def run(data, out, reporter=None, train_changes=None, **request):
    settings = dataclasses.replace(TRAIN, **(train_changes or {}))
    places = {"network": "edsr", "data": data, "out": out, "cache": out.parent / "cache"}
    return train(Request(**places, model=MODEL, train=settings, device="cpu", **request), reporter)


def command(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


@pytest.fixture(scope="module")
def three(make_pairs, tmp_path_factory):
    """Three datasets with scenes of the same names, the last one with another number of them."""
    folder = tmp_path_factory.mktemp("three")
    made = {"a": (1, 6), "b": (2, 5), "v": (3, 4)}
    return [make_pairs(folder / name, seed=seed, count=count) for name, (seed, count) in made.items()]


@pytest.fixture(scope="module")
def weighted(three, tmp_path_factory):
    """A run on two datasets with shares that validates on a third one, and its notes."""
    out, listen = tmp_path_factory.mktemp("runs") / "weighted", Listen()
    model = run(three[:2], out, listen, data_weight=(3, 1), validate_on=three[2])
    return out, model, listen.notes


@pytest.fixture
def copy(weighted, tmp_path):
    shutil.copytree(weighted[0].parent / "cache", tmp_path / "cache")
    return shutil.copytree(weighted[0], tmp_path / "run")


def test_scenes_of_one_name_are_pairs_of_their_own(weighted, three):
    records = read_records(RunFolder(weighted[0]).pairs)
    assert [record.name for record in records if record.part == "train"] == (
        ["1:001", "1:002", "1:003", "1:004", "1:005", "2:001", "2:002", "2:003", "2:004"]
    )
    assert len({record.hr_sha256 for record in records}) == len(records)
    notes = weighted[2]
    assert f"{three[0]}: 5 pairs to train on, 75.0% of the patches" in notes
    assert f"{three[2]}: validating on 1 pair of the test split" in notes
    assert "9 pairs to train on, 1 to validate on; cpu, 1 thread" in notes


def test_the_settings_of_the_run_keep_the_datasets(weighted, three):
    table = tomllib.loads((weighted[0] / "config.toml").read_text())["train"]
    assert table["data"] == [str(path) for path in three[:2]]
    assert (table["data_weight"], table["validate_on"]) == ([3, 1], str(three[2]))
    assert json.loads(RunFolder(weighted[0]).started.read_text())["data"] == [str(path) for path in three[:2]]


def test_shares_are_those_of_the_patches(three, tmp_path, monkeypatch):
    seen = []
    draw = CropSource.draw
    monkeypatch.setattr(
        CropSource, "draw", lambda self, place, key: seen.append(self.pairs[place].name) or draw(self, place, key)
    )
    run(three[:2], tmp_path / "run", data_weight=(3, 1), train_changes={"steps": 40})
    assert abs(sum(name.startswith("a/") for name in seen[:80]) - 60) <= 1


@pytest.mark.parametrize("weights", [(), (1, 4)])
def test_a_resumed_run_ends_with_the_same_weights(three, tmp_path, weights):
    whole = run(three[:2], tmp_path / "whole", data_weight=weights)
    run(three[:2], tmp_path / "run", data_weight=weights, train_changes={"steps": 3})
    assert same(run(three[:2], tmp_path / "run", data_weight=weights), whole)


def test_a_run_of_a_single_dataset_is_what_it_was(three, tmp_path):
    """Weights, list of pairs and fingerprint do not depend on how the one dataset is named."""
    outs = [tmp_path / name for name in ("path", "list", "weighted")]
    models = [run(three[0], outs[0]), run([three[0]], outs[1]), run([three[0]], outs[2], data_weight=[5])]
    assert same(models[0], models[1])
    assert same(models[0], models[2])
    assert len({RunFolder(out).pairs.read_bytes() for out in outs}) == 1
    assert not any(":" in record.name for record in read_records(RunFolder(outs[0]).pairs))


def test_a_run_of_an_earlier_version_goes_on(three, tmp_path):
    out = tmp_path / "run"
    run(three[0], out, train_changes={"steps": 3})
    config = out / "config.toml"
    kept = [line for line in config.read_text().splitlines() if not line.startswith("data = [")]
    assert len(kept) == len(config.read_text().splitlines()) - 1
    config.write_text("\n".join(kept) + "\n")
    listen = Listen()
    longer = run(three[0], out, listen)
    assert same(longer, run(three[0], tmp_path / "whole"))
    assert not any("data" in note for note in listen.notes if "resumed" in note)


def test_a_run_goes_on_with_its_own_datasets(copy, three):
    done = command("train", "--out", copy, "--steps", "5", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert tomllib.loads((copy / "config.toml").read_text())["train"]["data_weight"] == [3, 1]
    same_again = command("train", "--out", copy, "--data", three[0], "--data", three[1], "--device", "cpu")
    assert same_again.exit_code == 0, same_again.output


def test_moved_datasets_are_the_same(copy, three, tmp_path):
    moved = [shutil.copytree(path, tmp_path / f"moved {path.name}") for path in three]
    changes = {"steps": 5}
    assert run(moved[:2], copy, data_weight=(3, 1), validate_on=moved[2], train_changes=changes)


def test_what_changed_is_said_with_its_dataset(copy, three, tmp_path):
    other = shutil.copytree(three[1], tmp_path / "other")
    write_image(other / "lr/002.png", read_image(other / "lr/002.png") // 2)
    table = pd.read_csv(other / "manifest.csv", dtype=str)
    table[table.scene != "004"].to_csv(other / "manifest.csv", index=False)
    for data, validate_on, said in (
        (
            [three[0], other],
            three[2],
            f"its data changed since: in {other} 1 pair removed (004), 1 pair changed (002);",
        ),
        (three[:1], three[2], "its data changed since: it had 2 datasets, now it has 1;"),
        (three[1::-1], three[2], "its data changed since: the order of the datasets;"),
        (three[:2], other, f"its data changed since: in {other} "),
    ):
        with pytest.raises(ConfigError) as refused:
            run(data, copy, data_weight=(3, 1)[: len(data)], validate_on=validate_on, trust_pairs=True)
        assert said in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data_weight": (1, 1)}, r"its run has --data-weight 3 1, now it is 1 1; use the same settings to go on, or"),
        ({"data_weight": ()}, r"its run has --data-weight 3 1, now it is not given; use the same"),
        ({"validate_on": None}, r"its run has --validate-on .*v, now it is not given; use the same settings"),
    ],
)
def test_shares_and_the_place_of_validation_do_not_change(changes, said, copy, three):
    with pytest.raises(ConfigError, match=said):
        run(three[:2], copy, **{"data_weight": (3, 1), "validate_on": three[2], **changes})


def test_without_shares_both_datasets_give_validation_scenes(three, tmp_path):
    run(three[:2], tmp_path / "run", train_changes={"validation": 0.4, "group_by": r"00(\d)", "steps": 1})
    held = [r.name for r in read_records(RunFolder(tmp_path / "run").pairs) if r.part == "validation"]
    groups = {name[-1] for name in held}
    trained = {r.name[-1] for r in read_records(RunFolder(tmp_path / "run").pairs) if r.part == "train"}
    assert groups
    assert not groups & trained
    assert run(three[:2], tmp_path / "run", train_changes={"validation": 0.4, "group_by": r"00(\d)", "steps": 1})


def test_a_dataset_without_pairs_left_to_train_on_is_named(three):
    datasets = Datasets(data=tuple(three[:2]), data_weight=(1, 1))
    left = [pair for pair in datasets.pairs(2, print) if pair.source == "1"]
    with pytest.raises(
        DataError, match=r"b: all of its training pairs are kept for validation, so it cannot have a sh"
    ):
        datasets.mixture(left)


def test_pairs_that_are_validated_and_trained_on_are_said(three, tmp_path):
    listen = Listen()
    folder = shutil.copytree(three[0], tmp_path / "copy")
    table = pd.read_csv(folder / "manifest.csv", dtype=str)
    table.assign(split="").to_csv(folder / "manifest.csv", index=False)
    run(three[0], tmp_path / "run", listen, validate_on=folder)
    assert "5 of the 6 pairs to validate on are trained on as well" in listen.notes


def test_the_check_of_content_names_dataset_and_scene(three, tmp_path):
    wrong = shutil.copytree(three[1], tmp_path / "wrong")
    shutil.copy(wrong / "lr/003.png", wrong / "lr/002.png")
    with pytest.raises(DataError, match=r"in 1 of 9 pairs HR and LR do not show one scene: wrong/002;"):
        run([three[0], wrong], tmp_path / "run")
    assert check_belonging([], [], str, None) is None


def test_the_report_finds_the_scenes_of_every_dataset(copy, three):
    page = report(copy, device="cpu", scenes=2).read_text()
    assert "v/000" in page
    assert str(three[1]) in page
    assert "are not those of the run" not in page
    page = report(copy, data=three[:1], device="cpu", scenes=1).read_text()
    assert "are not those of the run" in page


def test_settings_of_a_file_and_options_over_them(three, tmp_path):
    (tmp_path / "c.toml").write_text(
        f'[train]\ndata = ["{three[0]}", "{three[1]}"]\ndata_weight = [2, 1]\nvalidate_on = "{three[2]}"\n'
    )
    done = command("train", "--config", tmp_path / "c.toml", "--out", tmp_path / "run", *TINY, *SHORT)
    assert done.exit_code == 0, done.output
    given = ["--data", three[1], "--data-weight", "1"]
    done = command("train", "--config", tmp_path / "c.toml", "--out", tmp_path / "one", *TINY, *SHORT, *given)
    assert done.exit_code == 0, done.output
    assert tomllib.loads((tmp_path / "one/config.toml").read_text())["train"]["data"] == [str(three[1])]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data = 3", "data: got 3, expected a list of paths"),
        ('data = ["a"]\ndata_weight = ["b"]', "data_weight: got ['b'], expected a list of numbers"),
        ('data = ["a"]\nvalidate_on = 1', "validate_on: got 1, expected a path"),
        ("data_weight = [1]", "data: no pairs are named (for 1 of --data-weight); give --data, or data = [...] in the"),
        ("", "data: no pairs are named; give --data, or data = [...] in the table [train]"),
    ],
)
def test_wrong_values_in_a_file_are_said_in_one_line(text, said, tmp_path):
    (tmp_path / "c.toml").write_text(f"[train]\n{text}\n")
    done = command("train", "--config", tmp_path / "c.toml", "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ((1.0,), "data-weight: got 1 weight for 2 datasets, expected one for each --data, in the same order"),
        ((1.0, 0.0), "data-weight: got 0, expected a finite number above 0"),
        ((-1.0, 1.0), "data-weight: got -1, expected a finite number above 0"),
        ((1.0, float("nan")), "data-weight: got nan, expected a finite number above 0"),
        ((float("inf"), 1.0), "data-weight: got inf, expected a finite number above 0"),
    ],
)
def test_unusable_shares_are_refused(weights, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        Datasets(data=(tmp_path / "a", tmp_path / "b"), data_weight=weights)


def test_shares_of_any_size_are_usable(three):
    datasets = Datasets(data=tuple(three[:2]), data_weight=(1e308, 1e308))
    pairs = datasets.pairs(2, print)
    assert [text.partition(", ")[2] for text in datasets.said(pairs)] == ["50.0% of the patches"] * 2
    drawn = datasets.mixture(pairs).pairs((0, 1), 0, 100)
    assert sum(pairs[place].source == "1" for place in drawn) == 50


def test_a_share_is_that_of_the_weights_of_the_pairs(three):
    datasets = Datasets(data=tuple(three[:2]))
    pairs = datasets.pairs(2, print)
    weights = [0.5 if pair.source == "1" else 1.5 for pair in pairs]
    counts = [sum(pair.source == source for pair in pairs) for source in "12"]
    share = counts[0] / (counts[0] + 3 * counts[1])
    said = datasets.said(pairs, weights)
    assert said[0].endswith(f"{share:.1%} of the patches")
    assert said[1].endswith(f"{1 - share:.1%} of the patches")


def test_a_dataset_given_twice_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(ConfigError, match=r"data: .*a is given 2 times; give it once"):
        Datasets(data=(tmp_path / "a", tmp_path / "link"))


def test_datasets_of_different_scales_are_refused(three, make_pairs, tmp_path):
    other = make_pairs(tmp_path / "x4", scale=4)
    for option in ("--data", "--validate-on"):
        done = command("train", "--data", three[0], option, other, "--out", tmp_path / "run", "--plan")
        assert done.exit_code == 2
        assert f"pairs of different scales ({three[0]} of 2, {other} of 4); give datasets of one scale" in done.stderr
    with pytest.raises(DataError, match=r"x4: no pairs of scale 2, only of 4"):
        run([three[0], other], tmp_path / "run")


def test_a_plan_is_made_for_several_datasets(three, tmp_path):
    words = ["--data-weight", "1", "--data-weight", "2", "--validate-on", three[2], "--plan"]
    done = command("train", "--data", three[0], "--data", three[1], "--out", tmp_path / "run", *TINY, *words)
    assert done.exit_code == 0, done.output
    assert "memory of a step" in done.output
    assert not (tmp_path / "run").exists()
