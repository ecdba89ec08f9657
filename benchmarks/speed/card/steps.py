"""Training steps: of D2C-SR in the engine of d2c, of the factored reference, and of RCAN and EDSR."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.peers import peer_networks
from benchmarks.speed.card.cell import GRAPH, Cell, free_memory, milliseconds
from benchmarks.speed.card.operations import STAGES, operations
from benchmarks.speed.card.reference import FactoredStage, PeerStage, compile_blocks
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.network import D2CSR
from d2c.data.patches import Batch
from d2c.networks import find
from d2c.precision import set_tf32
from d2c.tails.chains import Compiler
from d2c.training.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.speed.card.cell import Found, Machine
    from d2c.networks.base.stage import Stage
    from d2c.settings.config import Precision

__all__ = ["COMPILED", "EAGER", "TUNED", "engine", "made_step", "peer_cells", "settings", "step_cell"]

EAGER, COMPILED, TUNED = "one by one", "graph, compiled", "graph, cuDNN tries"
"""Ways of a step besides `GRAPH`: operators launched one by one; a graph of a step whose chains are compiled; a graph
of the convolutions that cuDNN finds to be the fastest."""


def settings(machine: Machine, precision: Precision, patches: int) -> TrainConfig:
    """The training settings of a cell. The number formats of CUDA's products are set with them."""
    set_tf32(precision == "tf32")
    return TrainConfig(batch=2 if machine.small else patches, patch=machine.patch, precision=precision)


def structure(machine: Machine) -> D2CConfig:
    """The paper's structure, or a tiny one."""
    small = {"features": 4, "groups": 1, "blocks": 1, "reduction": 2, "convergence_features": 4}
    return D2CConfig(scale=machine.scale, **(small if machine.small else {}))


def engine(machine: Machine, stage: Stage, way: str, said: list[str]) -> Engine:
    """The engine for a stage."""
    compiler = Compiler(said.append, _backend(machine)) if way == COMPILED else None
    if compiler and isinstance(stage, FactoredStage):
        compile_blocks(stage, compiler.backend)
        compiler = None
    return Engine(stage, stage.config, graph=way != EAGER, note=said.append, compiler=compiler)


def _backend(machine: Machine) -> str:
    """The compiler; where the program only tests itself, one that takes no time."""
    return "aot_eager" if machine.small else "inductor"


def made_step(
    machine: Machine, kind: str, network: str, patches: int, precision: Precision, way: str, said: list[str]
) -> Callable[[], Any]:
    """A step of D2C-SR, or of the factored network, as a function to call."""
    torch.manual_seed(0)
    train, config = settings(machine, precision, patches), structure(machine)
    if network == "d2c":
        stage: Stage = STAGES[kind](D2CSR(config).to(machine.device), train)
    else:
        stage = FactoredStage(peer_networks.Factored(config).to(machine.device), train, kind)
    return _called(machine, engine(machine, stage, way, said), {"alpha": train.alpha})


def _called(machine: Machine, made: Engine, weights: dict[str, float]) -> Callable[[], Any]:
    config = made.config
    sides = config.patch, machine.scale * config.patch
    batch = Batch(*(torch.rand(config.batch, 3, side, side, device=machine.device) for side in sides))
    return lambda: made.update(batch, config.lr, weights)


def _measured(machine: Machine, make: Callable[[list[str]], Callable[[], Any]], way: str) -> Found:
    free_memory(machine)
    said: list[str] = []
    with _tuned(way == TUNED):
        step = make(said)
        found: Found = {"ms": milliseconds(machine, step)}
        if not math.isfinite(float(step()["total"])):
            said.append("the loss is not finite")
    if machine.is_card:
        found["peak_gb"] = torch.cuda.max_memory_allocated(machine.device) / 1e9
    return {**found, "remark": "; ".join(said)}


@contextlib.contextmanager
def _tuned(tried: bool) -> Iterator[None]:
    """Let cuDNN time its convolutions and take the fastest."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = tried
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def step_cell(
    kind: str, network: str, patches: int, precision: Precision, way: str = GRAPH, *, counted: bool = True
) -> Cell:
    """The cell of a step. ``counted`` says whether to count its operations, which takes a second."""
    make = functools.partial(made_step, kind=kind, network=network, patches=patches, precision=precision, way=way)
    return Cell(
        what=kind,
        network=network,
        patches=patches,
        precision=precision,
        way=way,
        seconds={COMPILED: 30.0, TUNED: 8.0}.get(way, 4.0),
        measure=lambda machine: _measured(machine, lambda said: make(machine, said=said), way),
        known={"gmacs": operations(kind, network, patches)} if counted else {},
    )


def peer_cells(precision: Precision) -> list[Cell]:
    """RCAN and EDSR: those of d2c, and the networks as written down."""
    cells = []
    for name in ("rcan", "edsr"):
        for way, make in ((GRAPH, _own_network), (EAGER, _plain_network)):
            made = functools.partial(make, name=name, precision=precision, way=way)
            measure = functools.partial(_measured_peer, make=made, way=way)
            who = "d2c" if way == GRAPH else "factored"
            cells.append(Cell(what=name.upper(), network=who, patches=4, precision=precision, way=way, measure=measure))
    return cells


def _measured_peer(machine: Machine, make: Callable[..., Any], way: str) -> Found:
    return _measured(machine, lambda said: make(machine, said=said), way)


def _own_network(machine: Machine, name: str, precision: Precision, way: str, said: list[str]) -> Callable[[], Any]:
    network = find(name)
    size = network.sizes()["tiny" if machine.small else "paper"].model
    train = network.train(**_shared(settings(machine, precision, 4)))
    model = network.make(dataclasses.replace(size, scale=machine.scale)).to(machine.device)
    return _called(machine, engine(machine, network.stages(train)[0](model, train), way, said), {})


def _plain_network(machine: Machine, name: str, precision: Precision, way: str, said: list[str]) -> Callable[[], Any]:
    kind = {"rcan": peer_networks.RCAN, "edsr": peer_networks.EDSR}[name]
    model = (kind(machine.scale, 1, n=16) if machine.small else kind(machine.scale)).to(machine.device)
    stage = PeerStage(model, settings(machine, precision, 4))
    return _called(machine, engine(machine, stage, way, said), {})


def _shared(train: TrainConfig) -> dict[str, Any]:
    return {name: getattr(train, name) for name in ("batch", "patch", "precision")}
