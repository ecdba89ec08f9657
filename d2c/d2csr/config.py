"""Settings of D2C-SR: its tree of branches, its convergence net, and their training. The defaults are the paper's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from d2c.settings.config import NetworkConfig, SettingError, TrainSettings, setting

__all__ = ["Borders", "D2CConfig", "TrainConfig"]

Borders: TypeAlias = Literal["exact", "composed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class D2CConfig(NetworkConfig):
    """Structure of the network. Models with equal configurations have parameters with equal names and shapes."""

    depth: int = setting(2, "layers of branches, L", at_least=1, at_most=8)
    width: int = setting(2, "child branches of a branch, C", at_least=1, at_most=16)
    groups: int = setting(2, "residual groups in a branch, G", at_least=1)
    blocks: int = setting(4, "residual channel attention blocks in a group, B", at_least=1)
    features: int = setting(64, "feature channels, n", unit="channels", at_least=1)
    reduction: int = setting(16, "channel attention narrows n channels to max(1, n // reduction)", at_least=1)
    deep_residual: bool = setting(True, "add every ancestor's feature to a leaf's, each after one convolution")
    borders: Borders = setting(
        "exact",
        "the outermost scale − 1 HR pixels: exact, as a tail's layers make them one by one, or as one convolution does",
        choices=("exact", "composed"),
    )
    convergence_features: int = setting(64, "channels of the convergence net", unit="channels", at_least=1)
    convergence_bias: bool = setting(True, "biases in the convergence net (off in released weights)")
    convergence_relu: bool = setting(False, "a ReLU before the softmax too, as in released weights")
    convergence_gain: float = setting(
        1.0,
        "factor on the predictions' differences from their mean at the convergence net's input; 1: the paper's net",
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

    epochs_convergence: int = setting(2_000, "epochs of stage 2, convergence", at_least=1, length=True, shrinks="down")
    steps_convergence: int = setting(
        0, "steps of stage 2, instead of epochs; 0: by epochs", at_least=0, length=True, shrinks="down"
    )
    joint: bool = setting(False, "train both nets in every step, as the released code does, instead of two stages")

    alpha: float = setting(0.01, "weight α of the triplet term (Eq. 7)", at_least=0)
    alpha_halve_epochs: int = setting(0, "epochs after which α halves; 0: never", at_least=0, shrinks="down")
    theta: float = setting(0.8, "attenuation θ of branches with common ancestors (Eq. 6)", at_least=0, at_most=1)
    margin: float = setting(0.1, "margin of the triplet (Eq. 4)", at_least=0)
    margin_siblings: float | None = setting(None, "margin of leaves with one parent; unset: the margin", at_least=0)
    triplet_after: int = setting(-1, "the triplet acts after this epoch", at_least=-1, shrinks="down")
    triplet_period: int = setting(
        0, "the triplet acts at the start of each period; 0: all the time", at_least=0, shrinks="down"
    )
    triplet_length: int = setting(0, "how long it acts in a period", unit="epochs", at_least=0, shrinks="up")
