"""A result is put together on the card to the same levels as in memory, without waiting between strips."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from d2c import D2CSR, D2CConfig
from d2c.d2csr.entry import NETWORK
from d2c.inference.canvas import Canvas
from d2c.inference.ensemble import averaged
from d2c.inference.plan import make_plan
from d2c.inference.run import upscale, upscale_strips
from d2c.training.graph import CaptureGuard

CPU, META = torch.device("cpu"), torch.device("meta")
TINY = D2CConfig(scale=2, depth=1, groups=1, blocks=1, features=4, reduction=2, convergence_features=4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("grey", [False, True])
def test_levels_of_a_card_are_those_in_memory(dtype, grey):
    planes = torch.rand(3, 8, 9) * 1.4 - 0.2
    canvas = Canvas((8, 9, 3), np.dtype(dtype), CPU, grey=grey)
    canvas.put(0, planes)
    expected = canvas.pixels()
    canvas._rows = canvas._on_the_card
    canvas.put(0, planes[:, :3])
    canvas.put(3, planes[:, 3:].to(torch.float64).float())
    found = canvas.pixels()
    assert (found.dtype, found.shape) == (dtype, (8, 9, 3))
    assert np.abs(found.astype(int) - expected).max() <= grey  # the luma is summed in another order
    assert {0, np.iinfo(dtype).max} <= set(np.unique(found))


@pytest.mark.parametrize(("band", "strip"), [(0, 12), (0, 5), (7, 5)])
def test_nothing_waits_for_the_device_between_strips(band, strip):
    model = D2CSR(TINY).to("meta").eval()
    lr = torch.empty(1, 3, 12, 10, device="meta")
    plan = make_plan(NETWORK.upscaler(TINY), (10, 12), META)
    plan = dataclasses.replace(plan, band=band, strip=strip, spill=False)
    canvas = Canvas((24, 20, 3), np.dtype(np.uint8), META, grey=True)
    with CaptureGuard():
        for made in NETWORK.upscaler(TINY).strips(model, lr, plan, None, lambda: None):
            canvas.put(made.first, made.sr)
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        canvas.pixels()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_whole_tree_at_once_gives_the_image_of_bands(precision):
    torch.manual_seed(0)
    config = dataclasses.replace(TINY, depth=2)
    model = D2CSR(config).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3)).astype(np.uint8)
    plan = make_plan(NETWORK.upscaler(config), (10, 12), CPU)
    found = [
        torch.cat([strip.sr.float() for strip in upscale_strips(model, pixels, chosen, precision=precision)], dim=1)
        for chosen in (plan, dataclasses.replace(plan, band=0), dataclasses.replace(plan, band=0, strip=5))
    ]
    for image in found[1:]:
        torch.testing.assert_close(image, found[0], rtol=0, atol=1e-5 if precision == "fp32" else 0.02)


def test_maps_in_files_keep_half_precision(tmp_path):
    torch.manual_seed(0)
    model = D2CSR(TINY).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3)).astype(np.uint8)
    plan = dataclasses.replace(make_plan(NETWORK.upscaler(TINY), (10, 12), CPU), band=8)
    found = [
        torch.cat([s.sr for s in upscale_strips(model, pixels, chosen, tmp_path, precision="bf16")], dim=1)
        for chosen in (plan, dataclasses.replace(plan, spill=True))
    ]
    assert torch.equal(*found)


def test_means_over_turns_stay_on_the_device():
    model = D2CSR(TINY).to("meta").eval()
    pixels = np.zeros((12, 10, 3), np.uint8)
    plan = make_plan(NETWORK.upscaler(TINY), (10, 12), META, self_ensemble=True)
    made = list(averaged(pixels, plan, 2, lambda image, plan: upscale_strips(model, image, _unturned(plan))))
    assert {strip.sr.device.type for strip in made} == {"meta"}
    assert upscale(D2CSR(TINY).eval(), pixels, self_ensemble=True).sr.shape == (24, 20, 3)


def _unturned(plan):
    return dataclasses.replace(plan, turned=None)
