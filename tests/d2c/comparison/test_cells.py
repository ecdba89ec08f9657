"""Cells: trained once, killed anywhere and gone on with, refused where something else is asked for."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest

from d2c.comparison import cells, compare
from d2c.comparison.budget import Budget
from d2c.comparison.cells import Cell
from d2c.comparison.methods import BICUBIC, FILTER, Rules, chosen
from d2c.comparison.test_sets import name_of, open_test_set
from d2c.errors import ConfigError, DataError, TrainingError
from d2c.training.runfolder import RunFolder
from d2crealsr.store.files import sha256_of
from d2crealsr.ui.progress import Reporter

RULES = Rules(batch=2, patch=8)


def edsr(**changes):
    method = chosen(["edsr"], "tiny", 2, RULES)[0]
    small = dataclasses.replace(method.model, features=4, blocks=1)
    return dataclasses.replace(method, model=small, **changes)


class Killed(BaseException):
    """The process is gone."""


def test_a_killed_cell_goes_on_and_ends_as_if_it_had_not_been(begun, monkeypatch):
    work, tests = begun
    whole = Cell(dataclasses.replace(work, out=work.out / "whole"), edsr())
    trained = whole.trained()
    assert (trained.steps, trained.crops) == (3, 6)

    class Killer(Reporter):
        def step(self, done, info=""):
            if done == 2 and info:
                raise Killed

    broken = Cell(dataclasses.replace(work, reporter=Killer()), edsr())
    with pytest.raises(Killed):
        broken.trained()
    assert not broken.is_trained
    again = Cell(work, edsr())
    assert again.trained().steps == 3
    assert sha256_of(again.run / "last.safetensors") == sha256_of(whole.run / "last.safetensors")
    rows = again.measured(tests[0])
    assert {row.protocol for row in rows} == {"basicsr-y", "d2c-released"}
    assert [row.image for row in rows if row.protocol == "basicsr-y"] == ["000", "001"]

    def never(*_args, **_more):
        raise AssertionError("done twice")

    for name in ("train", "measure"):
        monkeypatch.setattr(cells, name, never)
    assert Cell(work, edsr()).trained() == again.trained()
    assert again.measured(tests[0]) == rows
    assert len(again.curve()) == 3


def test_a_cell_that_is_validated_once_at_its_end_has_the_same_weights(begun):
    work, _ = begun
    often, once = Cell(work, edsr()), Cell(dataclasses.replace(work, out=work.out / "once"), edsr(), validations=1)
    assert often.trained().crops == once.trained().crops == 6
    assert once.curve() == often.curve()[-1:]
    assert once.curve()[0][0] == 6
    assert sha256_of(once.run / "last.safetensors") == sha256_of(often.run / "last.safetensors")


def test_other_settings_or_another_budget_are_refused_by_name(begun):
    work, _ = begun
    Cell(work, edsr()).trained()
    other = dataclasses.replace(edsr().train, lr=1e-5)
    with pytest.raises(ConfigError, match=r"was begun with train.lr = 0.0002, now it is 1e-05; give the same options"):
        Cell(work, edsr(train=other)).trained()
    with pytest.raises(ConfigError, match="budget = steps=3, now it is steps=4"):
        Cell(dataclasses.replace(work, budget=Budget("steps", 4)), edsr()).trained()
    often = dataclasses.replace(edsr().train, log_every=7)  # not a part of the weights
    Cell(work, edsr(train=often)).trained()


def test_a_budget_in_seconds_is_steps_from_then_on(begun):
    work, _ = begun
    cell = Cell(dataclasses.replace(work, budget=Budget("seconds", 0.2)), edsr())
    steps = cell.trained().steps
    assert steps >= 1
    assert not (cell.folder / "pilot").exists()
    assert cell.trained().steps == steps


def test_bicubic_and_the_filter_have_no_seeds_and_the_filter_beats_bicubic(begun):
    work, tests = begun
    found = compare.compare(work, [BICUBIC, FILTER], range(3), tests)
    assert [(cell.method.name, cell.folder.name) for cell, _ in found.cells] == [
        ("bicubic", "cards_bicubic"),
        ("filter", "cards_filter"),
    ]
    best = found.rows[found.rows["protocol"] == "basicsr-y"].groupby("method")["psnr_db"].mean()
    assert best["filter"] > best["bicubic"]


def anew(work, **changes):
    """The work as another start of the program has it."""
    return dataclasses.replace(work, known={}, **changes)


def exchange(pairs):
    """Make the test split of a pairs folder its training split, and the other way round."""
    text = (pairs / "manifest.csv").read_text()
    text = text.replace(",test,", ",other,").replace(",train,", ",test,").replace(",other,", ",train,")
    (pairs / "manifest.csv").write_text(text)


@pytest.mark.parametrize("method", [FILTER, edsr()], ids=["filter", "network"])
def test_a_cell_is_not_kept_for_pairs_that_changed(method, begun, make_pairs):
    work, _ = begun
    changing = make_pairs(work.out.parent / "changing", count=6, test=3)
    work = dataclasses.replace(work, data=changing)
    for each in (BICUBIC, method):
        Cell(work, each).trained()
    exchange(changing)
    refused = r"was begun with other training pairs than those of .*changing: .*; restore the pairs, or give another"
    with pytest.raises(ConfigError, match=refused):
        Cell(anew(work), method).trained()
    Cell(anew(work), BICUBIC).trained()  # nothing of it comes from pairs
    exchange(changing)
    Cell(anew(work), method).trained()
    copied = shutil.copytree(changing, changing.parent / "copy" / "changing")
    Cell(anew(work, data=copied), method).trained()
    namesake = make_pairs(changing.parent / "namesake" / "changing", count=6, test=3, seed=9)
    with pytest.raises(ConfigError, match=refused):
        Cell(anew(work, data=namesake), method).trained()


def test_a_cell_without_a_digest_of_its_pairs_is_compared_with_the_record_of_its_run(begun, make_pairs):
    work, _ = begun
    changing = make_pairs(work.out.parent / "changing", count=6, test=3)
    work = dataclasses.replace(work, data=changing)
    cell = Cell(work, edsr())
    trained = cell.trained()
    plan = json.loads((cell.folder / "plan.json").read_text())
    del plan["asked"]["pairs"]  # as an earlier version wrote it
    (cell.folder / "plan.json").write_text(json.dumps(plan))
    assert Cell(anew(work), edsr()).trained() == trained
    exchange(changing)
    changes = r"3 pairs added \(000, 001, 002\), 3 pairs removed \(00\d, 00\d, 00\d\); restore the pairs"
    with pytest.raises(ConfigError, match=changes):
        Cell(anew(work), edsr()).trained()
    RunFolder(cell.run).pairs.unlink()
    assert Cell(anew(work), edsr()).trained() == trained


def test_training_pairs_are_hashed_once_for_all_cells(begun, monkeypatch):
    work, _ = begun
    asked, read = [], cells.read_training_set
    monkeypatch.setattr(cells, "read_training_set", lambda pairs: asked.append(len(pairs)) or read(pairs))
    for method in (FILTER, edsr()):
        Cell(work, method).trained()
        Cell(dataclasses.replace(work, out=work.out / "other"), method).trained()
    assert asked == [5]


def test_a_cell_that_diverges_is_named_and_the_others_go_on(begun, monkeypatch):
    work, tests = begun

    def diverge(*_args):
        raise TrainingError("the loss is nan")

    monkeypatch.setattr(cells, "train", diverge)
    found = compare.compare(work, [edsr(), BICUBIC], [0], tests)
    assert [cell.method.name for cell, _ in found.cells] == ["bicubic"]
    assert found.failures == ["cards_edsr_seed0: the loss is nan"]


def test_training_pairs_are_never_measured(make_pairs, larger_pairs, tmp_path):
    (tmp_path / "list").mkdir()
    for side in ("hr", "lr"):
        (tmp_path / "list" / side).symlink_to(larger_pairs / side)
    with pytest.raises(DataError, match="is trained on and has no test split"):
        open_test_set(tmp_path / "list", 2, tmp_path / "list", Reporter())
    elsewhere = make_pairs(tmp_path / "elsewhere", count=2, seed=3)
    found = open_test_set(tmp_path / "list", 2, elsewhere, Reporter())
    assert (len(found.pairs), found.name, found.layout) == (7, "list", "folders")
    assert name_of(larger_pairs) == "cards"


def test_copies_of_training_pairs_are_never_measured(larger_pairs, tmp_path):
    for side in ("hr", "lr"):
        (tmp_path / "copies" / side).mkdir(parents=True)
        for name in ("000", "001", "005"):
            shutil.copy(larger_pairs / side / f"{name}.png", tmp_path / "copies" / side / f"of{name}.png")
    with pytest.raises(DataError, match=r"copies: 1 of the 3 pairs .* have the HR .* \(of005 has that of 005\), and"):
        open_test_set(tmp_path / "copies", 2, larger_pairs, Reporter())
    for side in ("hr", "lr"):
        (tmp_path / "copies" / side / "of005.png").unlink()
    assert len(open_test_set(tmp_path / "copies", 2, larger_pairs, Reporter()).pairs) == 2
