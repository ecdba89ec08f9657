"""Sizes in which methods are compared: those of the publications, one of about 1.5 M parameters, and a tiny one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from d2c.networks import Network
    from d2c.settings.presets import Preset

__all__ = ["SIZES", "size_of"]

SIZES = ("paper", "1.5M", "tiny")

_ABOUT_1_5_M: dict[str, dict[str, Any]] = {
    "srresnet": {"blocks": 14},
    "edsr": {"features": 64, "blocks": 14, "residual_scale": 1.0},
    "rcan": {"groups": 2, "blocks": 7},
    "rrdb": {"blocks": 2},
    "srflow": {"features": 32, "growth": 16, "blocks": 2, "transitions": 1, "flow_steps": 3, "flow_features": 24},
    "cdc": {"features": 12},
    "lpkpn": {},
    "swinir": {"features": 60, "groups": 4},
    "d2csr": {"features": 32, "blocks": 3},
}
"""What differs from the publications' sizes; 1.33 to 1.63 M parameters at ×8."""


def size_of(network: Network, name: str, size: str) -> Preset:
    """The structure and the schedule of a network in a size. ``name`` is its name in the table of networks."""
    if size != "1.5M":
        return network.preset(size)
    paper = network.preset("paper")
    return paper._replace(model=dataclasses.replace(paper.model, **_ABOUT_1_5_M[name]))
