"""One optimiser step on one or several devices. torchrun starts the processes, and PyTorch's DDP averages gradients."""

from __future__ import annotations

import contextlib
import math
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from d2c.data.travel import as_floats
from d2c.device import pick_device
from d2c.errors import ConfigError, TrainingError
from d2c.networks.base.stage import MOVED
from d2c.precision import autocasting, permitting_tf32, set_tf32
from d2c.training.graph import StepGraph
from d2crealsr.store import D2CRealSRError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from torch import Tensor

    from d2c.data.patches import Batch
    from d2c.data.travel import RawBatch
    from d2c.networks.base.stage import Stage
    from d2c.settings.config import TrainSettings
    from d2c.tails.chains import Compiler

__all__ = ["Engine", "World", "set_tf32", "world"]

_INTERRUPTED, _FAILED = 1, 2


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """The processes of a run according to torchrun's environment: rank and device of this one, and their number."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports progress."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait until every process has reached this point."""
        if self.size > 1:
            dist.barrier()

    def any(self, flag: bool) -> bool:
        """Whether the flag is true in any process. All processes must call this."""
        return bool(self.largest(flag)[0])

    def largest(self, *values: float) -> list[float]:
        """The largest of each of these numbers in all processes. All processes must call this."""
        if self.size == 1:
            return list(values)
        numbers = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(numbers, dist.ReduceOp.MAX)
        found: list[float] = numbers.tolist()
        return found

    @contextlib.contextmanager
    def ending_together(self) -> Iterator[None]:
        """A ``with`` block of work that one process does. If it is interrupted or fails there, all processes end."""
        try:
            yield
        except (KeyboardInterrupt, D2CRealSRError) as error:
            self.largest(_INTERRUPTED if isinstance(error, KeyboardInterrupt) else _FAILED)
            raise
        ended = self.largest(0)[0]
        if ended == _INTERRUPTED:
            raise KeyboardInterrupt
        if ended == _FAILED:
            raise TrainingError("another process of this run ended, for the reason that it gives")


@contextlib.contextmanager
def world(device: str = "auto") -> Iterator[World]:
    """The processes of this run; only this one if torchrun did not start it."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(rank=0, size=1, device=pick_device(device))
        return
    chosen = pick_device(device)
    if chosen.type == "cuda":
        chosen = pick_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(chosen)
    if dist.is_initialized():  # the caller's group: use it, and do not destroy it
        yield World(rank=dist.get_rank(), size=dist.get_world_size(), device=chosen)
        return
    # The timeout is long because the other processes wait while the first one validates.
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=timedelta(hours=6))
    try:
        yield World(rank=dist.get_rank(), size=size, device=chosen)
    finally:
        dist.destroy_process_group()


class Engine:
    """Adam for the trained parameters of a stage, with autocast, gradient accumulation, averaging over processes, EMA.

    Parameters
    ----------
    stage : Stage
        The stage, whose model is on the device already.
    config : TrainSettings
        Settings. ``batch`` is the number of patches in all processes together, so results do not depend on their
        number, nor on ``accumulate``; those of a network with batch normalisation do, since its means are over the
        patches that pass through the network at once.
    size : int
        Number of processes.
    graph : bool
        Whether a step runs with inputs that keep their place on the device, and on CUDA as one graph. Several processes
        exchange gradients within a step; their operators are launched one by one.
    note : callable
        Is told once if a step cannot be captured.
    compiler : Compiler, optional
        Compiles chains of small operations. Without it they run as they are written.
    """

    def __init__(
        self,
        stage: Stage,
        config: TrainSettings,
        size: int = 1,
        *,
        graph: bool = False,
        note: Callable[[str], None] = lambda text: None,
        compiler: Compiler | None = None,
    ) -> None:
        if config.batch % (size * config.accumulate):
            raise ConfigError(
                f"batch: {config.batch} patches have no equal parts for {size} processes × {config.accumulate}; "
                "change --batch or --accumulate"
            )
        self.stage, self.config, self.compiler = stage, config, compiler
        self.parameters = stage.trained()
        self.device = self.parameters[0].device
        stage.lay_out(self.device)
        self.note = note
        self.graph = StepGraph(self._step, self.device, self._refused) if graph and size == 1 else None
        self.rate: float = config.lr
        self._rate_on_device = torch.tensor(config.lr, device=self.device) if self.graph else None
        self.optimiser = torch.optim.Adam(
            self.parameters,
            lr=self.rate if self._rate_on_device is None else self._rate_on_device,
            betas=(config.beta1, config.beta2),
            weight_decay=config.weight_decay,
            fused=self.device.type in ("cpu", "cuda"),
        )
        self._place_rate()
        self.scaler = self._new_scaler()
        self._start_average()
        self.size = size
        self.module: torch.nn.Module = stage
        self.distribute()

    def _new_scaler(self) -> torch.amp.GradScaler:
        return torch.amp.GradScaler(self.device.type, enabled=self.config.precision == "fp16")

    def _refused(self, reason: str) -> None:
        """Let the step that was broken off be repeated: the scaler has noted that its gradients are divided already."""
        scale = self.scaler.state_dict()
        self.scaler = self._new_scaler()
        if scale:
            self.scaler.load_state_dict(scale)
        self.note(reason)

    def distribute(self) -> None:
        """Average the gradients of all processes, if there are several: of the parameters that receive any now."""
        if self.size > 1:
            ids = [self.device.index] if self.device.type == "cuda" else None
            self.module = DistributedDataParallel(self.stage, device_ids=ids)

    def _start_average(self) -> None:
        """Begin the moving average with the present weights."""
        self.average = [p.detach().clone() for p in self.parameters] if self.config.ema else []

    def _place_rate(self) -> None:
        """Make the optimiser read the rate on the device if a graph needs it there."""
        capturable = self.graph is not None and self.device.type == "cuda"
        for group in self.optimiser.param_groups:
            group["capturable"] = capturable
            group["lr"] = self.rate if self._rate_on_device is None else self._rate_on_device
        if capturable:  # the first steps are not captured on purpose
            vars(self.optimiser)["_warned_capturable_if_run_uncaptured"] = True

    def update(self, batch: Batch | RawBatch, lr: float, weights: Mapping[str, float]) -> dict[str, Tensor]:
        """One optimiser step on this process's share of a batch; returns the terms as means over the parts.

        The batch may be on the host. With a graph, the terms are overwritten by the next step.
        """
        self.rate = lr
        if self._rate_on_device is None:
            self._place_rate()
        else:
            self._rate_on_device.fill_(lr)
        return self.graph.run(batch, weights) if self.graph else self._step(self._placed(batch), weights)

    def _placed(self, batch: Any) -> Any:
        return type(batch)(*(part.to(self.device, non_blocking=True) for part in batch))

    def _step(self, batch: Batch | RawBatch, weights: Mapping[str, Any]) -> dict[str, Tensor]:
        """The step. Weights of terms are numbers, or tensors on the device."""
        with self._rounding():
            return self._whole_step(batch, weights)

    def _rounding(self) -> contextlib.AbstractContextManager[None]:
        """Permit TF32 in a step in bf16: what autocast leaves in fp32 there is rounded to bf16 afterwards (ADR 20)."""
        if self.config.precision == "bf16":
            return permitting_tf32(True, self.device)
        return contextlib.nullcontext()

    def _whole_step(self, batch: Batch | RawBatch, weights: Mapping[str, Any]) -> dict[str, Tensor]:
        self.optimiser.zero_grad(set_to_none=True)
        parts = self.config.accumulate
        sums: dict[str, Tensor] = {}
        batch = as_floats(batch)
        if self.stage.begin(batch.lr, batch.hr):
            self._start_average()
        pieces = zip(batch.lr.chunk(parts), batch.hr.chunk(parts), strict=True)
        for number, (lr_part, hr_part) in enumerate(pieces, start=1):
            autocast = autocasting(self.config.precision, self.device)
            with self._averaged_at_the_end(number == parts), autocast, self._compiled():
                terms = {**self.module(lr_part, hr_part, **weights), **self._moved()}
                loss = terms["total"] / parts
            with self._averaged_at_the_end(number == parts):
                self.scaler.scale(loss).backward()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value.detach() / parts
        taken = self._clipped()
        if taken:
            self.scaler.step(self.optimiser)
        self.scaler.update()  # also after a step that is left out, whose gradients have been divided by the scale
        if taken:
            self._move_average()
        return sums

    def _moved(self) -> dict[str, Tensor]:
        """How far HR has been moved, as a column of the log."""
        return {MOVED: self.stage.moved_hr_px} if self.stage.moved_hr_px is not None else {}

    def _clipped(self) -> bool:
        """Clip the gradients, if there is a limit. Returns whether to make the step, which their norm may forbid."""
        limit, skips = self.stage.clip_norm(), self.stage.skips
        if not limit and skips is None:
            return True
        self.scaler.unscale_(self.optimiser)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, limit or math.inf)
        return skips is None or skips.takes(norm)

    @torch.no_grad()
    def loss(self, batch: Batch | RawBatch, weights: Mapping[str, float]) -> float:
        """The loss of this process's share of a batch with the present weights. Nothing is changed.

        A graph keeps the memory of a whole step, so beside it one patch is computed at a time.
        """
        parts = len(batch.lr) if self.graph else self.config.accumulate
        batch = as_floats(self._placed(batch))
        pieces = zip(batch.lr.chunk(parts), batch.hr.chunk(parts), strict=True)
        self.stage.eval()  # so that layers that keep statistics of what they see do not count it twice
        with autocasting(self.config.precision, self.device):
            total = sum(float(self.stage(lr, hr, **weights)["total"]) for lr, hr in pieces)
        self.stage.train()
        return total / parts

    def _averaged_at_the_end(self, last: bool) -> contextlib.AbstractContextManager[None]:
        """Average the gradients of all processes once per step, with its last part."""
        if last or not isinstance(self.module, DistributedDataParallel):
            return contextlib.nullcontext()
        return self.module.no_sync()

    def _compiled(self) -> contextlib.AbstractContextManager[None]:
        return self.compiler.used() if self.compiler else contextlib.nullcontext()

    @torch.no_grad()
    def _move_average(self) -> None:
        if self.average:
            torch._foreach_lerp_(self.average, [*self.parameters], 1 - self.config.ema)

    @contextlib.contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """A ``with`` block in which the model has the moving average of its weights, if there is one."""
        own = [p.detach().clone() for p in self.parameters] if self.average else []
        try:
            self._put(self.average)
            yield
        finally:
            self._put(own)

    @torch.no_grad()
    def _put(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=bool(values)):
            parameter.copy_(value)

    def adopt_average(self) -> None:
        """Replace the model's weights by their moving average, at the end of a stage."""
        self._put(self.average)

    def state(self) -> dict[str, Any]:
        """Everything on which the next step depends, except the model's weights."""
        optimiser = self.optimiser.state_dict()
        plain = {"lr": self.rate, "capturable": False}  # the same file with a graph and without one
        skips = {} if self.stage.skips is None else {"skips": self.stage.skips.state()}
        return {
            "optimiser": {**optimiser, "param_groups": [{**group, **plain} for group in optimiser["param_groups"]]},
            "scaler": self.scaler.state_dict(),
            "average": self.average,
            **skips,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a saved state."""
        self.optimiser.load_state_dict(state["optimiser"])
        self._order_moments()
        self._place_rate()
        if self.graph is not None:
            self.graph.clear()
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        for average, saved in zip(self.average, state["average"], strict=True):
            average.copy_(saved)
        if self.stage.skips is not None:
            self.stage.skips.restore(state["skips"])

    def _order_moments(self) -> None:
        """Give Adam's moments the memory order of their weights.

        A fused Adam demands it, and on a CPU takes it for granted. The order of the weights depends on the device, and
        a state may come from another one.
        """
        for parameter, kept in self.optimiser.state.items():
            for name, value in kept.items():
                if value.shape == parameter.shape and value.stride() != parameter.stride():
                    kept[name] = torch.empty_like(parameter).copy_(value)

    def close(self) -> None:
        """Free what steps have left on the device: gradients and graphs, which would keep the memory of a whole step.

        A graph refers to its engine, so otherwise they would remain until Python looks for such cycles.
        """
        self.optimiser.zero_grad(set_to_none=True)
        self.graph = None
