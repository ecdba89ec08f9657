"""The type of a network's entry in the table: how to build it, and what training, evaluation and upscaling need.

Importing this module does not import torch, so that the settings of a network can be listed quickly. The methods import
what is needed to run a network.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast, get_args

from d2c.errors import CheckpointError, ConfigError
from d2c.settings.config import NetworkConfig, Precision, TrainSettings
from d2c.settings.presets import Preset

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from d2c.networks.base.memory import StepMemory
    from d2c.networks.base.sampling import Sampling
    from d2c.networks.base.stage import Stage
    from d2c.networks.base.upscaler import Upscaled, Upscaler

    Image = NDArray[Any]

__all__ = ["Difference", "Maps", "Network", "network_of"]


class Difference(NamedTuple):
    """A chart in the report of a run that shows differences between outputs in dB. The last four fields explain it."""

    title: str
    lines: Sequence[tuple[str, Sequence[str], str]]
    """For each line: its name, patterns of outputs of which the best is taken, and the output to compare it with."""
    shows: str
    better: str
    worse: str
    todo: str


class Maps(NamedTuple):
    """Planes ``(H, W)`` that a network makes in addition to images, by label. ``title`` says what they show."""

    title: str
    planes: Mapping[str, Image]


class Network(abc.ABC):
    """A network as the commands use it. Extend this class, write ``build``, and override what differs.

    Attributes
    ----------
    name : str
        Name in the table, or ``module:NAME``.
    paper : str
        Publication of the network.
    config, train : type
        Frozen dataclasses of its structure and of its training. Their fields are made by :func:`d2c.networks.setting`.
    presets : mapping
        Sizes of the network with their schedules. If ``paper`` and ``tiny`` are missing, they are made from the
        defaults.
    scales : tuple of int
        Scales for which ``d2c networks`` counts its size.
    multiple : int
        The sides of its input must be multiples of this. Images are padded by reflection, and the padding is removed
        from the result.
    peak : float
        Value of white in its input and output; 0 is black.
    reach : int or None
        Distance in LR pixels up to which an output pixel depends on the input. None means that it depends on the whole
        image, or that the distance is unknown; images are then upscaled whole and not in strips.
    cuda_graph : bool
        Whether a training step may run as one CUDA graph. Set it to False if the code of the network or of its loss
        waits for numbers on the device, or changes from step to step.
    precisions : tuple of str
        Values of ``--precision`` in which it may be computed.
    sampling : Sampling or None
        What is drawn by a network that makes many different images of one. None if it makes one image.
    exports : bool
        Whether ``d2c export`` can write it as a graph. Set it to False if the code of the network depends on the values
        in an image, or chooses another way for other sizes.
    more_outputs : tuple of str
        Names of further tensors that an exported graph can return beside the image.
    main : str
        Name of the output that is the result. Other outputs are shown beside it.
    starts_anew : mapping
        Settings that may differ when training starts from the weights of another model, and for each the first word of
        the names of the parameters that then start at random, or several such words, of which a model may lack some.
    rivals : mapping
        Outputs that the main one should exceed, and their names in a report.
    differences : sequence of Difference
        Additional charts for its reports.
    remarks : mapping
        Sentences to add to a report's charts, by the chart's id (``quality``, ``loss``).
    figures : mapping
        Figures for ``d2c upscale --save-NAME``, by name.
    """

    paper: ClassVar[str] = ""
    config: ClassVar[type[NetworkConfig]] = NetworkConfig
    train: ClassVar[type[TrainSettings]] = TrainSettings
    presets: ClassVar[Mapping[str, Preset]] = {}
    scales: ClassVar[tuple[int, ...]] = (2, 3, 4, 8)
    multiple: ClassVar[int] = 1
    peak: ClassVar[float] = 1.0
    reach: ClassVar[int | None] = None
    cuda_graph: ClassVar[bool] = True
    precisions: ClassVar[tuple[str, ...]] = get_args(Precision)
    sampling: Sampling | None = None
    exports: ClassVar[bool] = True
    more_outputs: ClassVar[tuple[str, ...]] = ()
    main: ClassVar[str] = "sr"
    starts_anew: ClassVar[Mapping[str, str | tuple[str, ...]]] = {}
    rivals: ClassVar[Mapping[str, str]] = {}
    differences: ClassVar[Sequence[Difference]] = ()
    remarks: ClassVar[Mapping[str, str]] = {}
    figures: ClassVar[Mapping[str, str]] = {}

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self.name))

    @abc.abstractmethod
    def build(self, config: Any) -> nn.Module:
        """The network with random weights. It maps ``(N, 3, h, w)``, RGB on [0, peak], to ``(N, 3, s·h, s·w)``."""

    def sizes(self) -> dict[str, Preset]:
        """All presets, ``paper`` first."""
        found = {"paper": Preset(self.config(), self.train()), **self.presets}
        if "tiny" not in found:
            patch = self.multiple * -(-24 // self.multiple)
            quick: dict[str, Any] = {"steps": 600, "log_every": 25, "save_every": 100}
            found["tiny"] = Preset(self.config(), self.train(patch=patch, lr=1e-3, ema=0.99, **quick))
        return found

    def preset(self, name: str) -> Preset:
        """The preset of that name."""
        sizes = self.sizes()
        if name not in sizes:
            raise ConfigError(f"preset: got {name!r}, expected one of {', '.join(sizes)}; change --preset")
        return sizes[name]

    def stages(self, train: Any) -> Sequence[type[Stage]]:
        """The stages of training, in their order. By default one stage that minimises L1."""
        from d2c.networks.base.stage import PixelStage

        return [PixelStage]

    def sampled(self, sampling: Sampling) -> Network:
        """The network, drawing other samples. Networks that draw samples override this."""
        raise ConfigError(f"{self.name}: draws no samples")

    def outputs(self, config: Any) -> list[str]:
        """Names of the images that it makes from one image, in the order of tables."""
        return [self.main]

    def images(self, made: Upscaled, hr: Image | None = None) -> dict[str, Image]:
        """The outputs ``(H, W, 3)`` by name. Without HR, outputs that are needed only for measuring may be omitted."""
        return {self.main: made.sr}

    def maps(self, made: Upscaled) -> Maps:
        """Planes that a report shows in addition to images. By default there are none."""
        return Maps("", {})

    def draw(self, figure: str, made: Upscaled) -> Image:
        """A figure of one of the names in ``figures``. Networks that name figures override this."""
        raise ConfigError(f"{self.name}: figures names {figure!r}, but the network has no draw(); write it")

    def step_memory(
        self, config: Any, train: Any, stage: type[Stage], device: torch.device, processes: int = 1
    ) -> StepMemory:
        """Peak memory of a training step in bytes. By default it is counted from a step without data."""
        if device.type == "cuda":
            from d2c.networks.base.on_card import counted_on_card

            return counted_on_card(self, config, train, stage, processes)
        from d2c.networks.base.memory import counted_step

        return counted_step(self, config, train, stage, processes)

    def upscaler(self, config: Any) -> Upscaler:
        """The object that runs it on whole images."""
        from d2c.networks.base.upscaler import Upscaler

        return Upscaler(self, config)

    def reach_of(self, config: Any) -> int | None:
        """The reach for a configuration, if it depends on it."""
        return self.reach

    def exported(self, model: Any, *, everything: bool = False) -> nn.Module:
        """The model in the form in which it is exported as a graph. By default the model itself.

        It maps what the model maps. With ``everything`` it returns the image and all ``more_outputs``, each
        ``(N, …, H, W)``.
        """
        return cast("nn.Module", model)

    def least_exported_side(self, config: Any) -> int:
        """Smallest side in LR pixels that an exported graph takes. torch.export treats a count of one as constant."""
        return self.multiple + 1

    def layer_by_layer(self, model: Any, lr: Tensor) -> Any:
        """Run every layer as it is written down, for counting. Override it if the network has a faster form.

        The model is not used afterwards.
        """
        return model(lr)

    def released(self, source: Path) -> nn.Module:
        """The model with the weights that its authors released under other names.

        Raises
        ------
        CheckpointError
            When the file does not contain them, or no released weights of this network can be read.
        """
        raise CheckpointError(f"{source}: there are no released weights of {self.name} that could be converted")

    def make(self, config: NetworkConfig) -> nn.Module:
        """Build the network and mark the model with it; see :func:`network_of`."""
        model = self.build(config)
        if not hasattr(model, "state_dict"):
            raise ConfigError(
                f"network: {self.name} builds a {type(model).__name__}, expected a torch.nn.Module; correct its build"
            )
        return self.note(model, config)

    def note(self, model: nn.Module, config: NetworkConfig) -> nn.Module:
        """Mark a model with its network and configuration."""
        vars(model)[_NOTE] = self, config
        return model

    def check(self) -> None:
        """Raise :class:`ConfigError` if the class is inconsistent."""
        for base, given in ((NetworkConfig, self.config), (TrainSettings, self.train)):
            if not (isinstance(given, type) and issubclass(given, base) and dataclasses.is_dataclass(given)):
                raise ConfigError(f"network: {self.name} has settings that are no dataclass extending {base.__name__}")
            for name, value in dataclasses.asdict(given()).items():
                if not isinstance(value, (int, float, str, NoneType)):
                    raise ConfigError(
                        f"network: {self.name} has a setting {name} = {value!r}, expected a number, a text, True, "
                        "False or None; change it"
                    )
        if twice := {f.name for f in dataclasses.fields(self.config)} & {
            f.name for f in dataclasses.fields(self.train)
        }:
            raise ConfigError(f"network: {self.name} has two settings named {min(twice)}; rename one")
        self._check_attributes()

    def _check_attributes(self) -> None:
        """Raise :class:`ConfigError` for an attribute with which the network would fail later, or be wrong."""
        presets = [
            isinstance(preset, Preset)
            and isinstance(preset.model, self.config)
            and isinstance(preset.train, self.train)
            for preset in self.presets.values()
        ]
        outputs = self.outputs(self.config())
        for name, holds, expected in (
            ("multiple", isinstance(self.multiple, int) and self.multiple >= 1, "a whole number of at least 1"),
            ("peak", 0 < self.peak < math.inf, "a number above 0"),
            ("reach", self.reach is None or self.reach >= 0, "None, or a whole number of at least 0"),
            ("presets", all(presets), "a Preset of its config and its train for each name"),
            ("main", self.main in outputs, f"one of its outputs ({', '.join(outputs)})"),
        ):
            if not holds:
                raise ConfigError(
                    f"network: {self.name} has {name} = {getattr(self, name)!r}, expected {expected}; correct it"
                )


_NOTE = "d2c_network"


def network_of(model: nn.Module) -> tuple[Network, Any]:
    """The network and the configuration of a model.

    Raises
    ------
    ConfigError
        When the model is none that d2c built or read.
    """
    try:
        return cast("tuple[Network, Any]", vars(model)[_NOTE])
    except (KeyError, TypeError):
        raise ConfigError(
            f"model: got an object of type {type(model).__name__} that d2c did not build; take one from "
            "d2c.load, d2c.train or the make of a network's entry"
        ) from None
