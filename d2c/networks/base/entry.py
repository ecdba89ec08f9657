"""The type of a network's entry in the table: how it is built, and what training, evaluation and upscaling ask of it.

Importing this loads no torch, so that a network's settings can be listed quickly; what runs a network is imported by
the methods.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from d2c.errors import CheckpointError, ConfigError
from d2c.settings.config import NetworkConfig, TrainSettings
from d2c.settings.presets import Preset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from d2c.networks.base.memory import StepMemory
    from d2c.networks.base.stage import Stage
    from d2c.networks.base.upscaler import Upscaled, Upscaler

    Image = NDArray[Any]

__all__ = ["Difference", "FigureKind", "Maps", "Network", "network_of"]


class Difference(NamedTuple):
    """A chart of a run's report: by how many dB outputs are above another one. ``words`` tell the reader about it."""

    title: str
    lines: Sequence[tuple[str, Sequence[str], str]]
    """Name of a line, patterns of the outputs whose best is taken, and the output that it is compared with."""
    shows: str
    better: str
    worse: str
    todo: str


class Maps(NamedTuple):
    """Planes ``(H, W)`` that a network makes besides images, by label; ``title`` says what they show."""

    title: str
    planes: Mapping[str, Image]


class FigureKind(NamedTuple):
    """A figure that ``d2c upscale --save-NAME`` draws of an image: its help, and what draws it."""

    doc: str
    draw: Callable[[Upscaled], Image]


class Network:
    """A network as commands see it. Extend it, write ``build``, and change what is not right for the network.

    Attributes
    ----------
    name : str
        Its name in the table, or ``module:NAME``.
    paper : str
        Where it was published.
    config, train : type
        Frozen dataclasses of its structure and of its training, whose fields are made by :func:`d2c.networks.setting`.
    presets : mapping
        Its sizes with their schedules; ``paper`` and ``tiny`` are made of the defaults where they are not there.
    scales : tuple of int
        The scales that ``d2c networks`` counts it for.
    multiple : int
        The sides of what it is given are multiples of this: images are padded by reflection, and what it makes of the
        padding is cut off.
    peak : float
        The value of white in what it takes and returns; 0 is black.
    reach : int or None
        How many LR pixels away the pixels are that an output pixel depends on. None: all of them, or not known; then
        images are upscaled whole, not in strips.
    main : str
        The name of its output that is the result; the others are shown beside it.
    starts_anew : mapping
        Settings that may differ where training starts from the weights of another model, and the first word of the
        names of the parameters that then start at random.
    rivals : mapping
        Outputs that the main one should be better than, and how a report calls them.
    differences : sequence of Difference
        Charts for its reports.
    remarks : mapping
        Sentences added to a report's charts, by the chart's id (``quality``, ``loss``).
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
    main: ClassVar[str] = "sr"
    starts_anew: ClassVar[Mapping[str, str]] = {}
    rivals: ClassVar[Mapping[str, str]] = {}
    differences: ClassVar[Sequence[Difference]] = ()
    remarks: ClassVar[Mapping[str, str]] = {}
    figures: ClassVar[Mapping[str, FigureKind]] = {}

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), self.name))

    def build(self, config: Any) -> nn.Module:
        """The network with random weights: from ``(N, 3, h, w)``, RGB on [0, peak], to ``(N, 3, s·h, s·w)``."""
        raise NotImplementedError

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
        """What is trained one after the other; by default one stage, in which L1 is minimised."""
        from d2c.networks.base.stage import PixelStage

        return [PixelStage]

    def outputs(self, config: Any) -> list[str]:
        """Names of the images that it makes of one image, in the order of tables."""
        return [self.main]

    def images(self, made: Upscaled, hr: Image | None = None) -> dict[str, Image]:
        """The outputs ``(H, W, 3)`` by name. Without HR those may be left out that only measuring wants."""
        return {self.main: made.sr}

    def maps(self, made: Upscaled) -> Maps:
        """Planes that a report shows besides images; by default none."""
        return Maps("", {})

    def step_memory(
        self, config: Any, train: Any, stage: type[Stage], device: torch.device, processes: int = 1
    ) -> StepMemory:
        """Bytes that a training step takes at most; by default counted from a step without data."""
        from d2c.networks.base.memory import counted_step

        return counted_step(self, config, train, stage, processes)

    def upscaler(self, config: Any) -> Upscaler:
        """How it runs on whole images."""
        from d2c.networks.base.upscaler import Upscaler

        return Upscaler(self, config)

    def layer_by_layer(self, model: Any, lr: Tensor) -> Any:
        """Run every layer as it is written down, for counting; for networks that have a faster form of themselves.

        The model is not used afterwards.
        """
        return model(lr)

    def released(self, source: Path) -> nn.Module:
        """The model with weights that its authors released, under other names.

        Raises
        ------
        CheckpointError
            When the file holds none, or the network has none that could be read.
        """
        raise CheckpointError(f"{source}: there are no released weights of {self.name} that could be converted")

    def make(self, config: NetworkConfig) -> nn.Module:
        """Build it, and note on the model what it is: see :func:`network_of`."""
        return self.note(self.build(config), config)

    def note(self, model: nn.Module, config: NetworkConfig) -> nn.Module:
        """Note on a model which network it is, with which configuration."""
        vars(model)[_NOTE] = self, config
        return model

    def check(self) -> None:
        """Raise :class:`ConfigError` where the class contradicts itself."""
        for base, given in ((NetworkConfig, self.config), (TrainSettings, self.train)):
            if not (isinstance(given, type) and issubclass(given, base) and dataclasses.is_dataclass(given)):
                raise ConfigError(f"network: {self.name} has settings that are no dataclass extending {base.__name__}")
        if twice := {f.name for f in dataclasses.fields(self.config)} & {
            f.name for f in dataclasses.fields(self.train)
        }:
            raise ConfigError(f"network: {self.name} has two settings named {min(twice)}; rename one")


_NOTE = "d2c_network"


def network_of(model: nn.Module) -> tuple[Network, Any]:
    """The network that a model is of, and its configuration."""
    return cast("tuple[Network, Any]", vars(model)[_NOTE])
