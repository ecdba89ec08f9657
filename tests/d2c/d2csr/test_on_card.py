"""The plans for a card: as much at a time as memory allows, and predictions from counted tensors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from d2c import D2CSR, D2CConfig
from d2c.d2csr.entry import NETWORK
from d2c.d2csr.on_card import ways_on_card
from d2c.device import available_bytes
from d2c.inference import plan as planning
from d2c.inference.plan import make_plan
from d2c.inference.run import laid_out, upscale_strips
from d2c.networks.base.shapes import AliveBytes
from d2c.precision import available_precision

CARD = torch.device("cuda")
CONFIG = D2CConfig(scale=4, features=16, groups=1, blocks=1, convergence_features=16)


def planned(memory, precision="tf32", **changes):
    return make_plan(NETWORK.upscaler(CONFIG), (300, 200), CARD, max_memory=memory, precision=precision, **changes)


@pytest.fixture(autouse=True)
def _no_limit(monkeypatch):
    if not torch.cuda.is_available():
        monkeypatch.setattr(planning, "available_bytes", lambda device: None)


def test_a_strip_is_as_high_as_memory_allows():
    whole = planned(None)
    assert (whole.strip, whole.band, whole.spill) == (200, 0, False)
    found = [planned(whole.memory // parts) for parts in (2, 3, 4)]
    assert found[0].band == 0 < found[2].band, "the tree in bands where it does not fit whole"
    assert 200 > found[0].strip >= found[1].strip >= found[2].strip > 10
    assert all(plan.memory <= whole.memory // parts for parts, plan in zip((2, 3, 4), found, strict=True))
    assert planned(int(10.5e6)).spill


def test_half_precision_takes_half_and_fp32_more():
    bytes_of = {name: planned(None, name).memory for name in ("fp32", "tf32", "bf16", "fp16")}
    assert bytes_of["bf16"] == bytes_of["fp16"] < 0.7 * bytes_of["tf32"]
    assert bytes_of["fp32"] > 1.3 * bytes_of["tf32"]
    assert planned(None, keep_all=True).memory > planned(None).memory


@pytest.mark.parametrize("strip", [200, 60, 25])
def test_the_prediction_is_near_what_is_alive(strip):
    """Without the workspace of convolutions, which only a card has."""
    upscaler, size = NETWORK.upscaler(CONFIG), (300, 200)
    model = D2CSR(CONFIG).to("meta").eval()
    way = next(way for way in ways_on_card(CONFIG, size, "tf32") if way.strip <= strip)
    plan = dataclasses.replace(planned(None), strip=way.strip)
    lr = torch.empty(1, 3, 200, 300, device="meta")
    with AliveBytes() as alive:
        for _ in upscaler.strips(model, lr, plan, None, lambda: None):
            pass
    assert alive.peak == pytest.approx(max(way.body, way.strips) / 1.1, rel=0.2)


def test_memory_of_a_card_is_what_its_allocator_may_still_take(monkeypatch):
    said = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: said.append("emptied"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (9_000, 10_000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 500)
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: 0.4, raising=False)
    assert available_bytes(CARD) == 3_500
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda device: 1.0, raising=False)
    assert (available_bytes(CARD), said) == (9_000, ["emptied", "emptied"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_a_card_takes_what_is_predicted_within_a_fifth(precision, share):
    """Nobody has run this yet."""
    model = laid_out(D2CSR(D2CConfig()).cuda().eval())
    precision = available_precision(precision, CARD)
    pixels = np.zeros((288, 432, 3), np.uint8)
    most = make_plan(NETWORK.upscaler(model.config), (432, 288), CARD, precision=precision).memory
    plan = make_plan(
        NETWORK.upscaler(model.config), (432, 288), CARD, max_memory=int(share * most), precision=precision
    )
    for _ in range(2):  # the first one also composes the kernels
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        for _strip in upscale_strips(model, pixels, plan, precision=precision):
            pass
        peak = torch.cuda.max_memory_allocated() - before
    assert peak == pytest.approx(plan.memory - plan.result, rel=0.2)
