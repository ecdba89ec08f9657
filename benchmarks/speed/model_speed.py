"""What a training step and an upscaling cost, beside the factored structure of the released code, RCAN and EDSR.

    python -m benchmarks.speed.model_speed --out benchmarks/results/model_speed
    python -m benchmarks.speed.model_speed --small                  # a few seconds, to see that it works

Seconds are CPU seconds of one thread on a CPU (others may use the machine) and wall seconds on CUDA. Within a task the
networks take turns, step by step; a ratio is the median over the turns of the factored network's seconds over the
others' in the same turn. Steps are whole: forward, losses, backward, fused Adam; the factored network is in
channels_last, which it is a quarter faster with. Peak memory is measured in a process of its own, over what it had
after a tiny step and before the network was made. ``share`` is the multiply-adds done in that time over what the
machine does, in the same turns, in the faster of a large matrix product and a large convolution (on some CPUs the
library of matrix products uses half the machine). Batches are random numbers; nothing is read.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import alone, begin_peak, peak_bytes, seconds_of
from benchmarks.peers.peer_networks import EDSR, PUBLISHED_PARAMETERS, RCAN, Factored
from benchmarks.program import print_and_store, program, with_out, with_small
from benchmarks.result_tables import Row, text_table
from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.entry import NETWORK
from d2c.d2csr.network import D2CSR
from d2c.d2csr.stages import ConvergenceStage, DivergenceStage, JointStage
from d2c.data.patches import Batch
from d2c.inference.plan import make_plan
from d2c.inference.run import as_image, upscale_strips
from d2c.losses import convergence_loss, divergence_loss
from d2c.training.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TRAINING = ("stage 1", "stage 2", "joint", "joint, two passes")
PEERS = ("RCAN", "EDSR")
COLUMNS = (
    "task",
    "scale",
    "batch",
    "lr_size",
    "network",
    "parameters",
    "seconds",
    "factored_over_this",
    "gmacs",
    "share",
    "peak_gb",
)


class Task(NamedTuple):
    """What is done: a step of a stage, or an upscaling, of ``batch`` LR images of a size (width, height)."""

    name: str
    scale: int
    batch: int
    width: int
    height: int
    small: bool

    @property
    def networks(self) -> tuple[str, ...]:
        """Those that can do it."""
        if self.name in ("any network's step", "upscaling, peers"):
            return ("d2c", *PEERS)
        own = ("d2c", "factored")
        return (*own, "d2c, composed borders") if self.name == "stage 1" else own

    @property
    def config(self) -> D2CConfig:
        """The structure of d2c: the paper's, or one for a quick look."""
        small = {"features": 8, "groups": 1, "blocks": 1, "convergence_features": 8} if self.small else {}
        return D2CConfig(scale=self.scale, **small)


def prepare(task: Task, network: str, device: str) -> tuple[Callable[[], object], int]:
    """One step or upscaling as a function to call, and the network's trained parameters."""
    torch.manual_seed(0)
    lr = torch.rand(task.batch, 3, task.height, task.width, device=device)
    hr = torch.rand(task.batch, 3, task.scale * task.height, task.scale * task.width, device=device)
    if network in PEERS:
        kind = {"RCAN": RCAN, "EDSR": EDSR}[network]
        peer = (kind(task.scale, 1, n=16) if task.small else kind(task.scale)).to(device)
        count = sum(p.numel() for p in peer.parameters())
        if not task.small and count != PUBLISHED_PARAMETERS[network, task.scale]:
            raise AssertionError(f"{network} x{task.scale}: {count} parameters, not the published size")
        return _factored_step("peer", task, peer, lr, hr), count
    config = task.config
    if network == "d2c, composed borders":
        config = dataclasses.replace(config, borders="composed")
    model = D2CSR(config).to(device)
    count = sum(p.numel() for p in model.parameters())
    if network.startswith("factored"):
        factored = Factored(config).to(device)
        factored.load_state_dict(model.state_dict())
        factored = factored.to(memory_format=torch.channels_last)
        return _factored_step(task.name, task, factored, lr, hr), count
    return _own_step(task, model, lr, hr), count


def _own_step(task: Task, model: Any, lr: Any, hr: Any) -> Callable[[], object]:
    if task.name.startswith("upscaling"):
        return _own_upscaling(model.eval(), (255 * lr[0].movedim(0, -1)).byte().cpu().numpy())
    kinds = {"stage 1": DivergenceStage, "stage 2": ConvergenceStage}
    config = TrainConfig(batch=task.batch)
    engine = Engine(kinds.get(task.name, JointStage)(model, config), config)
    return lambda: engine.update(Batch(lr, hr), config.lr, {"alpha": config.alpha})


def _own_upscaling(model: Any, pixels: Any) -> Callable[[], object]:
    """What `d2c upscale` does between files: the fused image alone, as the other networks make it."""
    height, width = pixels.shape[:2]
    plan = make_plan(NETWORK.upscaler(model.config), (width, height), next(model.parameters()).device)

    def upscale() -> object:
        return np.concatenate([as_image(strip.sr) for strip in upscale_strips(model, pixels, plan)])

    return upscale


def _factored_step(name: str, task: Task, network: Any, lr: Any, hr: Any) -> Callable[[], object]:
    """The same work on a plain network: losses are d2c's, nothing else is."""
    if task.name.startswith("upscaling"):
        network.eval()

        def upscale() -> object:
            with torch.inference_mode():
                return network(lr).cpu().numpy()

        return upscale
    config = TrainConfig()
    trained = list(network.parameters())
    if name == "stage 1":
        trained = [p for key, p in network.named_parameters() if not key.startswith("convergence.")]
    if name == "stage 2":
        trained = list(network.convergence.parameters())
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    optimiser = torch.optim.Adam(trained, lr=config.lr, fused=True)

    def loss() -> Any:
        if name == "peer":
            return F.l1_loss(network(lr), hr)
        with torch.set_grad_enabled(name != "stage 2"):
            predictions = network.diverge(lr)
        total: Any = 0
        if name != "stage 2":
            terms = divergence_loss(
                predictions, hr, tree=(2, 2), alpha=config.alpha, theta=config.theta, margin=config.margin
            )
            total = terms.total
        if name == "joint, two passes":
            with torch.no_grad():
                predictions = network.diverge(lr)
        if name != "stage 1":
            total = total + convergence_loss(network.convergence(predictions.detach()), hr)
        return total

    def step() -> object:
        optimiser.zero_grad(set_to_none=True)
        loss().backward()
        optimiser.step()
        return None

    return step


def clock(function: Callable[[], object], device: str) -> float:
    """Seconds of one call: of CPU, or of the wall on CUDA."""
    if device == "cpu":
        return seconds_of(function)

    def finished() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return seconds_of(function, finished)


def macs_of(function: Callable[[], object]) -> float:
    """Multiply-adds of one call, in 10⁹."""
    with FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops() / 2e9


def products(device: str, small: bool) -> list[tuple[Callable[[], object], float]]:
    """Large products and their multiply-adds in 10⁹: what the machine can do."""
    side, channels, size = (256, 32, 16) if small else (1024, 256, 48)
    a, b = torch.rand(2, side, side, device=device)
    image = torch.rand(1, channels, size, size, device=device).to(memory_format=torch.channels_last)
    weight = torch.rand(channels, channels, 3, 3, device=device)
    convolve = lambda: F.conv2d(image, weight, padding=1)  # noqa: E731
    return [(lambda: a @ b, side**3 / 1e9), (convolve, 9 * (channels * size) ** 2 / 1e9)]


def rate_of(found: list[tuple[Callable[[], object], float]], device: str) -> float:
    """The fastest of them now, in 10⁹ multiply-adds a second."""
    return max(gmacs / clock(function, device) for function, gmacs in found for _ in range(3))


def measure(task: Task, device: str, turns: int) -> list[Row]:
    """The networks of a task in turn; with no turns, nothing but their names and sizes."""
    steps = {network: prepare(task, network, device) for network in task.networks}
    rows: list[Row] = [
        {
            "task": task.name,
            "scale": task.scale,
            "batch": task.batch,
            "lr_size": f"{task.width}x{task.height}",
            "network": network,
            "parameters": parameters,
        }
        for network, (_, parameters) in steps.items()
    ]
    if not turns:
        return rows
    fastest = products(device, task.small)
    gmacs = {network: macs_of(function) for network, (function, _) in steps.items()}  # also warms up
    rate_of(fastest, device)
    seconds: dict[str, list[float]] = {network: [] for network in steps}
    peak = []
    for _ in range(turns):
        for network, (function, _) in steps.items():
            seconds[network].append(clock(function, device))
            peak.append(rate_of(fastest, device))
    baseline = seconds.get("factored", [])
    rate = statistics.median(peak)
    for row, network in zip(rows, steps, strict=True):
        ratios = [a / b for a, b in zip(baseline, seconds[network], strict=True)] if baseline else []
        median = statistics.median(seconds[network])
        row |= {
            "seconds": round(median, 4),
            "factored_over_this": round(statistics.median(ratios), 2) if ratios else "",
            "gmacs": round(gmacs[network], 3),
            "share": round(gmacs[network] / median / rate, 3),
        }
    return rows


def peak_gb(task: Task, network: str, device: str, threads: int) -> float:
    """Peak memory of two steps; runs in a process of its own, because a process's peak never falls."""
    torch.set_num_threads(threads)
    tiny = task._replace(batch=1, width=12, height=12, small=True)
    prepare(tiny, network, device)[0]()  # what the libraries load at their first step is not what is measured
    before = begin_peak()
    function, _ = prepare(task, network, device)
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    for _ in range(2):
        function()
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 1e9
    return (peak_bytes() - before) / 1e9


def tasks(
    scales: tuple[int, ...], batch: int, small: bool, names: tuple[str, ...], image: tuple[int, int]
) -> list[Task]:
    """Everything that is measured; ``image`` is the LR size (width, height) that is upscaled."""
    patch, peer_patch, image = (12, 12, (20, 12)) if small else (96, 48, image)
    found = []
    for scale in scales:
        found += [Task(name, scale, batch, patch, patch, small) for name in TRAINING]
        found += [Task("any network's step", scale, 1, peer_patch, peer_patch, small)]
        found += [Task("upscaling", scale, 1, *image, small), Task("upscaling, peers", scale, 1, 96, 64, small)]
    return [task for task in found if not names or task.name in names]


@program(__doc__)
@click.option("--scale", "scales", type=int, multiple=True, default=[8, 4, 2], show_default=True)
@click.option("--task", "names", multiple=True, help="Only these, by name.")
@click.option("--batch", default=4, show_default=True, help="Patches of a training step.")
@click.option("--image", type=(int, int), default=(432, 288), show_default=True, help="LR image that is upscaled.")
@click.option("--turns", default=3, show_default=True, help="0: peak memory alone.")
@click.option("--threads", default=1, show_default=True)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--memory/--no-memory", default=True, show_default=True, help="Measure peak memory too.")
@with_small("Tiny networks and patches, one turn", exposed=True, scales=(4,), batch=2, turns=1)
@with_out
def main(
    scales: tuple[int, ...],
    names: tuple[str, ...],
    batch: int,
    image: tuple[int, int],
    turns: int,
    threads: int,
    device: str,
    memory: bool,
    small: bool,
    out: Path | None,
) -> None:
    """Print the table, and store it."""
    torch.set_num_threads(threads)
    rows: list[Row] = []
    for task in tasks(scales, batch, small, names, image):
        found = measure(task, device, turns)
        for row in found if memory else ():
            row["peak_gb"] = round(alone(peak_gb, task, row["network"], device, threads), 3)
        rows += found
        click.echo(text_table(found, COLUMNS), err=True)
    print_and_store(f"device: {device}, {threads} thread(s)\n\n{text_table(rows, COLUMNS)}", out, {"": rows})


if __name__ == "__main__":
    main()
