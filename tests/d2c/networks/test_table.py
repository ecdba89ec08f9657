"""The table of networks, and what is counted of them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from own_network import Least, Own, OwnConfig, OwnTraining

import d2c.networks
from d2c import D2CSR
from d2c.checkpoints import native
from d2c.cli import cli
from d2c.console import sizes_table
from d2c.errors import CheckpointError, ConfigError
from d2c.networks import NETWORKS, TrainSettings, default_out, find, network_of
from d2c.networks.base.count import multiply_adds, parameters
from d2c.networks.base.memory import counted_step
from d2c.networks.base.plausible import check_plausible
from d2c.networks.base.shapes import AliveBytes, Multiplications, shapes_only
from d2c.networks.base.stage import PixelStage

# docs: parameters of the paper's size, and multiply-adds an LR pixel in thousands, convolutions as written down
PAPER = {2: (5_178_832, 5_301), 3: (5_917_392, 6_303), 4: (5_769_680, 8_296), 8: (6_360_528, 20_277)}


@pytest.mark.parametrize("scale", PAPER)
def test_d2c_sr_has_the_papers_size(scale):
    network = find("d2csr")
    config = dataclasses.replace(network.preset("paper").model, scale=scale)
    assert (parameters(network, config), round(multiply_adds(network, config) / 1000)) == PAPER[scale]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_entry_has_the_sizes_that_all_have(name):
    network = find(name)
    assert network.name == name
    assert next(iter(network.sizes())) == "paper"
    assert "tiny" in network.sizes()
    for size, preset in network.sizes().items():
        assert isinstance(preset.model, network.config), size
        assert isinstance(preset.train, network.train), size
        assert preset.train.patch % network.multiple == 0, size
        assert network.main in network.outputs(preset.model)


def test_one_entry_is_used_without_the_others(monkeypatch):
    monkeypatch.setitem(NETWORKS, "broken", "no_such_module:Network")
    assert find("d2csr").name == "d2csr"
    with pytest.raises(ConfigError, match=r"broken cannot be imported \(ModuleNotFoundError"):
        find("broken")


def test_the_table_and_the_settings_of_d2c_sr_load_no_torch():
    code = "import sys, d2c.networks as n; n.find('d2csr').sizes(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_networks_lists_a_row_for_each_size(monkeypatch):
    monkeypatch.setattr("d2c.cli.NETWORKS", {"own": "own_network:Own"})
    monkeypatch.setattr(d2c.networks, "NETWORKS", {"own": "own_network:Own"})
    monkeypatch.syspath_prepend(Path(__file__).parent)
    rows = json.loads(CliRunner().invoke(cli, ["networks", "--json"]).stdout)
    assert [(row["name"], row["size"]) for row in rows] == [("own", "paper"), ("own", "tiny")]
    assert list(rows[0]) == ["name", "size", "paper", "parameters", "multiply_adds_per_lr_pixel", "padding"]
    assert (rows[0]["paper"], rows[0]["padding"]) == ("nobody, 2026", 4)
    assert rows[0]["parameters"]["2"] == 4 * (27 + 1) + 12 * (36 + 1)
    assert rows[0]["multiply_adds_per_lr_pixel"]["2"] == 4 * 27 + 12 * 36
    table, checkpoints = CliRunner().invoke(cli, ["networks"]).stdout.split("\n\n")
    shown = table.splitlines()
    assert len(shown) == 1 + 2 * 4
    assert "builtin:x8" in checkpoints
    assert shown[1].split()[:5] == ["own", "paper", "x2", "556", "540"]


def test_networks_prints_each_line_as_soon_as_it_is_counted(monkeypatch):
    counted = []

    def size_rows(network):
        for size in network.sizes():
            counted.append(size)
            yield {"name": "own", "size": size, "paper": "", "padding": 1} | {
                "parameters": {2: 7},
                "multiply_adds_per_lr_pixel": {2: 8},
            }

    monkeypatch.setattr("d2c.networks.base.count.size_rows", size_rows)
    lines = sizes_table([Own(name="own")])
    assert next(lines).startswith("network  size ")
    assert counted == []
    assert next(lines).split() == ["own", "paper", "x2", "7", "8", "1"]
    assert counted == ["paper"]


def test_a_checkpoint_names_its_network_and_one_that_names_none_is_d2c_sr(tmp_path):
    path = tmp_path / "m.safetensors"
    model = D2CSR(d2c.D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=4, convergence_features=4))
    native.save(path, model)
    assert native.network_name(path) == "d2csr"
    whole = path.read_bytes()
    without = whole.replace(b'\\"network\\": \\"d2csr\\", ', b"")
    path.write_bytes(
        (len(without) - len(whole) + int.from_bytes(whole[:8], "little")).to_bytes(8, "little") + without[8:]
    )
    assert len(without) < len(whole)
    assert d2c.load(path).config == model.config
    native.save_weights(path, model.config, model.state_dict(), network="tomorrow's")
    with pytest.raises(CheckpointError, match=r"m\.safetensors: is of the network \"tomorrow's\", which this version"):
        d2c.load(path)


def test_a_configuration_larger_than_its_file_is_never_built(tmp_path):
    own = Own("d2csr")
    model = own.make(OwnConfig(scale=2))
    sizes = [tensor.numel() for tensor in model.state_dict().values()]
    check_plausible(own, OwnConfig(scale=2), sizes, "a")
    with pytest.raises(CheckpointError, match=r"a: its weights do not fit its configuration: that needs .* numbers"):
        check_plausible(own, OwnConfig(scale=64), sizes, "a")


def test_run_folders_are_named_after_network_and_size():
    assert default_out(find("d2csr"), None) == Path("runs/paper")
    assert default_out(find("d2csr"), "tiny") == Path("runs/tiny")
    assert default_out(Own("own"), None) == Path("runs/own-paper")
    assert default_out(Own("own_network:Own"), "tiny") == Path("runs/own_network.Own-tiny")


def test_sizes_that_are_not_given_are_made_of_the_defaults():
    made = Least("least").sizes()
    assert list(made) == ["paper", "tiny"]
    assert made["paper"].train == TrainSettings()
    assert made["tiny"].train.steps == 600
    with pytest.raises(ConfigError, match="preset: got 'small', expected one of paper, tiny; change --preset"):
        Least("least").preset("small")


def test_a_model_knows_its_network():
    own = Own("own")
    assert network_of(own.make(OwnConfig(scale=2))) == (own, OwnConfig(scale=2))
    assert network_of(D2CSR())[0].name == "d2csr"


def test_the_default_stage_minimises_the_mean_absolute_difference_in_any_range():
    own = Own("own")
    stage = PixelStage(own.make(OwnConfig(scale=2)), OwnTraining(lr=0.5, lr_halve_epochs=10))
    lr, hr = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 16, 16)
    expected = (stage.model(lr * 255) / 255 - hr).abs().mean()
    torch.testing.assert_close(stage(lr, hr)["total"], expected)
    assert [stage.learning_rate(epoch) for epoch in (0, 9, 10)] == [0.5, 0.5, 0.25]


def test_bytes_that_are_alive_at_once_are_counted():
    with shapes_only(), torch.no_grad(), AliveBytes() as alive:
        first = torch.empty(1000) + 1
        del first
        second = torch.empty(1000) + 1
        second.add_(1)
    assert alive.peak == 2 * 4000
    assert alive.now == 4000


def test_multiplications_of_convolutions_and_matrix_products_are_counted():
    with shapes_only(), torch.no_grad():
        conv, back = torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.ConvTranspose2d(3, 5, 2, stride=2)
        linear, image = torch.nn.Linear(7, 11), torch.empty(1, 3, 8, 8)
        for module, given, expected in (
            (conv, image, 64 * 5 * 3 * 9),
            (back, image, 64 * 3 * 5 * 4),
            (linear, torch.empty(2, 7), 2 * 7 * 11),
        ):
            with Multiplications() as counted:
                module(given)
            assert counted.total == expected


def test_a_step_is_counted_with_what_its_backward_pass_keeps():
    own, config = Own("own"), OwnConfig(scale=2, channels=64)
    steps = [counted_step(own, config, OwnTraining(patch=64, batch=batch), PixelStage, 1) for batch in (2, 4)]
    hidden = 2 * 64 * 64**2 * 4  # the layer that ReLU and the tail's gradient need
    assert steps[0].tensors > hidden
    assert 1.8 < steps[1].tensors / steps[0].tensors < 2.2
    assert steps[0].total > steps[0].weights + steps[0].tensors
    assert counted_step(own, config, OwnTraining(patch=64, batch=4, accumulate=2), PixelStage, 1) == steps[0]


def test_a_network_that_names_figures_and_draws_none_is_told_so():
    class Undrawn(d2c.networks.Network):
        def build(self, config):
            raise AssertionError

    with pytest.raises(ConfigError, match=r"figures names 'spread', but the network has no draw\(\)"):
        Undrawn("undrawn").draw("spread", None)
