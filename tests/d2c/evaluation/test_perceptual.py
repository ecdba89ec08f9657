"""Perceptual distances: measured where their packages and weights are, and named where they are not."""

from __future__ import annotations

import csv
import sys
import types

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from d2c import precision
from d2c.checkpoints import native
from d2c.cli import cli
from d2c.data.patches import to_tensor
from d2c.evaluation import perceptual
from d2c.networks import find


class Difference:
    """In place of a measure of torchmetrics: the mean absolute difference."""

    def __init__(self, **options):
        self.options = options

    def to(self, device):
        return self

    def __call__(self, sr, hr):
        assert sr.shape == hr.shape
        return (sr - hr).abs().mean()


def load_weights():
    torch.hub.load_state_dict_from_url("https://weights.example/alexnet-0123.pth")


class NeedsWeights(Difference):
    def __init__(self, **options):
        load_weights()


class NeedsWeightsLater(Difference):
    def __call__(self, sr, hr):
        load_weights()


@pytest.fixture
def torchmetrics(monkeypatch, tmp_path):
    """A package that has the classes; the cache of measures is empty before and after."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    image = types.ModuleType("torchmetrics.image")
    image.LearnedPerceptualImagePatchSimilarity = Difference
    image.DeepImageStructureAndTextureSimilarity = Difference
    package = types.ModuleType("torchmetrics")
    package.image = image
    for name, module in (("torchmetrics", package), ("torchmetrics.image", image), ("torchvision", package)):
        monkeypatch.setitem(sys.modules, name, module)
    perceptual._metric.cache_clear()
    yield image
    perceptual._metric.cache_clear()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    network = find("edsr")
    native.save(path, network.make(network.config(scale=2, features=3, blocks=1)))
    return path


def measure(checkpoint, data, *words):
    return CliRunner().invoke(
        cli, [str(word) for word in ("eval", checkpoint, "--data", data, "--device", "cpu", *words)]
    )


def test_distances_stand_beside_the_other_protocols(torchmetrics, checkpoint, make_pairs, tmp_path):
    data, table = make_pairs(tmp_path / "pairs", size=(40, 36), count=2), tmp_path / "t.csv"
    words = ["--protocol", "basicsr-y", "--protocol", "lpips", "--protocol", "dists", "--csv", table]
    for _ in range(2):  # a table with this column is replaced, too
        done = measure(checkpoint, data, *words)
        assert done.exit_code == 0, done.output
    assert "LPIPS, AlexNet, smaller is better" in done.output
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert list(rows[0]) == ["image", "method", "protocol", "psnr_db", "ssim", "distance"]
    for row in rows:
        plain = row["protocol"] == "basicsr-y"
        assert (row["psnr_db"] != "", row["ssim"] != "", row["distance"] != "") == (plain, plain, not plain)
    assert len([row for row in rows if row["image"] == "mean"]) == 6
    done = measure(checkpoint, data, "--csv", table)
    assert done.exit_code == 0, done.output
    assert table.read_text().splitlines()[0] == "image,method,protocol,psnr_db,ssim"


def test_a_distance_is_that_of_8_bit_images_without_the_border(torchmetrics):
    rng = np.random.default_rng(0)
    sr, hr = rng.random((20, 24, 3)).astype(np.float32), rng.integers(0, 256, (20, 24, 3)).astype(np.uint8)
    inside = slice(2, -2)
    rounded = np.rint(sr * 255).astype(np.uint8)
    expected = (to_tensor(rounded) - to_tensor(hr))[:, inside, inside].abs().mean()
    assert perceptual.distance(sr, hr, 2, "lpips", torch.device("cpu")) == pytest.approx(float(expected))
    assert perceptual._metric("lpips").options == {"net_type": "alex", "normalize": True}


def test_a_distance_is_computed_in_fp32_also_where_tf32_and_autocast_are_on(torchmetrics, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # PyTorch's default
    permitting = precision.permitting_tf32
    monkeypatch.setattr(
        precision, "permitting_tf32", lambda allowed, device: permitting(allowed, torch.device("cuda"))
    )  # as on a card
    seen = []

    class Watched(Difference):
        def __call__(self, sr, hr):
            seen.append((torch.backends.cudnn.allow_tf32, torch.is_autocast_enabled("cpu")))
            return super().__call__(sr, hr)

    torchmetrics.DeepImageStructureAndTextureSimilarity = Watched
    image = np.zeros((70, 70, 3), np.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert perceptual.distance(image, image, 2, "dists", torch.device("cpu")) == 0
    assert seen == [(False, False)]
    assert torch.backends.cudnn.allow_tf32


def test_small_images_are_refused(torchmetrics, checkpoint, pairs):
    done = measure(checkpoint, pairs, "--protocol", "lpips")
    assert done.exit_code == 2
    assert "too small to be measured: at least 68 are needed" in done.output


def test_missing_packages_are_named_before_anything_is_measured(monkeypatch, checkpoint, pairs):
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    perceptual._metric.cache_clear()
    done = measure(checkpoint, pairs, "--protocol", "dists")
    assert done.exit_code == 2
    assert "protocol: dists needs the packages torchmetrics and torchvision for this torch (" in done.output
    assert len(done.output.splitlines()) == 1


@pytest.mark.parametrize("kind", [NeedsWeights, NeedsWeightsLater])
def test_missing_weights_are_named_and_not_downloaded(kind, torchmetrics, monkeypatch, checkpoint, pairs, tmp_path):
    torchmetrics.LearnedPerceptualImagePatchSimilarity = kind
    monkeypatch.setattr("urllib.request.urlopen", lambda *arguments, **options: pytest.fail("downloaded"))
    allowed = torch.hub.download_url_to_file
    done = measure(checkpoint, pairs, "--protocol", "lpips")
    assert done.exit_code == 2
    file = tmp_path / "hub/hub/checkpoints/alexnet-0123.pth"
    assert f"get https://weights.example/alexnet-0123.pth, save it as {file}, or leave" in done.output
    assert len(done.output.splitlines()) == 1
    assert not file.exists()
    assert torch.hub.download_url_to_file is allowed
