"""A training step as one CUDA graph, which is captured once and then launched as a whole.

Inputs, learning rate and weights of terms are tensors on the device that keep their place, and every step writes new
values into them. A graph can hold nothing for which the host must wait, and nothing whose shapes depend on numbers.
Whether a step does such things is found out before anything is captured, on every device: its first run is watched by
:class:`CaptureGuard`. A step that does is launched operator by operator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from d2c.data.patches import Batch
    from d2c.data.travel import RawBatch

    Terms = dict[str, Tensor]

__all__ = ["CaptureGuard", "CaptureRefusedError", "StepGraph"]

_WARM_UP = 3
"""Steps that are launched operator by operator first, in which libraries and the optimiser allocate what they keep."""

_NEED_VALUES = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
_FROM_HOST = {"lift_fresh", "lift_fresh_copy"}
_COPIES = {"_to_copy", "copy_", "copy"}


class CaptureRefusedError(Exception):
    """A step does something that a CUDA graph cannot hold. The message names the operator."""


class CaptureGuard(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within this context, what a CUDA graph cannot hold raises :class:`CaptureRefusedError`.

    This is reading a number of a tensor (``.item()``, ``if tensor:``), shapes that depend on numbers (``nonzero``), and
    copies between the host and the device, such as ``torch.tensor([1.0])``.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if any(tag in func.tags for tag in _NEED_VALUES):
            raise CaptureRefusedError(f"{name} needs the values of a tensor")
        if name in _FROM_HOST:
            raise CaptureRefusedError("a tensor is made of numbers of the host")
        made = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs, made)) if isinstance(leaf, torch.Tensor)]
        kinds = {t.device.type for t in tensors if t.ndim or t.device.type != "cpu" or name in _COPIES}
        if len(kinds) > 1:
            raise CaptureRefusedError(f"{name} copies between the host and the device")
        return made


class StepGraph:
    """Runs a step with inputs that keep their place, and on CUDA captures and replays it.

    Parameters
    ----------
    step : callable
        The step: its terms from a batch and the weights of terms. It must leave everything else that it changes in its
        place too.
    device : torch.device
        The device. On a CPU there is nothing to capture, and the step runs as it is.
    note : callable
        Is told once if the step cannot be captured.
    """

    def __init__(
        self, step: Callable[[Any, Mapping[str, Any]], Terms], device: torch.device, note: Callable[[str], None]
    ) -> None:
        self.step, self.device, self.note = step, device, note
        self.refused = False
        self.stream: torch.cuda.Stream | None = None
        self.clear()

    def clear(self) -> None:
        """Forget everything captured, for example after the state was restored."""
        self.batch: Any = None
        self.weights: dict[str, Tensor] = {}
        self.runs: dict[tuple[str, ...], int] = {}
        self.captured: dict[tuple[str, ...], tuple[torch.cuda.CUDAGraph, Terms]] = {}

    def run(self, batch: Batch | RawBatch, weights: Mapping[str, float]) -> Terms:
        """One step. The terms are overwritten by the next step.

        A weight of zero stays a number, because a term without weight may be left out. There is a graph for each set of
        terms that have weight. They share their memory, and are captured again after the first steps of another set.
        """
        if self.refused:
            return self.step(_placed(batch, self.device), weights)
        self._take(batch, weights)
        inputs = {name: self.weights[name] if value else value for name, value in weights.items()}
        key = tuple(name for name, value in weights.items() if value)
        runs = self.runs[key] = self.runs.get(key, 0) + 1
        if runs <= _WARM_UP:  # launched one by one, beside which the graph of other terms would keep a step's memory
            self.captured.clear()
        if runs == 1:
            return self._first(weights, inputs)
        if self.device.type != "cuda":
            return self.step(self.batch, inputs)
        if runs <= _WARM_UP:
            return self._aside(lambda: self._own_step(inputs))
        if key not in self.captured and not self._captures(key, inputs):
            return self._own_step(weights)  # nothing of a step runs while it is captured, so it is still to do
        graph, terms = self.captured[key]
        graph.replay()
        return terms

    def _own_step(self, inputs: Mapping[str, Any]) -> Terms:
        return self.step(self.batch, inputs)

    def _take(self, batch: Batch | RawBatch, weights: Mapping[str, float]) -> None:
        """Write the inputs of a step to their places."""
        if self.batch is None:
            self.batch = type(batch)(*(torch.empty_like(part, device=self.device) for part in batch))
            self.weights = {name: torch.zeros((), device=self.device) for name in weights}
        for place, part in zip(self.batch, batch, strict=True):
            place.copy_(part, non_blocking=True)
        for name, value in weights.items():
            self.weights[name].fill_(value)

    def _first(self, weights: Mapping[str, float], inputs: Mapping[str, Any]) -> Terms:
        """The first step with these terms, watched. If it is refused it is repeated without the watch."""

        def watched() -> Terms:
            with CaptureGuard():  # type: ignore[no-untyped-call]
                return self._own_step(inputs)

        try:
            return self._aside(watched) if self.device.type == "cuda" else watched()
        except CaptureRefusedError as refusal:
            self._refuse(refusal)
        return self._own_step(weights)

    def _refuse(self, reason: object) -> None:
        """From now on, launch operator by operator, and free what was captured."""
        self.refused = True
        self.captured.clear()
        self.note(
            f"the step cannot run as one CUDA graph ({reason}); its operators are launched one by one, "
            "as with --no-cuda-graph"
        )

    def _aside(self, step: Callable[[], Terms]) -> Terms:
        """A step on another stream, as CUDA graphs need it before they are captured.

        It is the same for all of them, because the allocator keeps the memory of each stream for that stream.
        """
        if self.stream is None:
            self.stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream = self.stream
        stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(stream):
            terms = step()
        torch.cuda.current_stream(self.device).wait_stream(stream)
        return terms

    def _captures(self, key: tuple[str, ...], inputs: Mapping[str, Any]) -> bool:
        """Capture a step; returns whether it could be captured.

        When this returns, the error is gone, and with it the tensors of the step that its traceback holds.
        """
        try:
            self.captured[key] = self._capture(inputs)
        except RuntimeError as error:
            self._refuse(str(error).partition("\n")[0])
        return not self.refused

    def _capture(self, inputs: Mapping[str, Any]) -> tuple[torch.cuda.CUDAGraph, Terms]:
        """The graph of a step, and its terms.

        Threads that cut the next patches allocate pinned memory at any time. Unless errors are local to a thread, that
        would end the capture and the thread. A capture that fails leaves its own stream current, so ours is restored.
        """
        graph = torch.cuda.CUDAGraph()
        pool = next((other.pool() for other, _ in self.captured.values()), None)
        ours = torch.cuda.stream(torch.cuda.current_stream(self.device))
        with ours, torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            terms = self._own_step(inputs)
        return graph, terms


def _placed(batch: Batch | RawBatch, device: torch.device) -> Batch | RawBatch:
    """The batch on the device."""
    return type(batch)(*(part.to(device, non_blocking=True) for part in batch))
