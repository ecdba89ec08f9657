"""A graph of torch.export, which ``torch.export.load`` reads without any code of d2c."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import torch

from d2c.export.file_format import KEY, Format, Made
from d2c.export.graph import graph_of, traced

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from d2c.export.file_format import Images, Wanted

__all__ = ["TORCH_EXPORT"]

_NAME = f"{KEY}.json"


def _make(model: nn.Module, wanted: Wanted) -> Made:
    graph = graph_of(model, everything=wanted.everything, precision=wanted.precision)
    buffer = io.BytesIO()
    torch.export.save(traced(graph, model), buffer, extra_files={_NAME: wanted.description})
    data = buffer.getvalue()
    read = torch.export.load(io.BytesIO(data)).module()

    def run(lr: NDArray[np.float32]) -> Images:
        with torch.no_grad():
            made = read(torch.from_numpy(lr))
        return [image.numpy() for image in (made if isinstance(made, tuple) else (made,))]

    return Made(data, "torch.export", f"torch {torch.__version__}", run)


def _is_own(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(f"/{_NAME}") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


TORCH_EXPORT = Format(suffix=".pt2", check=lambda: None, make=_make, is_own=_is_own)
