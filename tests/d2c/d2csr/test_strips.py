"""Bands and strips of rows give what the whole image gives, from memory and from files."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from d2c import D2CSR, D2CConfig
from d2c.d2csr.strips import strips
from d2c.d2csr.sweeps import leaf_feature_maps, sweeps_in
from d2c.d2csr.upscaler import maps_alive
from d2c.errors import D2CError
from d2c.inference.spill import FeatureMaps

BASE = D2CConfig(features=4, groups=2, blocks=2, reduction=2, convergence_features=5)


def model(dtype=torch.float64, **changes):
    torch.manual_seed(0)
    return D2CSR(dataclasses.replace(BASE, **changes)).to(dtype).eval()


def in_parts(net, lr, band, rows, folder=None):
    """Fused, predictions and weights of an image, made band by band and strip by strip; and the sweeps counted."""
    height, width = lr.shape[2:]
    swept = []
    maps = FeatureMaps(height, width, net.config.features, lr, folder)
    leaves = leaf_feature_maps(net, lr, maps, band, lambda: swept.append(1))
    made = list(strips(net, leaves, height, rows))
    assert [strip.first for strip in made] == list(range(0, net.config.scale * height, net.config.scale * rows))
    parts = [[strip.sr, strip.more["predictions"], strip.more["weights"][:, 0]] for strip in made]
    return [torch.cat(part, dim=-2) for part in zip(*parts, strict=True)], len(swept)


def whole(net, lr):
    with torch.inference_mode():
        predictions = net.diverge(lr)
        fused, weights = net.converge(predictions)
    return [fused[0], predictions[0], weights[0]]


@pytest.mark.parametrize("borders", ["exact", "composed"])
@pytest.mark.parametrize("scale", [1, 2, 3, 8])
@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 3), (13, 9)])
def test_parts_are_the_whole(scale, size, borders):
    net = model(scale=scale, borders=borders)
    lr = torch.rand(1, 3, *size, dtype=torch.float64)
    expected = whole(net, lr)
    for band, rows in ((1, 1), (2, 3), (3, 1), (50, 50)):
        found, _ = in_parts(net, lr, band, rows)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    "changes",
    [
        {"depth": 1, "width": 3},
        {"depth": 3},
        {"groups": 1},
        {"groups": 3, "blocks": 1},
        {"deep_residual": False},
        {"convergence_gain": 1.0, "convergence_relu": True, "convergence_bias": False},
        {"depth": 1, "width": 1},
    ],
    ids=str,
)
def test_every_structure_in_memory_and_in_files(changes, tmp_path):
    net = model(scale=2, **changes)
    lr = torch.rand(1, 3, 11, 6, dtype=torch.float64)
    expected = whole(net, lr)
    for folder in (None, tmp_path / "new"):
        found, swept = in_parts(net, lr, 3, 2, folder)
        assert swept == sweeps_in(net.config)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-13)
    assert not list((tmp_path / "new").iterdir())


def test_single_precision_is_within_a_millionth(tmp_path):
    net = model(torch.float32, scale=8, features=16, convergence_features=16)
    lr = torch.rand(1, 3, 23, 17)
    for layout in (torch.contiguous_format, torch.channels_last):
        net.to(memory_format=layout)
        expected = whole(net, lr)
        found, _ = in_parts(net, lr, 5, 4, tmp_path)
        for a, b, most in zip(found, expected, (1e-6, 2e-6, 1e-5), strict=True):  # weights: differences × gain
            assert float((a - b).abs().max()) <= most


def test_maps_are_used_again():
    net = model(scale=2)
    maps = FeatureMaps(6, 5, 4, torch.empty(0))
    taken = []
    take = maps.take
    maps.take = lambda: taken.append(take()) or taken[-1]
    lr = torch.rand(1, 3, 6, 5)
    leaf_feature_maps(net.float(), lr, maps, 2)
    assert len({id(m) for m in taken}) == maps_alive(net.config)


def test_bands_keep_the_order_of_their_maps():
    """PyTorch chooses it by the strides; a batch that is added last makes it convert before every convolution."""
    rows = FeatureMaps(6, 5, 4, torch.empty(0)).take().read(1, 4)
    assert torch.cat([rows, rows], dim=2).is_contiguous(memory_format=torch.channels_last)
    lr, net = torch.rand(1, 3, 6, 5), model(torch.float32, scale=2)
    leaves = leaf_feature_maps(net, lr, FeatureMaps(6, 5, 4, lr), 2)
    for strip in strips(net, leaves, 6, 2):
        assert strip.more["predictions"].stride()[:2] == (
            3,
            1,
        )  # a pixel's predictions, and their colours, side by side


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    def full(handle, start, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(
        D2CError, match=r"a temporary file of .* cannot be made there \(No space left on device\).*--spill"
    ):
        FeatureMaps(6, 5, 4, torch.empty(0), tmp_path).take()
    assert not list(tmp_path.iterdir())
