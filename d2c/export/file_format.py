"""What a format of exported models is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    Images = list[NDArray[np.float32]]

__all__ = ["KEY", "Format", "Made", "Wanted"]

KEY = "d2c"
"""Name of the description in an exported file. By it a later export knows a file of its own."""


class Wanted(NamedTuple):
    """What of a model is exported."""

    everything: bool
    """Whether a graph returns the other outputs of the network beside the image."""
    precision: str
    """Number format of the weights and of the arithmetic, a key of :data:`d2c.export.graph.PRECISIONS`."""
    description: str
    """JSON text on the model and its origin."""


class Made(NamedTuple):
    """The content of an exported file."""

    data: bytes
    said: str
    """What it is, such as ``"ONNX, opset 18"``."""
    by: str
    """The program that ``run`` runs it with."""
    run: Callable[[NDArray[np.float32]], Images]
    """Its outputs for an image ``(N, 3, h, w)``, RGB on [0, 1]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """A format of exported models.

    Attributes
    ----------
    suffix : str
    check : callable
        Raises ConfigError if a package is missing that the format needs.
    make : callable
        The content of the file for a model on the CPU.
    is_own : callable
        Whether an existing file is one that an export wrote.
    """

    suffix: str
    check: Callable[[], None]
    make: Callable[[nn.Module, Wanted], Made]
    is_own: Callable[[Path], bool]
