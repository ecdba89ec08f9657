"""D2C-SR's entry in the table of networks.

Importing this module does not import torch; its methods do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from d2c.d2csr.config import D2CConfig, TrainConfig
from d2c.d2csr.presets import PRESETS
from d2c.networks.base.entry import Difference, Maps, Network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from d2c.d2csr.exported import ExportedD2CSR
    from d2c.d2csr.network import D2CSR
    from d2c.d2csr.stages import D2CStage
    from d2c.d2csr.upscaler import BandUpscaler
    from d2c.networks.base.memory import StepMemory
    from d2c.networks.base.upscaler import Upscaled

    Image = NDArray[Any]

__all__ = ["NETWORK", "D2CSRNetwork"]


class D2CSRNetwork(Network):
    """A tree of branches that makes P different predictions, and a net that fuses them into one image."""

    paper = "Li et al., arXiv:2103.14373"
    config = D2CConfig
    train = TrainConfig
    presets = PRESETS
    main = "fused"
    more_outputs = ("predictions", "weights")
    starts_anew = {  # noqa: RUF012
        "scale": "tails",
        "convergence_features": "convergence",
        "convergence_bias": "convergence",
        "convergence_relu": "convergence",
        "convergence_gain": "convergence",
    }
    rivals = {"mean": "the plain mean of the branches"}  # noqa: RUF012
    differences = (
        Difference(
            "What fusing is worth",
            [("fused − mean", ["fused"], "mean"), ("best branch − mean", ["branch_*"], "mean")],
            "PSNR-Y of the fused output, and of the branch that is best on all scenes, less that of their plain mean.",
            "Fused above 0 in stage 2: the weight maps choose better than an average does.",
            "Fused at or below 0: an average would do, and the convergence net adds nothing.",
            "More steps of stage 2. If the oracle above is near the mean, the branches are all alike: raise --alpha.",
        ),
    )
    remarks = {  # noqa: RUF012
        "quality": "The branches are the predictions of the tree, mean is their plain mean, and the oracle takes the "
        "best branch in each pixel: far above the mean, it leaves something to choose from.",
        "loss": "Spread is how far the predictions are from their mean. It should stay; where it falls to nothing, "
        "raise --alpha.",
    }
    figures = {  # noqa: RUF012
        "branches": "Draw the predictions side by side.",
        "weights": "Draw the weight maps.",
    }

    def build(self, config: Any) -> D2CSR:
        from d2c.d2csr.network import D2CSR

        return D2CSR(config)

    def stages(self, train: Any) -> Sequence[type[D2CStage]]:
        from d2c.d2csr.stages import ConvergenceStage, DivergenceStage, JointStage, TogetherStage

        first: list[type[D2CStage]] = [JointStage] if train.joint else [DivergenceStage, ConvergenceStage]
        return [*first, TogetherStage] if train.steps_together or train.epochs_together else first

    def outputs(self, config: Any) -> list[str]:
        return [*(f"branch_{k}" for k in range(1, config.predictions + 1)), "mean", "fused", "oracle"]

    def images(self, made: Upscaled, hr: Image | None = None) -> dict[str, Image]:
        from d2c.d2csr.figures import images

        return images(made, hr)

    def maps(self, made: Upscaled) -> Maps:
        planes = {f"weight {k}": weight[..., 0] for k, weight in enumerate(made.more["weights"], start=1)}
        return Maps("Weights of the branches", planes)

    def draw(self, figure: str, made: Upscaled) -> Image:
        from d2c.d2csr import figures

        return figures.branches_figure(made) if figure == "branches" else figures.weights_figure(made)

    def step_memory(self, config: Any, train: Any, stage: Any, device: torch.device, processes: int = 1) -> StepMemory:
        from d2c.d2csr.stages import D2CStage

        if device.type == "cuda" or not issubclass(stage, D2CStage):  # a loss or stage of the user's own is counted
            return super().step_memory(config, train, stage, device, processes)
        from d2c.d2csr.memory import step_memory

        return step_memory(config, train, stage.kind, device, processes)

    def upscaler(self, config: Any) -> BandUpscaler:
        from d2c.d2csr.upscaler import BandUpscaler

        return BandUpscaler(self, config)

    def exported(self, model: Any, *, everything: bool = False) -> ExportedD2CSR:
        from d2c.d2csr.exported import ExportedD2CSR

        return ExportedD2CSR(model, everything=everything)

    def layer_by_layer(self, model: Any, lr: Tensor) -> Any:
        import torch

        model.colour_in = model.colour_out = torch.nn.Identity()  # fixed layers are not counted
        leaves = zip(model.tails, model.leaf_features(lr), strict=True)
        return model.converge(torch.stack([tail.factored(x, model.colour_out) for tail, x in leaves], dim=1))

    def released(self, source: Path) -> D2CSR:
        from d2c.d2csr.released import read

        return read(source)


NETWORK = D2CSRNetwork("d2csr")
