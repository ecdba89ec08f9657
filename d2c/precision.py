"""In which numbers a device computes: fp32, TF32, bf16 or fp16, which of them it has, and how they are switched on.

The choice is about convolutions and matrix products. fp32 is IEEE arithmetic, also on cards on which PyTorch uses TF32
unless it is told not to. TF32 rounds their inputs to 10 binary digits after the point. bf16 and fp16 (7 and 10 digits)
are PyTorch's autocast, in which sums over many numbers remain in fp32.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any, get_args

import torch

from d2c.errors import ConfigError
from d2c.settings.config import Precision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


__all__ = [
    "PRECISIONS",
    "autocasting",
    "available_precision",
    "check_permitted",
    "computing",
    "permitting_tf32",
    "set_tf32",
]

PRECISIONS: tuple[Precision, ...] = get_args(Precision)

_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}
_WITH_BOTH = (8, 0)
"""Compute capability from which cards have TF32 and bf16."""


def available_precision(
    precision: Precision, device: torch.device, note: Callable[[str], None] = lambda text: None
) -> Precision:
    """The precision in which a device computes if this one is asked for.

    A CPU has fp32, bf16 and fp16. TF32 permits a device to round, but does not demand it. A device without TF32
    therefore computes in fp32, and ``note`` is told.

    Raises
    ------
    ConfigError
        For a name that is none of these, and for bf16 on a card that does not have it.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"precision: got {precision!r}, expected one of {', '.join(PRECISIONS)}; change --precision")
    if precision == "tf32" and not _has_both(device):
        note(f"{_described(device)} has no TF32; fp32 is computed in its place")
        return "fp32"
    if precision == "bf16" and device.type == "cuda" and not _has_both(device):
        raise ConfigError(
            f"precision: got bf16, which {_described(device)} does not have (cards of compute capability "
            f"{'.'.join(map(str, _WITH_BOTH))} or later do); use --precision fp16 or fp32"
        )
    return precision


def check_permitted(precision: Precision, permitted: Sequence[str], network: str) -> None:
    """Raise :class:`ConfigError` if a precision is none of those in which a network, here its name, is computed."""
    if precision not in permitted:
        raise ConfigError(
            f"precision: got {precision}, but {network} is computed in {' or '.join(permitted)} only; "
            "leave out --precision"
        )


def _has_both(device: torch.device) -> bool:
    """Whether a device has TF32 and bf16 in its matrix units."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= _WITH_BOTH


def _described(device: torch.device) -> str:
    """A device with the name of its card."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


@contextlib.contextmanager
def computing(precision: Precision | None, device: torch.device) -> Iterator[None]:
    """A ``with`` block in which a device computes in a precision that it has; None changes nothing."""
    if precision is None:
        yield
        return
    with permitting_tf32(precision == "tf32", device), autocasting(precision, device):
        yield


def autocasting(precision: Precision, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """A ``with`` block with autocast for bf16 and fp16, and without it for fp32 and TF32."""
    if not torch.amp.is_autocast_available(device.type):  # as on meta
        return contextlib.nullcontext()
    half = _HALF.get(precision)
    return torch.autocast(device.type, dtype=half) if half else torch.autocast(device.type, enabled=False)


@contextlib.contextmanager
def permitting_tf32(allowed: bool, device: torch.device) -> Iterator[None]:
    """A ``with`` block in which TF32 is permitted or not. Devices other than CUDA have none."""
    if device.type != "cuda":
        yield
        return
    before = _tf32_settings()
    set_tf32(allowed)
    try:
        yield
    finally:
        _apply(before)


def set_tf32(allowed: bool) -> None:
    """Allow or forbid TF32 in CUDA's fp32 convolutions and matrix products."""
    _apply((allowed, allowed))


def _tf32_settings() -> tuple[bool, bool]:
    """PyTorch's present settings, for convolutions and for matrix products."""
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


def _apply(settings: tuple[bool, bool]) -> None:
    """Apply settings by the flags that every version has.

    PyTorch 2.9 and later also have finer ones (``fp32_precision``), and some say that these are to be preferred. But
    where only they are set, reading the flags fails, which torch.export and torch.compile do.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = settings
