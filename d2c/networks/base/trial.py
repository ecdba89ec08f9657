"""Report mistakes in the code of a network in one line, before a run starts where that is possible."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from d2c.errors import ConfigError, D2CError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

    from d2c.networks.base.entry import Network
    from d2c.networks.base.stage import Stage

__all__ = ["check_images", "check_output", "check_terms", "trial"]


@contextlib.contextmanager
def trial(network: Network) -> Iterator[None]:
    """A ``with`` block that runs a network on shapes without numbers. Whatever its code raises is a ConfigError."""
    try:
        yield
    except D2CError:
        raise
    except Exception as error:  # the network's own code may raise anything
        raise ConfigError(
            f"network: {network.name} fails on torch's meta device, where its memory is counted "
            f"({type(error).__name__}: {error}); correct it (--debug shows where), or write its step_memory and its "
            "upscaler if its code depends on the values of pixels"
        ) from error


def check_output(network: Network, scale: int, lr: Tensor, made: Any) -> None:
    """Raise :class:`ConfigError` if a network did not make images of ``scale`` times the size of a batch."""
    batch, _, height, width = lr.shape
    expected = (batch, 3, scale * height, scale * width)
    if (got := tuple(getattr(made, "shape", ()))) != expected:
        what = f"a tensor of shape {got}" if got else f"a {type(made).__name__}"
        raise ConfigError(
            f"network: {network.name} makes {what} of a tensor of shape {tuple(lr.shape)}, expected shape {expected}; "
            "correct its forward"
        )


def check_terms(network: Network, stage: Stage, terms: Any) -> None:
    """Raise :class:`ConfigError` if a stage did not return its terms, or trains nothing."""
    kind = type(stage).__name__
    if not isinstance(terms, dict) or set(terms) != set(stage.terms):
        got = ", ".join(map(str, terms)) if isinstance(terms, dict) else f"a {type(terms).__name__}"
        raise ConfigError(
            f"network: {network.name} has a stage {kind} that returns {got}, expected a dictionary of "
            f"{', '.join(stage.terms)}; correct its forward or its terms"
        )
    if stage.config.realign and stage.moved_hr_px is None:
        raise ConfigError(
            f"network: {network.name} has a stage {kind} that says realigns = True, but does not take HR from target; "
            "correct its forward, or leave --realign out"
        )
    if "total" not in terms or not terms["total"].requires_grad:
        raise ConfigError(
            f"network: {network.name} has a stage {kind} whose loss, total, does not depend on any parameter that it "
            "trains; correct its forward or its trained()"
        )


def check_images(network: Network, config: Any, images: Mapping[str, Any]) -> None:
    """Raise :class:`ConfigError` if a network did not make the outputs that it names."""
    if set(images) != set(expected := network.outputs(config)):
        raise ConfigError(
            f"network: {network.name} makes the images {', '.join(images)}, but its outputs are {', '.join(expected)}; "
            "correct images or outputs"
        )
