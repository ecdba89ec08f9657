"""The mean over the flips and transposes of an image: exact where it must be, in strips, and marked everywhere."""

from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from d2c.checkpoints import native
from d2c.cli import cli
from d2c.inference.ensemble import TURNS, turned
from d2c.inference.plan import make_plan
from d2c.inference.run import parts, upscale, upscale_strips
from d2c.networks import NETWORKS, find
from d2crealsr.store import notes, write_image

CPU = torch.device("cpu")
LR = np.random.default_rng(0).integers(0, 256, (13, 18, 3)).astype(np.uint8)


def tiny(name, **changes):
    network = find(name)
    torch.manual_seed(0)
    return network.make(dataclasses.replace(network.preset("tiny").model, scale=network.scales[0], **changes)).eval()


class Nearest(torch.nn.Module):
    """Repeats pixels, after a function of each of them: it does not matter how the image is turned."""

    def __init__(self, config):
        super().__init__()
        self.scale = config.scale
        self.factor = torch.nn.Parameter(torch.tensor(0.7))

    def forward(self, lr):
        return torch.nn.functional.interpolate((self.factor * lr).sin(), scale_factor=self.scale)


def test_the_eight_turns_differ_and_are_turned_back_by_the_same_views():
    image = np.arange(6).reshape(2, 3)
    assert len({turned(image, turn).tobytes() + bytes(turned(image, turn).shape) for turn in range(TURNS)}) == TURNS
    for turn in range(TURNS):
        back = np.zeros_like(image)
        turned(back, turn)[...] = turned(image, turn)
        np.testing.assert_array_equal(back, image)


def test_an_equivariant_network_gives_the_same_bits(monkeypatch):
    network = find("edsr")
    monkeypatch.setattr(type(network), "build", lambda self, config: Nearest(config))
    model = network.make(network.config(scale=2))
    np.testing.assert_array_equal(upscale(model, LR, self_ensemble=True).sr, upscale(model, LR).sr)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_the_mean_of_the_outputs_turned_back(name):
    model, side = tiny(name), find(name).scales[0]
    outputs = []
    for turn in range(TURNS):
        made = upscale(model, np.ascontiguousarray(turned(LR, turn, (0, 1)))).sr
        back = np.zeros((side * 13, side * 18, 3), np.float32)
        turned(back, turn, (0, 1))[...] = made
        outputs.append(back)
    got = upscale(model, LR, self_ensemble=True).sr
    np.testing.assert_allclose(got, np.mean(outputs, axis=0), atol=2e-6)
    assert np.abs(got - outputs[0]).max() > 1e-5


def test_strips_give_the_same_and_the_parts_are_counted(monkeypatch):
    model = tiny("edsr")
    network = find("edsr")
    upscaler = network.upscaler(dataclasses.replace(network.preset("tiny").model, scale=2))
    plan = make_plan(upscaler, (18, 13), CPU, self_ensemble=True)
    short = dataclasses.replace(plan, strip=4, turned=dataclasses.replace(plan.turned, strip=5))
    done = []
    strips = list(upscale_strips(model, LR, short, progress=lambda: done.append(1)))
    assert [strip.first for strip in strips] == [0, 8, 16, 24]
    assert len(done) == parts(upscaler, short) == 4 * (4 + 4)
    whole = np.moveaxis(upscale(model, LR, self_ensemble=True).sr, -1, 0)
    np.testing.assert_allclose(np.concatenate([strip.sr.numpy() for strip in strips], axis=1), whole, atol=1e-6)
    assert plan.memory > make_plan(upscaler, (18, 13), CPU).memory


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    native.save(path, tiny("edsr"))
    return path


def command(*words):
    return CliRunner().invoke(cli, [*map(str, words), "--device", "cpu"])


def test_upscaled_files_say_it_and_others_are_not_taken_for_them(checkpoint, tmp_path):
    write_image(tmp_path / "a.png", LR)
    words = ["upscale", tmp_path / "a.png", "--checkpoint", checkpoint, "--out", tmp_path / "out"]
    assert command(*words, "--self-ensemble").exit_code == 0
    result = tmp_path / "out/a_x2.png"
    assert '"self_ensemble": true' in notes.note_in(result, "d2c")
    first = result.read_bytes()
    assert "1 of 1 results are there already" in command(*words, "--self-ensemble").output
    refused = command(*words)
    assert refused.exit_code == 2
    assert "not made of these images by this checkpoint with these settings" in refused.output
    assert command(*words, "--overwrite").exit_code == 0
    assert result.read_bytes() != first
    assert "self_ensemble" not in notes.note_in(result, "d2c")
    planned = command(*words, "--self-ensemble", "--overwrite", "--plan")
    assert "strips of 13 LR rows, eight times" in planned.output


def test_measured_methods_are_marked(checkpoint, pairs, tmp_path):
    words = ["eval", checkpoint, "--data", pairs, "--csv", tmp_path / "t.csv"]
    shown = command(*words, "--self-ensemble")
    assert shown.exit_code == 0, shown.output
    assert "methods marked + are means over 8 flips and transposes of each image" in shown.output
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert {row["method"] for row in rows} == {"bicubic", "sr+"}
    assert command(*words).exit_code == 0
    plain = list(csv.DictReader((tmp_path / "t.csv").read_text().splitlines()))
    assert [row["psnr_db"] for row in plain if row["method"] == "bicubic"] == (
        [row["psnr_db"] for row in rows if row["method"] == "bicubic"]
    )
    assert {row["psnr_db"] for row in plain if row["method"] == "sr"}.isdisjoint(
        row["psnr_db"] for row in rows if row["method"] == "sr+"
    )


def test_too_little_memory_for_the_means_is_refused_with_a_way_out(checkpoint, tmp_path):
    write_image(tmp_path / "a.png", np.zeros((300, 300, 3), np.uint8))
    words = ["upscale", tmp_path / "a.png", "--checkpoint", checkpoint, "--out", tmp_path / "out"]
    refused = command(*words, "--self-ensemble", "--max-memory", "9MB")
    assert refused.exit_code == 2, refused.output
    assert "crop the image, leave --self-ensemble out, or use a machine with more memory" in refused.output
