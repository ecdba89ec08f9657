"""Settings of the model and of training. Every default stands here once; the command line and TOML files read them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from d2c.errors import ConfigError

__all__ = ["Borders", "D2CConfig", "Precision", "SettingError", "TrainConfig", "setting"]

Precision: TypeAlias = Literal["fp32", "bf16", "fp16"]
Borders: TypeAlias = Literal["exact", "composed"]

_LARGEST = 2**63 - 1
"""Largest whole number that PyTorch takes, as a seed for instance."""
_LARGEST_FLOAT = 1e38
"""Largest number that single precision can hold."""


def setting(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    choices: tuple[str, ...] = (),
    free: bool = False,
) -> Any:
    """A dataclass field that carries its own documentation, unit and range.

    A ``free`` one changes no weights: a run that goes on may have another value.
    """
    metadata = {"doc": doc, "unit": unit, "at_least": at_least, "at_most": at_most, "choices": choices, "free": free}
    return dataclasses.field(default=default, metadata=metadata)


class SettingError(ConfigError):
    """A setting is out of its range. ``said`` is the message without the option that changes it on a command line."""

    def __init__(self, said: str, remedy: str) -> None:
        super().__init__(f"{said}; {remedy}")
        self.said = said


def _check(settings: Any) -> None:
    """Raise :class:`SettingError` for the first field that is outside what its metadata documents."""
    for f in dataclasses.fields(settings):
        value = getattr(settings, f.name)
        low, high, choices = (f.metadata[key] for key in ("at_least", "at_most", "choices"))
        option = "--" + f.name.replace("_", "-")
        if choices and value not in choices:
            raise SettingError(f"{f.name}: got {value!r}, expected one of {', '.join(choices)}", f"change {option}")
        if value is None or isinstance(value, (str, bool)):
            continue
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise SettingError(f"{f.name}: got {value}, expected at most {_LARGEST}", f"change {option}")
        if not (low is None or value >= low) or not (high is None or value <= high):
            wanted = f"at least {low}" if high is None else f"{low} to {high}"
            raise SettingError(f"{f.name}: got {value}, expected {wanted}", f"change {option}")
        if isinstance(value, float) and not abs(value) <= _LARGEST_FLOAT:
            said = f"{f.name}: got {value}, expected a finite number, at most {_LARGEST_FLOAT:g}"
            raise SettingError(said, f"change {option}")


@dataclass(frozen=True, kw_only=True, slots=True)
class D2CConfig:
    """Structure of the network. Two models with equal configurations have equal keys and shapes."""

    scale: int = setting(8, "HR pixels per LR pixel: a power of two, or 3", at_least=1, at_most=64)
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
        _check(self)
        if self.scale != 3 and self.scale & (self.scale - 1):
            raise SettingError(f"scale: got {self.scale}, expected a power of two or 3", "change --scale")
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
class TrainConfig:
    """What decides the weights that training ends with, besides the model's structure and the data.

    α, θ and the margin are ours: the paper names them but gives no values.
    """

    seed: int = setting(0, "seed of initial weights, order, crops and augmentation", at_least=0)
    batch: int = setting(4, "patches in an optimiser step, in all processes together", at_least=1)
    accumulate: int = setting(1, "parts a process takes its share of the batch in, to save memory", at_least=1)
    patch: int = setting(96, "side of a patch", unit="LR px", at_least=1)
    augment: bool = setting(True, "flip and transpose patches at random")

    lr: float = setting(1e-4, "learning rate of Adam at the start of a stage", at_least=0)
    lr_halve_epochs: int = setting(2000, "epochs after which the learning rate halves; 0: never", at_least=0)
    beta1: float = setting(0.9, "Adam's decay of the mean", at_least=0, at_most=1)
    beta2: float = setting(0.999, "Adam's decay of the squares", at_least=0, at_most=1)
    weight_decay: float = setting(0.0, "Adam's L2 term", at_least=0)
    ema: float = setting(
        0.0, "decay of the moving average of the weights that is saved; 0: none", at_least=0, at_most=1
    )

    epochs: int = setting(20_000, "epochs of stage 1, divergence (one patch of every pair an epoch)", at_least=1)
    epochs_convergence: int = setting(2_000, "epochs of stage 2, convergence", at_least=1)
    steps: int = setting(0, "steps of stage 1, instead of epochs; 0: by epochs", at_least=0)
    steps_convergence: int = setting(0, "steps of stage 2, instead of epochs; 0: by epochs", at_least=0)
    joint: bool = setting(False, "train both nets in every step, as the released code does, instead of two stages")

    alpha: float = setting(0.01, "weight α of the triplet term (Eq. 7)", at_least=0)
    alpha_halve_epochs: int = setting(0, "epochs after which α halves; 0: never", at_least=0)
    theta: float = setting(0.8, "attenuation θ of branches with common ancestors (Eq. 6)", at_least=0, at_most=1)
    margin: float = setting(0.1, "margin of the triplet (Eq. 4)", at_least=0)
    margin_siblings: float | None = setting(None, "margin of leaves with one parent; unset: the margin", at_least=0)
    triplet_after: int = setting(-1, "the triplet acts after this epoch", at_least=-1)
    triplet_period: int = setting(0, "the triplet acts at the start of each period; 0: all the time", at_least=0)
    triplet_length: int = setting(0, "how long it acts in a period", unit="epochs", at_least=0)

    precision: Precision = setting("fp32", "arithmetic of convolutions (autocast)", choices=("fp32", "bf16", "fp16"))
    tf32: bool = setting(False, "let CUDA use TF32 in fp32 convolutions")

    validation: float = setting(
        0.05, "share of the training scenes kept for validation, by hash of the group; 0: none", at_least=0, at_most=0.5
    )
    group_by: str | None = setting(
        None, "regular expression for names: pairs of one match stay together in that choice; unset: by the dataset"
    )
    validate_every: int = setting(
        1000, "steps between validations; 0: at the end of a stage only", at_least=0, free=True
    )
    log_every: int = setting(50, "steps between rows of log.csv", at_least=1, free=True)
    save_every: int = setting(
        1000, "steps between saved states; a state is saved every ten minutes too", at_least=1, free=True
    )

    def __post_init__(self) -> None:
        _check(self)
        if self.batch % self.accumulate:
            raise SettingError(
                f"accumulate: a batch of {self.batch} has no {self.accumulate} equal parts", "change --accumulate"
            )
        for name in ("ema", "beta1", "beta2"):
            if getattr(self, name) >= 1:
                raise SettingError(f"{name}: got {getattr(self, name)}, expected below 1", f"change --{name}")
