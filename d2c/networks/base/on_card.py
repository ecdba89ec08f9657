"""Predict the memory of a training step on a card: every tensor of the step is counted, in the step's own precision.

A card's allocator keeps no more than the tensors, and its convolutions work with little memory besides. For D2C-SR's
stage 1 on an H200 (without branches side by side, 4 and 16 patches) 2.5 and 9.5 GB were measured in fp32 and TF32, 1.7
and 6.3 GB in bf16; the tensors counted there are 2.5, 9.5, 1.7 and 6.3 GB.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from torch._subclasses.fake_tensor import FakeTensorMode

from d2c.networks.base.entry import Network
from d2c.networks.base.memory import CountedMemory, patches_without_data
from d2c.networks.base.shapes import AliveBytes, shapes_only, without_random_numbers
from d2c.networks.base.trial import check_terms, trial
from d2c.precision import autocasting
from d2c.tails.siblings import run_siblings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d2c.networks.base.stage import Stage

__all__ = ["counted_on_card"]

_FLOAT, _BYTE = 4, 1
_WORKSPACE = 1.05


@functools.lru_cache(maxsize=32)
def counted_on_card(network: Network, config: Any, train: Any, stage: type[Stage], processes: int) -> CountedMemory:
    """The peak memory of a step of one process on a card, as its allocator counts it."""
    samples = max(1, train.batch // (processes * train.accumulate))
    half = train.precision in ("bf16", "fp16")
    with trial(network), run_siblings(side_by_side=True), _counting(half):
        made = stage(network.make(config), train)
        lr, hr = patches_without_data(samples, config.scale, train)
        with AliveBytes() as alive:
            with autocasting(train.precision, lr.device):
                terms = made(lr, hr, **_every_weight(made, train))
                if type(network).step_memory is Network.step_memory:  # others may leave terms out
                    check_terms(network, made, terms)
            terms["total"].backward()
        trained = sum(parameter.numel() for parameter in made.trained())
        weights = sum(tensor.numel() for tensor in made.model.state_dict().values())
    averages = 2 + (train.ema > 0) + (train.accumulate > 1)  # Adam's, and gradients of the parts before
    kept = _FLOAT * (weights + averages * trained)
    batch = (_FLOAT + _BYTE) * (lr.numel() + hr.numel())  # as bytes, and the same as floats
    return CountedMemory(_WORKSPACE * (kept + batch + alive.peak), kept, batch + alive.peak)


def _every_weight(stage: Stage, train: Any) -> dict[str, float]:
    """The weights of the terms, each from the first epoch in which it is not zero: a term without weight is left out.

    The number of epochs is not known where a stage has a number of steps, but is no larger than that.
    """
    steps, epochs = (int(getattr(train, name)) for name in stage.lengths)
    found = stage.term_weights(0)
    for epoch in range(1, steps or epochs):
        if all(found.values()):
            break
        found = {name: found[name] or weight for name, weight in stage.term_weights(epoch).items()}
    return found


@contextlib.contextmanager
def _counting(half: bool) -> Iterator[None]:
    """A ``with`` block whose tensors have no numbers. For autocast they must seem to be those of a CPU."""
    if not half:
        with shapes_only():
            yield
        return
    with FakeTensorMode(allow_non_fake_inputs=True), without_random_numbers():
        yield
