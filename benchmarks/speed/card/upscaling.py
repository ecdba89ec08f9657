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
from d2c.inference.run import laid_out, upscale_strips
from d2c.precision import computing

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

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


def _put(pixels: Tensor, first: int, planes: Tensor) -> None:
    """Round planes to rows of 8-bit pixels on the card, as `d2c upscale` does. The whole is copied from it once."""
    rows = (planes.float().clamp(0, 1) * 255).round().to(torch.uint8).movedim(0, -1)
    pixels[first : first + rows.shape[0]].copy_(rows)


def _empty(machine: Machine) -> Tensor:
    width, height = (machine.scale * side for side in machine.size)
    return torch.empty(height, width, 3, dtype=torch.uint8, device=machine.device)


def _own(machine: Machine, precision: Precision) -> Callable[[], object]:
    width, height = machine.size
    model = laid_out(D2CSR(structure(machine)).to(machine.device).eval())
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    plan = make_plan(NETWORK.upscaler(model.config), (width, height), machine.device, precision=precision)

    def upscale() -> object:
        made = _empty(machine)
        for strip in upscale_strips(model, pixels, plan, precision=precision):
            _put(made, strip.first, strip.sr)
        return made.cpu()

    return upscale


def _factored(machine: Machine, precision: Precision) -> Callable[[], object]:
    width, height = machine.size
    network: Any = Factored(structure(machine)).to(machine.device, memory_format=torch.channels_last).eval()
    lr = torch.rand(1, 3, height, width, device=machine.device)

    def upscale() -> object:
        with torch.inference_mode(), computing(precision, machine.device):
            made = _empty(machine)
            _put(made, 0, network(lr)[0])
            return made.cpu()

    return upscale
