"""What is asked of upscaling files, and what there is to do for each of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from d2c.inference import confidence
from d2c.precision import available_precision
from d2crealsr.store import files
from d2crealsr.store.images import MAX_PIXELS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    import torch

    from d2c.inference.figures import Box
    from d2c.networks.base.sampling import Sampling
    from d2c.networks.base.upscaler import Plan
    from d2c.settings.config import Precision

__all__ = ["Figures", "Job", "Limits"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What is made in addition to the upscaled images.

    That are figures of the network, samples with a figure of them, a figure of a patch (with HR if given), and the map
    of :mod:`d2c.inference.confidence`.
    """

    names: tuple[str, ...] = ()
    box: Box | None = None
    hr: Path | None = None
    sampling: Sampling | None = None
    confidence: bool = False

    @property
    def need_outputs(self) -> bool:
        """Whether anything is requested that is made of all outputs of the network. The map needs the result alone."""
        return bool(self.settings)

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """For each but the map its name, and the settings on which it depends besides image and checkpoint."""
        drawn: dict[str, dict[str, Any]] = {name: {"figure": name, **self._drawn_with} for name in self.by_network}
        if self.box is not None:
            hr = "" if self.hr is None else files.sha256_of(self.hr)
            drawn["patch"] = {"figure": "patch", "box": list(self.box), "hr": hr, **self._drawn_with}
        return drawn | self.samples

    @property
    def by_network(self) -> list[str]:
        """The figures that the network draws; several samples have one."""
        several = self.sampling is not None and self.sampling.samples > 1
        return [*self.names, *(["samples"] if several else [])]

    @property
    def samples(self) -> dict[str, dict[str, Any]]:
        """The samples that become files of their own, with what they are drawn with, by the ends of their names."""
        return {} if self.sampling is None else self.sampling.files

    @property
    def _drawn_with(self) -> dict[str, Any]:
        return {} if self.sampling is None else self.sampling.note


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much memory upscaling may use, what it does to colours, and which files it may replace."""

    max_memory: int | None = None
    """Bytes of memory in addition to those that the process uses already; by default nine tenths of the free memory."""
    spill: Path | None = None
    """Folder for temporary files; by default that of the results."""
    convert_profile: bool = False
    """Whether to convert images whose colour profile is not sRGB, or to refuse them."""
    grey: bool = True
    """Whether an image with equal channels gives a result with equal channels, or the colours made by the network."""
    self_ensemble: bool = False
    """Whether to take the mean over the eight flips and transposes of each image."""
    precision: Precision = "fp32"
    """Arithmetic of the network."""
    overwrite: bool = False
    """Whether to replace files in the place of results. Inputs are never replaced."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that influence pixels."""
        chosen = {"convert_profile": self.convert_profile, "self_ensemble": self.self_ensemble}
        found: dict[str, Any] = {"grey": "auto" if self.grey else "off"}
        found |= {name: True for name, value in chosen.items() if value}
        return found if self.precision == "fp32" else found | {"precision": self.precision}

    def on(self, device: torch.device, note: Callable[[str], None]) -> Limits:
        """The same with a precision that the device has; see :func:`d2c.precision.available_precision`."""
        return dataclasses.replace(self, precision=available_precision(self.precision, device, note))


class Job(NamedTuple):
    """A file to upscale: source, target, scale and plan. ``wanted`` are its results, and the notes stored in them."""

    source: Path
    target: Path
    scale: int
    plan: Plan
    sha256: str
    wanted: Mapping[Path, str]
    missing: Sequence[Path] = ()
    """The results that do not exist yet."""

    @property
    def map(self) -> Path:
        """The file of the map of :mod:`d2c.inference.confidence`, whether it is wanted or not."""
        return self.target.with_name(f"{self.target.stem}_{confidence.NAME}{self.target.suffix}")

    @property
    def only_map(self) -> bool:
        """Whether nothing but the map is missing, and it can be made of the result that is there."""
        readable = self.scale**2 * self.plan.width * self.plan.height <= MAX_PIXELS
        return list(self.missing) == [self.map] and (readable or self.target.suffix == ".tif")
