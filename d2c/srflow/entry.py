"""SRFlow's entry in the table of networks: many sharp images of one LR image, by a normalizing flow.

Lugmayr et al., "SRFlow: Learning the Super-Resolution Space with Normalizing Flow", ECCV 2020,
doi:10.1007/978-3-030-58558-7_42. The code is ours: it was written from the publication and from Glow
(arXiv:1807.03039), not from the authors' program, whose licence does not permit that.

Departures. Noise is added to HR as the publication says; the authors' program leaves it out. Gradients are clipped, and
steps whose gradient is not finite are left out, counted, and end the run if there are too many.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from d2c.networks.base.entry import Maps, Network
from d2c.networks.base.sampling import Sampling
from d2c.srflow.config import MULTIPLE, PRESETS, SCALES, SRFlowConfig, SRFlowSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from d2c.networks.base.stage import Stage
    from d2c.networks.base.upscaler import Upscaled, Upscaler

    Image = NDArray[Any]

__all__ = ["SRFlowNetwork"]


class SRFlowNetwork(Network):
    """A normalizing flow over HR images, on the features of an RRDB network."""

    paper = "Lugmayr et al., doi:10.1007/978-3-030-58558-7_42"
    config = SRFlowConfig
    train = SRFlowSettings
    presets = PRESETS
    scales = SCALES
    multiple = MULTIPLE
    cuda_graph = False  # each step looks whether its gradient is finite, and draws noise on the host
    precisions = ("fp32",)
    sampling = Sampling()
    remarks = {  # noqa: RUF012
        "quality": "The result, sr, is the image of latents 0; samples are drawn at a temperature. In stage 1, whose "
        "flow has not been started, both are the encoder's own image.",
        "loss": "The loss of stage 2 is in bits for each HR pixel; per dimension is a third of it.",
    }

    def build(self, config: Any) -> nn.Module:
        from d2c.srflow.model import SRFlow

        return SRFlow(config)

    def stages(self, train: Any) -> Sequence[type[Stage]]:
        from d2c.srflow.stages import EncoderStage, FlowStage

        return [EncoderStage, FlowStage]

    def outputs(self, config: Any) -> list[str]:
        return [self.main, *self.sampling.names]

    def images(self, made: Upscaled, hr: Image | None = None) -> dict[str, Image]:
        return {self.main: made.sr, **dict(zip(self.sampling.names, made.more.get("samples", ()), strict=True))}

    def maps(self, made: Upscaled) -> Maps:
        from d2c.srflow.figures import spread

        if self.sampling.samples < 2:
            return Maps("", {})
        return Maps("Spread of the samples", {"spread": spread(made)})

    def draw(self, figure: str, made: Upscaled) -> Image:
        from d2c.srflow.figures import samples_figure

        return samples_figure(made)

    def upscaler(self, config: Any) -> Upscaler:
        from d2c.srflow.upscaler import FlowUpscaler

        return FlowUpscaler(self, config)

    def reach_of(self, config: Any) -> int:
        encoder = 1 + 15 * config.blocks + 1 + 1  # each enlargement is finer than the previous one
        level = 2 * config.flow_steps + 1  # in its own pixels, of which each is two LR pixels in the last one
        return int(encoder + 1 + sum(level * 2 ** (1 - number) for number in range(config.levels))) + 1

    def exported(self, model: Any, *, everything: bool = False) -> nn.Module:
        from d2c.srflow.exported import ExportedSRFlow

        return ExportedSRFlow(model)

    def released(self, source: Path) -> nn.Module:
        from d2c.srflow.released import read

        return read(self, source)

    def sampled(self, sampling: Sampling) -> SRFlowNetwork:
        found = copy.copy(self)
        vars(found)["sampling"] = sampling
        return found
