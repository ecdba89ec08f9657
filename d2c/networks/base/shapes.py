"""Count the cost of work without doing it, on torch's meta device, whose tensors have shapes but no numbers."""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AliveBytes", "MemoryWrites", "Multiplications", "shapes_only", "without_random_numbers"]

_RANDOM = {"uniform_", "normal_", "trunc_normal_", "random_", "bernoulli_"}
_ATEN = torch.ops.aten
_WRITE_NOTHING = {"_unsafe_view", "detach", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}


class _NoRandomNumbers(TorchFunctionMode):
    """Skips the initialisation of weights, which would take seconds and has no effect without numbers."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if getattr(func, "__name__", "") in _RANDOM:
            return args[0] if args else given["tensor"]  # its name in torch.nn.init
        return func(*args, **given)


def without_random_numbers() -> contextlib.AbstractContextManager[Any]:
    """A ``with`` block in which the initialisation of weights is skipped."""
    return _NoRandomNumbers()


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """A ``with`` block in which modules are built with shapes only, without numbers and memory."""
    with torch.device("meta"), without_random_numbers():
        yield


class AliveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within this context, counts the bytes of tensors that operations make while they exist; ``peak`` is the most."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now: int = 0
        self.peak: int = 0
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage not in self._seen:
            self._seen.add(storage)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._free, storage.nbytes())

    def _free(self, size: int) -> None:
        self.now -= size


class Multiplications(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within this context, counts the multiply-adds of convolutions, matrix products and their gradients."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        kind = func.overloadpacket
        if kind is _ATEN.convolution:
            source, weight, transposed = args[0], args[1], args[6]
            self.total += (source if transposed else made).numel() * weight[0].numel()
        elif kind is _ATEN.convolution_backward:  # as much for the gradient of the input as for that of the weight
            gradient, source, weight = args[:3]
            transposed, wanted = args[7], args[10]
            each = (source if transposed else gradient).numel() * weight[0].numel()
            self.total += each * sum(wanted[:2])
        elif kind in (_ATEN.mm, _ATEN.bmm, _ATEN.addmm, _ATEN.baddbmm):
            left, right = args[-2:]
            self.total += left.numel() * right.shape[-1]
        return made


class MemoryWrites(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within this context, counts the operators that write memory: at least one launch of a kernel each on a GPU.

    Views and allocations are not counted. An operator on a list of tensors counts once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        returns = tree_leaves(made) or tree_leaves(args)  # operators on lists return nothing
        tensors = any(isinstance(leaf, torch.Tensor) for leaf in returns)
        self.total += tensors and not func.is_view and func.overloadpacket.__name__ not in _WRITE_NOTHING
        return made
