"""One call each: upscale an image in memory, and train by a loss and a network of one's own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import d2c
from d2c.errors import ConfigError, D2CError, DataError
from d2c.inference.files import upscale_files
from d2c.networks import Network
from d2c.networks.base.stage import Stage
from d2crealsr.store.images import read_image, write_image

SMALL = d2c.D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=8, convergence_features=8)
QUICK = {"preset": "tiny", "patch": 8, "batch": 2, "steps": 1, "ema": 0.0, "device": "cpu", "threads": 1}


class Nearest(Network):
    """A convolution before pixels are repeated."""

    def build(self, config):
        return torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.Upsample(scale_factor=config.scale))


class Squares(Stage):
    """The mean square."""

    def forward(self, lr, hr, **weights):
        return {"total": F.mse_loss(self.upscaled(lr), hr)}


class Cubes(Squares):
    """The mean cube."""

    def forward(self, lr, hr, **weights):
        return {"total": (self.upscaled(lr) - hr).abs().pow(3).mean()}


def offset(sr, hr):
    """A loss with its minimum far from HR."""
    return (sr - hr + 10).square().mean()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_image_in_memory_becomes_what_the_command_writes(dtype, tmp_path):
    torch.manual_seed(0)
    model = d2c.D2CSR(SMALL)
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (9, 7, 3), dtype=dtype)
    write_image(tmp_path / "a.png", image)
    (path,) = upscale_files(model.eval(), [tmp_path / "a.png"], tmp_path / "out")
    model.train()
    large = d2c.upscale(image, model)
    assert large.dtype == dtype
    assert (large == read_image(path)).all()
    assert model.training
    grey = np.repeat(image[..., :1], 3, axis=-1)
    made = d2c.upscale(grey, model)
    assert (made[..., 0] == made[..., 1]).all()
    assert (d2c.upscale(tmp_path / "a.png", model) == large).all()


def test_what_is_no_image_is_named():
    model = d2c.D2CSR(SMALL)
    with pytest.raises(DataError, match=r"got float64 of shape \(4, 4, 3\), expected uint8 or uint16"):
        d2c.upscale(np.zeros((4, 4, 3)), model)
    with pytest.raises(DataError, match=r"got uint8 of shape \(4, 4\)"):
        d2c.upscale(np.zeros((4, 4), np.uint8), model)
    with pytest.raises(DataError, match=r"^image: none\.png: cannot be read"):
        d2c.upscale("none.png", model)


def test_what_is_no_model_of_d2c_is_named():
    for model in (torch.nn.Conv2d(3, 3, 3), None):
        with pytest.raises(ConfigError, match=r"^model: got an object of type (Conv2d|NoneType) that d2c"):
            d2c.upscale(np.zeros((4, 4, 3), np.uint8), model)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"weigh_pairs": "yes"}, "weigh_pairs: got 'yes', expected bool; give true or false"),
        ({"seed": 1.5}, "seed: got 1.5, expected int; give a whole number"),
        ({"features": "8"}, "features: got '8', expected int; give a whole number"),
        ({"stage": 1.5}, "stage: this run has stages 1 to 2, got 1.5; change --stage"),
        ({"threads": "1"}, "threads: got '1', expected int; give a whole number"),
        ({"cuda_graph": "no"}, "cuda_graph: got 'no', expected bool; give true or false"),
        ({"weights": 3}, "weights: got 3, expected a path"),
        ({"validate_on": 3}, "validate_on: got 3, expected a path"),
        ({"data_weight": "12"}, "data_weight: got '12', expected float; give a number"),
        ({"data_weight": ["1", "2"]}, "data_weight: got '1', expected float; give a number"),
        ({"data_weight": True}, "data_weight: got True, expected float; give a number"),
    ],
)
def test_an_option_of_another_type_is_named(option, message, pairs, tmp_path):
    with pytest.raises(ConfigError) as refused:
        d2c.train(pairs, tmp_path / "run", **option)
    assert str(refused.value) == message
    assert not (tmp_path / "run").exists()


def test_the_order_of_bytes_does_not_matter():
    model = d2c.D2CSR(SMALL)
    pixels = np.arange(48, dtype=np.uint16).reshape(4, 4, 3) * 1000
    assert np.array_equal(d2c.upscale(pixels.astype(">u2"), model), d2c.upscale(pixels, model))


def test_a_network_and_a_loss_by_argument(pairs, tmp_path):
    model = d2c.train(pairs, tmp_path / "run", network=Nearest, loss=offset, lr=0.1, **QUICK)
    own = d2c.train(pairs, tmp_path / "own", network=Nearest, lr=0.1, **QUICK)
    assert model[0].bias.mean() < own[0].bias.mean() - 0.1, "its loss was minimised"
    read = d2c.load(tmp_path / "run", network=Nearest)
    assert torch.equal(read[0].weight, model[0].weight)
    with pytest.raises(ConfigError, match=r"is trained by .*:offset, now it would be by these"):
        d2c.train(pairs, tmp_path / "run", network=Nearest, steps=2)
    longer = d2c.train(pairs, tmp_path / "run", network=Nearest, loss=offset, steps=2, device="cpu")
    assert longer[0].bias.mean() < model[0].bias.mean()


def test_a_run_in_the_folder_goes_on_with_its_network(pairs, tmp_path):
    small = {"features": 8, "blocks": 1}
    d2c.train(pairs, tmp_path / "run", network="edsr", **small, **QUICK)
    longer = d2c.train(pairs, tmp_path / "run", steps=2, device="cpu")
    whole = d2c.train(pairs, tmp_path / "whole", network="edsr", **small, **QUICK | {"steps": 2})
    assert all(torch.equal(a, b) for a, b in zip(longer.parameters(), whole.parameters(), strict=True))
    with pytest.raises(D2CError, match="is of the network edsr, not of rcan"):
        d2c.train(pairs, tmp_path / "run", network="rcan", steps=2)
    d2c.train(pairs, tmp_path / "own", network=Nearest, **QUICK)
    with pytest.raises(ConfigError, match=r"own/config.toml is of .*:Nearest, whose code .*; give it as network"):
        d2c.train(pairs, tmp_path / "own", steps=2)
    assert type(d2c.train(pairs, tmp_path / "new", **QUICK)) is d2c.D2CSR


def test_the_weights_of_datasets_may_be_an_array(pairs, make_pairs, tmp_path):
    other = make_pairs(tmp_path / "other", seed=1)
    small = {"network": "edsr", "features": 8, "blocks": 1, "cache": tmp_path / "cache"} | QUICK
    for name, weights in (("a", np.array([3, 1])), ("b", [3, 1.0]), ("c", (3.0, np.float32(1)))):
        d2c.train([pairs, other], tmp_path / name, data_weight=weights, **small)
        assert "data_weight = [3.0, 1.0]" in (tmp_path / name / "config.toml").read_text()


def test_a_stage_of_ones_own(pairs, tmp_path):
    d2c.train(pairs, tmp_path / "run", network="edsr", loss=Squares, features=8, blocks=1, **QUICK)
    assert "Squares" in (tmp_path / "run" / "config.toml").read_text()


def test_stages_of_ones_own_go_on(pairs, tmp_path):
    """Where the second of two has begun, although the network itself has one stage."""
    own = {"network": "edsr", "loss": [Squares, Cubes], "features": 8, "blocks": 1, "schedule": "cosine"}
    d2c.train(pairs, tmp_path / "run", **own, **QUICK)
    model = d2c.train(pairs, tmp_path / "run", **own, **QUICK)
    last = d2c.load(tmp_path / "run")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), last.parameters(), strict=True))
    with pytest.raises(ConfigError, match="stage 1 of its run has 1 steps, now 2 are asked for, but stage 2 has begun"):
        d2c.train(pairs, tmp_path / "run", **own, **QUICK | {"steps": 2})


def test_names_that_are_no_settings_are_refused(pairs, tmp_path):
    with pytest.raises(ConfigError, match="stepps: is no setting of d2csr; d2c train --network d2csr --help lists"):
        d2c.train(pairs, tmp_path / "run", stepps=3)
    for loss in (3, "l1", [], torch.nn.L1Loss, [offset]):
        with pytest.raises(ConfigError, match=r"loss: got .*, expected a function of \(sr, hr\)"):
            d2c.train(pairs, tmp_path / "run", loss=loss)
    for network in (3, torch.nn.Conv2d(3, 3, 3)):
        with pytest.raises(ConfigError, match=r"network: got .*, expected a name \(d2c networks lists them\)"):
            d2c.train(pairs, tmp_path / "run", network=network)
    for data in (None, [], [None]):
        with pytest.raises(ConfigError, match=r"data: got .*, expected the path of a folder or list of pairs"):
            d2c.train(data, tmp_path / "run")


def test_a_loss_that_cannot_be_used_is_named(pairs, tmp_path):
    def one_argument(sr):
        return sr.mean()

    for loss, message in (
        (lambda sr, hr: (sr - hr).abs(), r"loss: .*<lambda> returned a tensor of shape .*take its mean"),
        (lambda sr, hr: 0.5, "returned float, expected a tensor with one number"),
        (one_argument, "one_argument fails with .*TypeError"),
    ):
        with pytest.raises(ConfigError, match=message):
            d2c.train(pairs, tmp_path / "run", network=Nearest, loss=loss, **QUICK)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("loss", [offset, torch.nn.L1Loss(), Squares])
def test_a_loss_of_ones_own_trains_the_default_network(loss, pairs, tmp_path):
    d2c.train(pairs, tmp_path / "run", loss=loss, **QUICK)
    assert d2c.load(tmp_path / "run").config.scale == 2


def test_numbers_of_numpy_and_devices_of_torch_are_taken_as_pythons(pairs, tmp_path):
    given = QUICK | {"steps": np.int64(1), "augment": np.bool_(True), "threads": np.int64(1)}
    given |= {"device": torch.device("cpu"), "stage": 1, "lr": np.float64(0.1), "data_weight": 1.0}
    model = d2c.train(pairs, tmp_path / "run", network="edsr", features=8, blocks=1, **given)
    same = d2c.train(
        pairs, tmp_path / "same", network="edsr", features=8, blocks=1, lr=0.1, data_weight=(1.0,), **QUICK
    )
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), same.parameters(), strict=True))


def test_a_checkpoint_is_loaded_by_the_name_of_a_device():
    assert next(d2c.load("builtin:x8", device="cpu").parameters()).device == torch.device("cpu")
    assert next(d2c.load("builtin:x8", device=torch.device("meta")).parameters()).is_meta
    with pytest.raises(ConfigError, match=r"device: got 'gpu', expected auto, cpu, cuda or cuda:N"):
        d2c.load("builtin:x8", device="gpu")
    with pytest.raises(ConfigError, match=r"network: got 5, expected a name, module:NAME, or a class"):
        d2c.load("builtin:x8", network=5)
