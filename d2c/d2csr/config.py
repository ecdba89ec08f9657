"""Settings of D2C-SR: its tree of branches, its convergence net, and their training. The defaults are the paper's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from d2c.settings.config import LOSS, STAGES, NetworkConfig, SettingError, TrainSettings, epochs_of, setting, steps_of

__all__ = ["Borders", "D2CConfig", "TrainConfig"]

Borders: TypeAlias = Literal["exact", "composed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class D2CConfig(NetworkConfig):
    """Structure of the network. Models with equal configurations have parameters with equal names and shapes."""

    depth: int = setting(2, "Layers of branches, L.", at_least=1, at_most=8)
    width: int = setting(2, "Child branches of a branch, C.", at_least=1, at_most=16)
    groups: int = setting(2, "Residual groups in a branch, G.", at_least=1)
    blocks: int = setting(4, "Residual channel attention blocks in a group, B.", at_least=1)
    features: int = setting(64, "Feature channels, n.", at_least=1)
    reduction: int = setting(16, "Channel attention narrows n channels to max(1, n // reduction).", at_least=1)
    deep_residual: bool = setting(
        True, "Add the features of all ancestors to that of a leaf, each after one convolution."
    )
    borders: Borders = setting(
        "exact",
        "How the outermost scale − 1 HR pixels are computed: exact, as by the layers of a tail one after the other, or "
        "composed, as by a single convolution.",
        choices=("exact", "composed"),
    )
    convergence_features: int = setting(64, "Channels of the convergence net.", at_least=1)
    convergence_bias: bool = setting(True, "Use biases in the convergence net; released weights have none.")
    convergence_relu: bool = setting(False, "Apply a ReLU before the softmax as well, as released weights do.")
    convergence_gain: float = setting(
        1.0,
        "Factor on the differences of the predictions from their mean, before the convergence net; paper: 1.",
        at_least=0.001,
    )

    def __post_init__(self) -> None:
        NetworkConfig.__post_init__(self)
        if self.predictions > 256:
            raise SettingError(
                f"width and depth: {self.width}^{self.depth} = {self.predictions} predictions, at most 256",
                "lower --width or --depth",
            )

    @property
    def predictions(self) -> int:
        """Number of leaves of the tree, P = C^L: one prediction each."""
        return int(self.width**self.depth)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig(TrainSettings):
    """Settings of D2C-SR's training. The values of α, θ and the margin are ours, as the paper gives none."""

    epochs_convergence: int = epochs_of("stage 2, convergence.", 2_000)
    steps_convergence: int = steps_of("stage 2")
    epochs_together: int = epochs_of(
        "stage 3, which trains both nets through Eq. 9; 0 for no such stage.", 0, at_least=0
    )
    steps_together: int = steps_of("stage 3")
    joint: bool = setting(
        False, "Train both nets in every step, as the released code does, instead of in two stages.", group=STAGES
    )

    alpha: float = setting(0.01, "Weight α of the triplet term (Eq. 7).", at_least=0, group=LOSS)
    alpha_halve_epochs: int = setting(
        0, "Number of epochs after which α is halved; 0 for never.", at_least=0, shrinks="down", group=LOSS
    )
    theta: float = setting(
        0.8, "Attenuation θ of branches with common ancestors (Eq. 6).", at_least=0, at_most=1, group=LOSS
    )
    margin: float = setting(0.1, "Margin of the triplet (Eq. 4).", at_least=0, group=LOSS)
    margin_siblings: float | None = setting(
        None, "Margin of leaves with the same parent.  [default: the margin]", at_least=0, group=LOSS
    )
    triplet_after: int = setting(-1, "Last epoch without the triplet term.", at_least=-1, shrinks="down", group=LOSS)
    triplet_period: int = setting(
        0,
        "Length of a period, at whose start the triplet term is used; 0 for always.",
        at_least=0,
        shrinks="down",
        group=LOSS,
    )
    triplet_length: int = setting(
        0, "Length of the use of the triplet term in a period.", unit="epochs", at_least=0, shrinks="up", group=LOSS
    )
