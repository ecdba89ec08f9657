"""Refuse files whose configuration asks for far more than their weights, before a network is built for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn.modules.module import register_module_parameter_registration_hook

from d2c.errors import CheckpointError
from d2c.networks.base.shapes import shapes_only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from d2c.networks.base.entry import Network
    from d2c.settings.config import NetworkConfig

__all__ = ["check_plausible", "one_line"]

_SLACK = 2
"""Factor by which a model may be larger than its file. Within it, errors of the file can be reported by name."""


def check_plausible(network: Network, config: NetworkConfig, sizes: Sequence[int], name: str) -> None:
    """Refuse a configuration whose model would be much larger than the weights in the file.

    The model is built of shapes only, and only as far as the numbers in the file can justify. Tensors in the file that
    have no numbers do not count, because a file can contain any number of them at no cost.

    Parameters
    ----------
    sizes : sequence of int
        Number of values of each tensor in the file.

    Raises
    ------
    CheckpointError
        When the network would have more than twice as many tensors or values as the file.
    """
    there = {"tensors": sum(size > 0 for size in sizes), "numbers": sum(sizes)}
    counted = dict.fromkeys(there, 0)

    def count(_module: nn.Module, _name: str, parameter: nn.Parameter) -> None:
        counted["tensors"] += 1
        counted["numbers"] += parameter.numel()
        for what, have in there.items():
            if counted[what] > _SLACK * have:  # smaller differences are reported by name on loading
                raise CheckpointError(
                    f"{name}: its weights do not fit its configuration: that needs {counted[what]} {what} or more, "
                    f"the file has {have}"
                )

    try:
        with register_module_parameter_registration_hook(count), shapes_only():
            network.build(config)
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:  # impossible shapes
        raise CheckpointError(
            f"{name}: its weights do not fit its configuration: {one_line(error)}; the file has {there['numbers']} "
            "numbers"
        ) from error


def one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
