"""Settings of the simulator. Every default is written here once; the options of the command line come from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from d2crealsr.errors import SettingsError
from d2crealsr.settings import check_ranges, setting
from d2crealsr.simulate.nuisances import NUISANCES
from d2crealsr.types import Size

__all__ = ["SIZES", "ImageFormat", "SimulateSettings", "SizeName"]

SizeName: TypeAlias = Literal["mini", "half", "full"]
ImageFormat: TypeAlias = Literal["jpg", "png"]

SIZES: dict[str, Size] = {"mini": Size(1200, 800), "half": Size(3000, 2000), "full": Size(6000, 4000)}
"""Sensor sizes of both captures by name, in px. ``mini`` is for tests and the demo, never for figures."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulateSettings:
    """All settings of a folder of simulated captures. Equal settings with an equal recipe give equal bytes."""

    size: SizeName = setting("half", "Sensor of both captures: mini 1200x800, half 3000x2000, full 6000x4000.")
    seed: int = setting(0, "Seed of the recipe, and of the captures of a given recipe.", at_least=0)
    scenes: int = setting(25, "Number of scenes if no manifest is given.", at_least=1, at_most=99_999)
    scale: int = setting(8, "Nominal number of HR pixels per LR pixel.", at_least=1, at_most=16)
    nuisances: tuple[str, ...] = setting(
        (), "What goes wrong in every scene. May be repeated. One of " + ", ".join(NUISANCES)
    )
    image_format: ImageFormat = setting("jpg", "File format of the captures; JPEG has quality 95.")

    def __post_init__(self) -> None:
        check_ranges(self)
        unknown = [name for name in self.nuisances if name not in NUISANCES]
        if unknown:
            raise SettingsError(
                f"nuisances: got {unknown[0]!r}, expected among {', '.join(NUISANCES)}; change --nuisance"
            )

    @property
    def sensor(self) -> Size:
        """Size of both captures in px, before a nuisance turns the camera."""
        return SIZES[self.size]
