"""Upscale image files: whole, at their own depth, transparency and orientation kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from d2c import figures
from d2c.bicubic import bicubic
from d2c.errors import ConfigError, DataError
from d2c.infer import upscale
from d2c.memory import check_fits
from d2c.reporter import Reporter
from d2crealsr.store import ImageError, images

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from d2c.model import D2CSR

__all__ = ["Figures", "upscale_files"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What to draw beside the upscaled images: predictions, weight maps, a patch (with HR where given)."""

    branches: bool = False
    weights: bool = False
    box: figures.Box | None = None
    hr: Path | None = None


def upscale_files(
    model: D2CSR,
    paths: Sequence[Path],
    out: Path,
    wanted: Figures | None = None,
    reporter: Reporter | None = None,
) -> list[Path]:
    """Upscale images to ``OUT/NAME_x{scale}.png``; returns the files written, figures not counted.

    8-bit images give 8-bit ones, 16-bit 16-bit ones. An alpha channel is upscaled bicubically. An orientation flag is
    applied, so the result needs none.

    Raises
    ------
    MemoryNeedError
        When one of them would not fit; found before any is started.
    DataError
        When one cannot be read, or two would get the same name.
    """
    reporter = reporter or Reporter()
    wanted = wanted or Figures()
    targets = _targets(paths, out, model.config.scale)
    device = next(model.parameters()).device
    for path in paths:
        width, height = _read(images.read_size, path)
        check_fits(model.config, width, height, device, str(path))
    reporter.start("upscaling", len(paths))
    for done, (path, target) in enumerate(zip(paths, targets, strict=True), start=1):
        _upscale_file(model, path, target, wanted)
        reporter.step(done, path.name)
    reporter.finish()
    return targets


def _upscale_file(model: D2CSR, path: Path, target: Path, wanted: Figures) -> None:
    pixels, alpha = _read(images.read_image_and_alpha, path)
    made = upscale(model, pixels, name=str(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    images.write_image(target, _with_alpha(_as_type(made.fused, pixels.dtype), alpha))
    drawn: dict[str, NDArray[Any]] = {}
    if wanted.branches:
        drawn["branches"] = figures.branches_figure(made)
    if wanted.weights:
        drawn["weights"] = figures.weights_figure(made)
    if wanted.box is not None:
        hr = None if wanted.hr is None else _read(images.read_image, wanted.hr)
        if hr is not None and hr.shape != made.fused.shape:
            raise DataError(
                f"{wanted.hr}: got {hr.shape[1]}x{hr.shape[0]} pixels, expected "
                f"{made.fused.shape[1]}x{made.fused.shape[0]} ({model.config.scale} times {path.name})"
            )
        drawn["patch"] = figures.patch_figure(pixels, made, wanted.box, hr)
    for name, picture in drawn.items():
        images.write_image(target.with_name(f"{target.stem}_{name}.png"), picture)


def _targets(paths: Sequence[Path], out: Path, scale: int) -> list[Path]:
    targets = [out / f"{path.stem}_x{scale}.png" for path in paths]
    seen: dict[Path, Path] = {}
    for path, target in zip(paths, targets, strict=True):
        if target in seen:
            raise ConfigError(f"{seen[target]} and {path} would both become {target.name}; upscale them to two folders")
        seen[target] = path
    return targets


def _as_type(image: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    peak = np.iinfo(dtype).max
    return np.asarray(np.rint(np.clip(image, 0, 1) * np.float32(peak)).astype(dtype))


def _with_alpha(image: NDArray[Any], alpha: NDArray[Any] | None) -> NDArray[Any]:
    if alpha is None:
        return image
    height, width = image.shape[:2]
    return np.dstack([image, bicubic(alpha, width, height)])


def _read(reader: Any, path: Path) -> Any:
    try:
        return reader(path)
    except ImageError as error:
        raise DataError(f"{path}: {error}") from error
