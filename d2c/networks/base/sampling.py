"""What is drawn by a network that makes many different images of one.

Its upscaler makes the samples as ``samples`` in :class:`d2c.networks.base.upscaler.Upscaled`, and its entry can draw a
figure of this name, which shows them side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Sampling"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """The images that are made of one image.

    Attributes
    ----------
    result : float
        Temperature of the result: 0 for the image of the most probable latents.
    samples : int
        Number of samples that are drawn beside the result. Samples of equal numbers are equal.
    temperature : float
        Temperature of the samples.
    """

    result: float = 0.0
    samples: int = 1
    temperature: float = 0.9

    @property
    def names(self) -> list[str]:
        """Names of the samples as outputs, with their temperature, and with a number if there are several."""
        name = f"sample_{self.temperature:g}"
        return [name] if self.samples == 1 else [f"{name}_{number}" for number in range(1, self.samples + 1)]

    @property
    def result_note(self) -> dict[str, Any]:
        """What the result was drawn with; empty if it was not drawn."""
        return {"temperature": self.result} if self.result else {}

    @property
    def note(self) -> dict[str, Any]:
        """What all images together were drawn with."""
        return {"samples": self.samples, "temperature": self.temperature} if self.samples else self.result_note

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """The samples as files: for each the end of its name, and what it was drawn with."""
        numbers = range(1, self.samples + 1)
        return {f"sample_{number}": {"sample": number, "temperature": self.temperature} for number in numbers}
