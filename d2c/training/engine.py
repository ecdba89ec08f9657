"""One optimiser step, on one device or many. Distribution is PyTorch's own: torchrun starts, DDP averages gradients."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from d2c.device import pick_device
from d2c.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from d2c.data.patches import Batch
    from d2c.networks.base.stage import Stage
    from d2c.settings.config import TrainSettings

__all__ = ["Engine", "World", "world"]

_AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """The processes of a run, as torchrun's environment says: this one's rank, how many, and its device."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until every process is here."""
        if self.size > 1:
            dist.barrier()

    def any(self, flag: bool) -> bool:
        """Whether it is true in any of the processes; all of them must ask."""
        if self.size == 1:
            return flag
        flags = torch.tensor(int(flag), device=self.device)
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags)


@contextlib.contextmanager
def world(device: str = "auto") -> Iterator[World]:
    """The processes of this run; alone where torchrun did not start it."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(rank=0, size=1, device=pick_device(device))
        return
    chosen = pick_device(device)
    if chosen.type == "cuda":
        chosen = pick_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(chosen)
    if dist.is_initialized():  # the caller's own group: used, and left to the caller
        yield World(rank=dist.get_rank(), size=dist.get_world_size(), device=chosen)
        return
    # others wait while the first one validates, so the patience is long
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=timedelta(hours=6))
    try:
        yield World(rank=dist.get_rank(), size=size, device=chosen)
    finally:
        dist.destroy_process_group()


def set_tf32(allowed: bool) -> None:
    """Let CUDA's convolutions and matrix products in fp32 use TF32, or not."""
    precision = "tf32" if allowed else "ieee"
    if hasattr(torch.backends.cudnn, "fp32_precision"):  # PyTorch 2.9 and later
        backends: Any = torch.backends
        backends.cudnn.conv.fp32_precision = precision
        backends.cuda.matmul.fp32_precision = precision
    else:
        torch.backends.cudnn.allow_tf32 = allowed
        torch.backends.cuda.matmul.allow_tf32 = allowed


class Engine:
    """Adam on a stage's trained parameters: autocast, gradient accumulation, averaging over processes, EMA.

    Parameters
    ----------
    stage : Stage
        Its model is on the device already.
    config : TrainSettings
        ``batch`` counts patches of all processes together, so results do not depend on their number.
    size : int
        Number of processes.
    """

    def __init__(self, stage: Stage, config: TrainSettings, size: int = 1) -> None:
        if config.batch % (size * config.accumulate):
            raise ConfigError(
                f"batch: {config.batch} patches have no equal parts for {size} processes × {config.accumulate}; "
                "change --batch or --accumulate"
            )
        self.stage, self.config = stage, config
        self.parameters = stage.trained()
        self.device = self.parameters[0].device
        stage.lay_out(self.device)
        self.optimiser = torch.optim.Adam(
            self.parameters,
            lr=config.lr,
            betas=(config.beta1, config.beta2),
            weight_decay=config.weight_decay,
            fused=self.device.type in ("cpu", "cuda"),
        )
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        self.average = [p.detach().clone() for p in self.parameters] if config.ema else []
        self.module = self._distributed() if size > 1 else stage

    def _distributed(self) -> DistributedDataParallel:
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(self.stage, device_ids=ids)

    def update(self, batch: Batch, lr: float, weights: Mapping[str, float]) -> dict[str, Tensor]:
        """One optimiser step on this process's share of a batch; returns the terms, means over the parts."""
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.optimiser.zero_grad(set_to_none=True)
        parts = self.config.accumulate
        sums: dict[str, Tensor] = {}
        pieces = zip(batch.lr.chunk(parts), batch.hr.chunk(parts), strict=True)
        for number, (lr_part, hr_part) in enumerate(pieces, start=1):
            with self._averaged_at_the_end(number == parts), self._autocast():
                terms = self.module(lr_part, hr_part, **weights)
                loss = terms["total"] / parts
            with self._averaged_at_the_end(number == parts):
                self.scaler.scale(loss).backward()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value.detach() / parts
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self._move_average()
        return sums

    @torch.no_grad()
    def loss(self, batch: Batch, weights: Mapping[str, float]) -> float:
        """The loss of this process's share of a batch with the weights as they are; nothing changes."""
        parts = self.config.accumulate
        pieces = zip(batch.lr.chunk(parts), batch.hr.chunk(parts), strict=True)
        with self._autocast():
            return sum(float(self.stage(lr, hr, **weights)["total"]) for lr, hr in pieces) / parts

    def _averaged_at_the_end(self, last: bool) -> contextlib.AbstractContextManager[None]:
        """Gradients of all processes are averaged once a step, with its last part."""
        if last or not isinstance(self.module, DistributedDataParallel):
            return contextlib.nullcontext()
        return self.module.no_sync()

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        dtype = _AUTOCAST[self.config.precision]
        if dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=dtype)

    @torch.no_grad()
    def _move_average(self) -> None:
        for average, parameter in zip(self.average, self.parameters, strict=bool(self.average)):
            average.lerp_(parameter, 1 - self.config.ema)

    @contextlib.contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Within, the model has the moving average of its weights (its own ones where there is none)."""
        own = [p.detach().clone() for p in self.parameters] if self.average else []
        self._put(self.average)
        try:
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=bool(values)):
            parameter.copy_(value)

    def adopt_average(self) -> None:
        """Go on with the moving average as the model's weights; at the end of a stage."""
        self._put(self.average)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on besides the model's own weights."""
        return {
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a saved state."""
        self.optimiser.load_state_dict(state["optimiser"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        for average, saved in zip(self.average, state["average"], strict=True):
            average.copy_(saved)
