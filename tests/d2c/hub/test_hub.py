"""Models in folders of the Hub's form, and uploads to it, of which a stand-in takes the files."""

from __future__ import annotations

import builtins
import dataclasses
import importlib.util
import json

import pytest
import torch

import d2c
from d2c.checkpoints import native
from d2c.errors import CheckpointError, ConfigError, DataError
from d2c.networks import find
from d2c.training.runfolder import RunFolder
from d2crealsr.store import UsageError

pytest.importorskip("huggingface_hub")

SMALL = d2c.D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=8, convergence_features=8)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return d2c.D2CSR(SMALL).eval()


@pytest.fixture
def run(tmp_path, pairs, model):
    """The folder of a run as far as a card reads it."""
    from d2c.data.datasets import Datasets
    from d2c.data.records import PairRecord
    from d2c.training.resume import Settings

    folder = RunFolder(tmp_path / "run")
    records = [PairRecord("train", "a", "0", "1"), PairRecord("validation", "b", "2", "3")]
    settings = d2c.TrainConfig(batch=3, patch=8)
    facts = {"data": "da7a", "weights": "random"}
    folder.settle(Settings(find("d2csr"), SMALL, settings, facts, records, Datasets(data=(pairs,))))
    names = "stage,step,val_psnr_db_bicubic,val_psnr_db_fused,val_ssim_bicubic,val_ssim_fused"
    folder.log.write_text(f"{names}\n1,40,,,,\n2,10,20.5,21.25,.5,.75\n")
    native.save(folder.last, model, stage=2, step=10)
    return folder.path


def test_a_folder_gives_the_same_model(model, tmp_path):
    model.save_pretrained(tmp_path / "hub")
    read = d2c.D2CSR.from_pretrained(tmp_path / "hub")
    lr = torch.rand(1, 3, 6, 5)
    with torch.no_grad():
        assert torch.allclose(read(lr), model(lr), atol=1e-6)
        assert torch.equal(d2c.load(tmp_path / "hub" / "model.safetensors")(lr), read(lr))
    assert sorted(path.name for path in (tmp_path / "hub").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]
    config = json.loads((tmp_path / "hub" / "config.json").read_text())
    assert (config["library"], config["network"], config["features"]) == ("d2c", "d2csr", 8)
    model.save_pretrained(tmp_path / "hub")


def test_the_card_is_made_from_the_run(model, run, tmp_path):
    table = tmp_path / "eval.csv"
    table.write_text("image,method,protocol,psnr_db,ssim\nx,fused,d2c-released,1,1\nmean,fused,d2c-released,22.5,.8\n")
    model.save_pretrained(tmp_path / "hub", run=run, metrics=table, licence="cc-by-4.0")
    card = (tmp_path / "hub" / "README.md").read_text()
    for words in (
        "license: cc-by-4.0\nlibrary_name: d2c\n",
        "# d2csr for super-resolution by 2",
        "1 pairs to train on, 1 to validate on.",
        "`da7a`",
        "Steps: 40 in stage 1, 10 in stage 2. Settings: batch 3, patch 8,",
        "| validation pairs of the run | bicubic | basicsr-y | 20.500 | 0.5000 |  |",
        "| validation pairs of the run | fused | basicsr-y | 21.250 | 0.7500 |  |",
        "| `eval.csv` | fused | d2c-released | 22.5 | .8 |  |",
        'd2c.hub.from_pretrained("OWNER/NAME")',
    ):
        assert words in card
    (tmp_path / "hub" / "README.md").write_text("my own words")
    model.save_pretrained(tmp_path / "hub", run=run)
    assert (tmp_path / "hub" / "README.md").read_text() == "my own words"


@pytest.fixture
def log(run):
    """A log whose validations are told apart by their PSNR, ten times the stage and a thousandth of the step."""
    rows = [(1, 10), (1, 20), (1, 30), (2, 10), (2, 20), (2, 30)]
    lines = [f"{stage},{step},19.5,{10 * stage + step / 1000:.3f},.5,.75" for stage, step in rows]
    lines[4] = "2,20,,,,"
    (run / "log.csv").write_text("\n".join([(run / "log.csv").read_text().partition("\n")[0], *lines, ""]))
    return run


def another(seed):
    torch.manual_seed(seed)
    return d2c.D2CSR(SMALL).eval()


@pytest.mark.parametrize(
    ("file", "place", "steps", "validated"),
    [
        (
            "last.safetensors",
            (2, 30),
            "Steps: 30 in stage 1, 30 in stage 2.",
            "of the run | fused | basicsr-y | 20.030",
        ),
        ("best.safetensors", (1, 20), "Steps: 20 in stage 1.", "of the run | fused | basicsr-y | 10.020"),
        (
            "weights/stage2-step20.safetensors",
            (2, 20),
            "Steps: 30 in stage 1, 20 in stage 2.",
            "of the run, at step 10 of stage 2 | fused | basicsr-y | 20.010",
        ),
        (
            "weights/stage2-step25.safetensors",
            (2, 25),
            "Steps: 30 in stage 1, 25 in stage 2.",
            "of the run, at step 10 of stage 2 | fused | basicsr-y | 20.010",
        ),
    ],
)
def test_the_card_has_the_steps_and_the_validation_of_the_checkpoint_that_is_saved(
    log, tmp_path, file, place, steps, validated
):
    for seed, name in enumerate(("last.safetensors", "best.safetensors", "weights/stage1-step10.safetensors"), start=1):
        native.save(log / name, another(seed), stage=1, step=10)
    (log / "weights/stage1-step11.safetensors").write_bytes(b"damaged")
    native.save(log / file, another(9), stage=place[0], step=place[1])
    d2c.load(log / file).save_pretrained(tmp_path / "hub", run=log)
    card = (tmp_path / "hub" / "README.md").read_text()
    assert f"\n{steps} Settings: " in card
    assert f"| validation pairs {validated} |" in card


def test_weights_that_are_no_checkpoint_of_the_run_are_said_to_be_none(log, tmp_path):
    native.save(log / "last.safetensors", another(1), stage=2, step=10)
    another(5).save_pretrained(tmp_path / "hub", run=log)
    card = (tmp_path / "hub" / "README.md").read_text()
    none = "The weights are those of no checkpoint of the run. Steps up to the last checkpoint: "
    assert f"{none}30 in stage 1, 10 in stage 2." in card
    assert "| validation pairs, of the run's last checkpoint | fused | basicsr-y | 20.010 |" in card
    (log / "last.safetensors").unlink()
    another(5).half().save_pretrained(tmp_path / "other", run=log)
    assert f"{none}30 in stage 1, 30 in stage 2." in (tmp_path / "other" / "README.md").read_text()


def test_a_run_of_another_configuration_is_refused(run, tmp_path):
    other = d2c.D2CSR(dataclasses.replace(SMALL, scale=4, features=4))
    said = (
        r"run: .*run has scale 2, features 8, the model has scale 4, features 4; give the run that trained this model"
    )
    with pytest.raises(ConfigError, match=said):
        other.save_pretrained(tmp_path / "hub", run=run)
    assert not (tmp_path / "hub").exists()


def test_an_upload_has_the_files(model, run, monkeypatch):
    sent = {}

    class Api:
        def __init__(self, token=None):
            pass

        def create_repo(self, repo_id, **options):
            return type("Repository", (), {"repo_id": repo_id})

        def upload_folder(self, *, repo_id, folder_path, **options):
            sent.update({path.name: path.read_bytes() for path in folder_path.iterdir()})
            return f"commit in {repo_id}"

    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", Api)
    assert model.push_to_hub("me/small", run=run, licence="mit") == "commit in me/small"
    assert sorted(sent) == ["README.md", "config.json", "model.safetensors"]
    assert b"license: mit" in sent["README.md"]


def test_what_is_wrong_is_named_before_anything_is_written(model, run, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="is not the folder of a run; give the folder that d2c train wrote"):
        model.save_pretrained(tmp_path / "hub", run=tmp_path)
    with pytest.raises(DataError, match=r"log\.csv: has no row of means; give a table that d2c eval --csv wrote"):
        model.save_pretrained(tmp_path / "hub", metrics=run / "log.csv")
    assert not (tmp_path / "hub").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="holds something else than a configuration of d2c"):
        model.save_pretrained(tmp_path / "other")
    with pytest.raises(CheckpointError, match="is no folder that save_pretrained wrote"):
        d2c.hub.from_pretrained(tmp_path)
    network = find("edsr")
    d2c.hub.save_pretrained(network.make(network.preset("tiny").model), tmp_path / "edsr")
    with pytest.raises(CheckpointError, match="is of the network edsr, not of d2csr"):
        d2c.D2CSR.from_pretrained(tmp_path / "edsr")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"huggingface_hub is not installed; run: pip install '.\[hub\]'"):
        model.save_pretrained(tmp_path / "hub")


def test_a_configuration_that_is_damaged_or_contradicts_the_weights_is_named(model, tmp_path):
    config = tmp_path / "config.json"
    model.save_pretrained(tmp_path)
    said = json.loads(config.read_text())
    for text, problem in (
        (json.dumps({**said, "scale": 4}), r"config\.json: says scale = 4, but model\.safetensors has 2"),
        ("{", r"config\.json: cannot be read \(Expecting property name"),
        ("[1]", r"config\.json: is no table of settings"),
    ):
        config.write_text(text)
        with pytest.raises(CheckpointError, match=problem):
            d2c.D2CSR.from_pretrained(tmp_path)
    config.unlink()
    d2c.D2CSR.from_pretrained(tmp_path)


def test_a_folder_that_is_not_there_and_a_repository_without_a_connection_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for where in (tmp_path / "none", "me/none"):
        with pytest.raises(CheckpointError, match=r"none: is no folder here, and cannot be read from the Hub .*OWNER"):
            d2c.hub.from_pretrained(where, cache_dir=tmp_path)


def test_a_run_or_a_file_is_no_folder_of_the_hub(model, run, tmp_path):
    for where in (run, run / "log.csv", tmp_path):
        with pytest.raises(CheckpointError, match=r"is no folder that save_pretrained wrote.* with d2c\.load"):
            d2c.D2CSR.from_pretrained(where)


def test_networks_are_used_without_the_package(model, monkeypatch):
    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", lambda name, *a, **k: _refused(name) or imported(name, *a, **k))
    assert d2c.D2CSR(SMALL).state_dict().keys() == model.state_dict().keys()


def _refused(name):
    if name.startswith("huggingface_hub"):
        raise ModuleNotFoundError(name)


def test_an_option_that_does_not_exist_is_refused_as_by_python(model, tmp_path):
    with pytest.raises(TypeError, match=r"save_pretrained\(\) got an unexpected keyword argument 'nonsense'"):
        model.save_pretrained(tmp_path / "hub", nonsense=1)
    assert not (tmp_path / "hub").exists()
    model.save_pretrained(tmp_path / "hub", commit_message="of an upload", repo_id="me/x")
    with pytest.raises(TypeError, match=r"from_pretrained\(\) got an unexpected keyword argument 'nonsense'"):
        d2c.D2CSR.from_pretrained(tmp_path / "hub", nonsense=1)
    assert d2c.D2CSR.from_pretrained(tmp_path / "hub", local_files_only=True).config == SMALL
