"""Numbers that are read from a device without stopping it.

A number on a GPU exists once everything that was launched before is done. To ask for it at once is to wait for that,
while the GPU then waits for the next launch. Numbers are therefore copied to pinned memory, as one more operation of
the device, and read when that is done. On a CPU they are there at once.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

__all__ = ["Readings"]

_STEPS_AHEAD = 3
"""Steps that may be launched before the first of them is done. Each keeps its patches in pinned memory."""


class _Arrival(Protocol):
    """What :class:`torch.cuda.Event` has."""

    def query(self) -> bool: ...

    def synchronize(self) -> None: ...


class _Row(NamedTuple):
    row: dict[str, Any]
    names: tuple[str, ...]
    values: Tensor
    arrival: _Arrival


class Readings:
    """Rows whose numbers are on their way from a device, in the order in which they were added."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._rows: deque[_Row] = deque()
        self._steps: deque[_Arrival] = deque()

    def add(self, row: dict[str, Any], names: tuple[str, ...], values: Tensor) -> None:
        """Begin to read the numbers ``values`` (n,) of a row, whose other columns are in ``row``."""
        on_host = values
        if self.device.type == "cuda":
            on_host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            on_host.copy_(values, non_blocking=True)
        self._rows.append(_Row(row, names, on_host, self._now()))

    def arrived(self, *, wait: bool = False) -> Iterator[dict[str, Any]]:
        """The rows whose numbers are there; with ``wait``, all rows."""
        while self._rows and (wait or self._rows[0].arrival.query()):
            row, names, values, arrival = self._rows.popleft()
            arrival.synchronize()
            yield {**row, **dict(zip(names, values.tolist(), strict=True))}

    def launched(self) -> None:
        """Note that a step was launched, and wait if too many are not done. The device never runs out of work by it."""
        self._steps.append(self._now())
        if len(self._steps) > _STEPS_AHEAD:
            self._steps.popleft().synchronize()

    def _now(self) -> _Arrival:
        """An event that has arrived when everything launched so far is done."""
        if self.device.type != "cuda":
            return _AT_ONCE
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record(torch.cuda.current_stream(self.device))
        return event


class _AtOnce:
    """The arrival of numbers that the host has computed."""

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        pass


_AT_ONCE = _AtOnce()
