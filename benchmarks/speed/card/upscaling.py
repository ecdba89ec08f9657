"""Upscaling of one image by 8: what `d2c upscale` does between files, and the factored network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.peers.peer_networks import Factored
from benchmarks.speed.card.cell import Cell, free_memory, milliseconds
from benchmarks.speed.card.steps import structure
from d2c.d2csr.entry import NETWORK
from d2c.d2csr.network import D2CSR
from d2c.inference.plan import make_plan
from d2c.inference.run import as_image, upscale_strips
from d2c.precision import computing

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.speed.card.cell import Found, Machine
    from d2c.settings.config import Precision

__all__ = ["upscaling_cells"]


def upscaling_cells(precision: Precision) -> list[Cell]:
    """Both networks in a precision."""
    cells = []
    for network, make in (("d2c", _own), ("factored", _factored)):
        cells.append(
            Cell(
                what="upscaling 432x288",
                network=network,
                precision=precision,
                measure=lambda machine, make=make: _measured(machine, make, precision),
            )
        )
    return cells


def _measured(
    machine: Machine, make: Callable[[Machine, Precision], Callable[[], object]], precision: Precision
) -> Found:
    free_memory(machine)
    torch.manual_seed(0)
    found: Found = {"ms": milliseconds(machine, make(machine, precision), warm_up=2)}
    if machine.is_card:
        found["peak_gb"] = torch.cuda.max_memory_allocated(machine.device) / 1e9
    return found


def _own(machine: Machine, precision: Precision) -> Callable[[], object]:
    width, height = machine.size
    model = D2CSR(structure(machine)).to(machine.device).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    plan = make_plan(NETWORK.upscaler(model.config), (width, height), machine.device)

    def upscale() -> object:
        strips = upscale_strips(model, pixels, plan, precision=precision)
        return np.concatenate([as_image(strip.sr) for strip in strips])

    return upscale


def _factored(machine: Machine, precision: Precision) -> Callable[[], object]:
    width, height = machine.size
    network: Any = Factored(structure(machine)).to(machine.device, memory_format=torch.channels_last).eval()
    lr = torch.rand(1, 3, height, width, device=machine.device)

    def upscale() -> object:
        with torch.inference_mode(), computing(precision, machine.device):
            return network(lr).float().cpu().numpy()

    return upscale
