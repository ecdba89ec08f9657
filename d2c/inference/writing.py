"""Write what is missing of a file that was upscaled: the result, its samples, its figures, and its map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from d2c.inference import confidence, output, results
from d2crealsr.store import images

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from d2c.inference.jobs import Job

__all__ = ["companion", "write_all", "write_map_of"]


def companion(target: Path, name: str) -> Path:
    """The file of a figure or of a sample, beside that of the result."""
    return target.with_name(f"{target.stem}_{name}.png")


def write_all(job: Job, photographs: Mapping[Path, Any], alpha: Any, drawn: Mapping[str, Any]) -> None:
    """Write what is missing.

    Parameters
    ----------
    photographs : mapping
        The pixels of the result and of samples, by their files.
    alpha : ndarray or None
        The transparency of the input.
    drawn : mapping
        The figures by name.
    """
    for place, pixels in photographs.items():
        if place in job.missing:
            output.write_png(place, pixels, alpha, (results.KEY, job.wanted[place]))
    for name, picture in drawn.items():
        place = companion(job.target, name)
        if place in job.missing:
            images.write_image(place, picture, note=(results.KEY, job.wanted[place]))
    if job.map in job.missing:
        write_map_of(job, photographs[job.target])


def write_map_of(job: Job, image: Any) -> None:
    """Write the map of a result, whose pixels are given."""
    confidence.write_map(job.map, image, job.scale, (results.KEY, job.wanted[job.map]))
