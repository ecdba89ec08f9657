"""Settings as dataclasses whose fields contain their documentation. The command line and TOML files use them.

This module has the settings of every network. A network with more settings extends both classes
(:mod:`d2c.d2csr.config`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, TypeAlias, get_args, get_type_hints

from d2c.errors import ConfigError

__all__ = [
    "Loss",
    "NetworkConfig",
    "PixelSettings",
    "Precision",
    "Schedule",
    "SettingError",
    "TrainSettings",
    "check",
    "epochs_of",
    "setting",
    "steps_of",
    "types_of",
]

Precision: TypeAlias = Literal["fp32", "tf32", "bf16", "fp16"]
Schedule: TypeAlias = Literal["step", "cosine", "milestones"]
Loss: TypeAlias = Literal["l1", "l2", "charbonnier"]
Shrinks: TypeAlias = Literal["", "down", "up"]

NETWORK, PATCHES, OPTIMISER, STAGES = "Network", "Patches", "Optimiser", "Length of the stages"
ARITHMETIC, RECORDS, LOSS = "Arithmetic", "Validation and records", "Loss"

_IF_NO_STEPS = "Used only if the steps are 0; given without steps, it sets them to 0."
"""When a number of epochs counts that steps can stand in place of (:func:`d2c.training.resolve.resolve`)."""

_LARGEST = 2**63 - 1
"""Largest whole number that PyTorch accepts, for example as a seed."""
_LARGEST_FLOAT = 1e38
"""Largest permitted number; single precision can represent it."""


def setting(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    at_least: float | None = None,
    at_most: float | None = None,
    choices: tuple[str, ...] = (),
    free: bool = False,
    length: bool = False,
    shrinks: Shrinks = "",
    group: str = NETWORK,
) -> Any:
    """A dataclass field with its own documentation, unit and range.

    Parameters
    ----------
    free : bool
        It does not influence the weights, so it may change when a run is resumed.
    length : bool
        It is the length of a stage, which may grow when a run is resumed.
    shrinks : str
        It is a number of steps or epochs, which :func:`d2c.settings.presets.scaled_down` rounds ``down`` or ``up``.
    group : str
        The title under which the help lists it.
    """
    metadata = {"doc": doc, "unit": unit, "at_least": at_least, "at_most": at_most, "choices": choices, "group": group}
    return dataclasses.field(default=default, metadata={**metadata, "free": free, "length": length, "shrinks": shrinks})


def epochs_of(stage: str, default: int, *, at_least: int = 1) -> Any:
    """The setting of a stage's length in epochs. One that may be left out has ``at_least`` 0."""
    told = f"Epochs of {stage.removesuffix('.')}. {_IF_NO_STEPS}"
    return setting(default, told, at_least=at_least, length=True, shrinks="down", group=STAGES)


def steps_of(stage: str) -> Any:
    """The setting of a stage's length in steps."""
    told = f"Steps of {stage}, in place of epochs; 0 to go by epochs."
    return setting(0, told, at_least=0, length=True, shrinks="down", group=STAGES)


class SettingError(ConfigError):
    """A setting is out of its range. ``said`` is the message without the command-line option that changes it."""

    def __init__(self, said: str, remedy: str) -> None:
        super().__init__(f"{said}; {remedy}")
        self.said = said


def check(settings: Any) -> None:
    """Raise :class:`SettingError` for the first field outside its documented range."""
    for f in dataclasses.fields(settings):
        value = getattr(settings, f.name)
        low, high, choices = (f.metadata.get(key) for key in ("at_least", "at_most", "choices"))
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


def types_of(kind: type[Any]) -> dict[str, type]:
    """Types of the fields of a settings class by name: int, float, bool or str. That of ``float | None`` is float.

    Examples
    --------
    >>> types_of(TrainSettings)["precision"], types_of(TrainSettings)["seed"]
    (<class 'str'>, <class 'int'>)
    """
    hints = get_type_hints(kind)
    return {f.name: _plain_type(hints[f.name]) for f in dataclasses.fields(kind)}


def _plain_type(hint: Any) -> type:
    first = next((part for part in get_args(hint) if part is not NoneType), hint)
    return first if isinstance(first, type) else type(first)  # literals have their own type


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkConfig:
    """Structure of a network. Models with equal configurations have parameters with equal names and shapes."""

    scale: int = setting(8, "HR pixels per LR pixel: a power of two, or 3.", at_least=1, at_most=64)

    def __post_init__(self) -> None:
        check(self)
        if self.scale != 3 and self.scale & (self.scale - 1):
            raise SettingError(f"scale: got {self.scale}, expected a power of two or 3", "change --scale")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainSettings:
    """Settings on which the final weights depend, in addition to the structure of the network and the data."""

    seed: int = setting(
        0, "Seed of the initial weights, the order, the crops and the augmentation.", at_least=0, group=PATCHES
    )
    batch: int = setting(4, "Patches in an optimiser step, in all processes together.", at_least=1, group=PATCHES)
    accumulate: int = setting(
        1,
        "Number of parts into which a process splits its share of a batch, to save memory.",
        at_least=1,
        group=PATCHES,
    )
    patch: int = setting(96, "Side of a patch.", unit="LR px", at_least=1, group=PATCHES)
    augment: bool = setting(True, "Flip and transpose patches at random.", group=PATCHES)
    weigh_pairs: bool = setting(
        False,
        "Draw fewer patches from misaligned pairs, and from misaligned parts of a pair, by the pairs folder's "
        "residuals.csv.",
        group=PATCHES,
    )
    realign: bool = setting(
        False,
        "In every step, move each HR patch by up to 1.5 LR px to where it fits best what the network predicts.",
        group=PATCHES,
    )

    lr: float = setting(1e-4, "Learning rate of Adam at the start of a stage.", at_least=0, group=OPTIMISER)
    lr_halve_epochs: int = setting(
        2000,
        f"Number of epochs after which the learning rate is halved; 0 for never. {_IF_NO_STEPS}",
        at_least=0,
        shrinks="down",
        group=OPTIMISER,
    )
    lr_halve_steps: int = setting(
        0,
        "Number of steps after which the learning rate is halved, in place of epochs; 0 to go by epochs.",
        at_least=0,
        shrinks="down",
        group=OPTIMISER,
    )
    schedule: Schedule = setting(
        "step",
        "Course of the learning rate: step halves it every --lr-halve-epochs or --lr-halve-steps; cosine lowers it "
        "along half a cosine, to zero at the end of a stage; milestones halves it after the shares of a stage that "
        "the network names, or else after 50, 80, 90 and 95 %.",
        choices=("step", "cosine", "milestones"),
        group=OPTIMISER,
    )
    warmup: int = setting(
        0,
        "Steps at the start of a stage over which the learning rate rises from zero.",
        at_least=0,
        shrinks="down",
        group=OPTIMISER,
    )
    clip_norm: float = setting(
        0.0,
        "Largest Euclidean norm of the gradient, to which a larger one is scaled down; 0 for no limit.",
        at_least=0,
        group=OPTIMISER,
    )
    beta1: float = setting(0.9, "Decay of the mean in Adam.", at_least=0, at_most=1, group=OPTIMISER)
    beta2: float = setting(0.999, "Decay of the mean square in Adam.", at_least=0, at_most=1, group=OPTIMISER)
    weight_decay: float = setting(0.0, "L2 term of Adam.", at_least=0, group=OPTIMISER)
    ema: float = setting(
        0.0,
        "Decay of the moving average of the weights, which is saved in their place; 0 for no average.",
        at_least=0,
        at_most=1,
        group=OPTIMISER,
    )

    epochs: int = epochs_of("stage 1. An epoch takes one patch of every pair.", 20_000)
    steps: int = steps_of("stage 1")

    precision: Precision = setting(
        "fp32",
        "Arithmetic of convolutions and matrix products. bf16 and fp16 are autocast, fp16 with scaled gradients.",
        choices=get_args(Precision),
        group=ARITHMETIC,
    )
    tf32: bool = setting(
        False,
        "The same as --precision tf32. Together with bf16 or fp16, it permits TF32 in what remains in fp32.",
        group=ARITHMETIC,
    )

    validation: float = setting(
        0.05,
        "Share of the training scenes kept for validation, chosen by a hash of the group; 0 for none.",
        at_least=0,
        at_most=0.5,
        group=RECORDS,
    )
    group_by: str | None = setting(
        None,
        "Regular expression: pairs whose names match with the same text stay together.  [default: the data's groups]",
        group=RECORDS,
    )
    validate_every: int = setting(
        1000,
        "Steps between validations; 0 for only at the end of a stage.",
        at_least=0,
        free=True,
        shrinks="down",
        group=RECORDS,
    )
    log_every: int = setting(50, "Steps between rows of log.csv.", at_least=1, free=True, shrinks="down", group=RECORDS)
    save_every: int = setting(
        1000,
        "Steps between saved states. A state is also saved every ten minutes.",
        at_least=1,
        free=True,
        shrinks="down",
        group=RECORDS,
    )

    def __post_init__(self) -> None:
        check(self)
        if self.tf32 and self.precision in ("fp32", "tf32"):  # said in one way, also by runs of earlier versions
            object.__setattr__(self, "precision", "tf32")
            object.__setattr__(self, "tf32", False)
        if self.batch % self.accumulate:
            raise SettingError(
                f"accumulate: a batch of {self.batch} has no {self.accumulate} equal parts", "change --accumulate"
            )
        for name in ("ema", "beta1", "beta2"):
            if getattr(self, name) >= 1:
                raise SettingError(f"{name}: got {getattr(self, name)}, expected below 1", f"change --{name}")


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelSettings(TrainSettings):
    """Training by a loss that compares pixels; which one can be chosen."""

    loss: Loss = setting(
        "l1",
        "Loss: l1 is the mean absolute difference from HR, l2 the mean squared one, charbonnier √(d² + .001²).",
        choices=("l1", "l2", "charbonnier"),
        group=LOSS,
    )
