"""Feature maps that are read and written in bands of rows: in memory, or in temporary files if memory is short.

Maps are stored as ``(h, w, n)``: row after row, with the channels of a pixel adjacent. A band is therefore one
contiguous part of a file, and PyTorch can use it as a tensor in channels-last order without a copy.
"""

from __future__ import annotations

import mmap
import tempfile
from typing import TYPE_CHECKING

import numpy as np
import torch

from d2c.errors import D2CError
from d2crealsr.store import files

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["FeatureMap", "FeatureMaps"]


class FeatureMap:
    """One feature map ``(n, h, w)`` of an image. ``file`` is its mapped file, or None if it is in memory.

    Rows are read to ``device``, which may be another one than that of the map if it is in a file.
    """

    def __init__(self, pixels: Tensor, file: mmap.mmap | None = None, device: torch.device | None = None) -> None:
        self._pixels, self._file = pixels, file  # (h, w, n)
        self._device = device or pixels.device

    def read(self, first: int, last: int) -> Tensor:
        """Rows ``first`` to ``last`` (exclusive) as ``(1, n, rows, w)``. They may share memory with the map."""
        # PyTorch looks at all strides, including the batch's. If that were wrong, every convolution would convert.
        return self._pixels[None, first:last].to(self._device).permute(0, 3, 1, 2)

    def write(self, first: int, rows: Tensor) -> None:
        """Write ``(1, n, rows, w)`` from row ``first`` on."""
        self._pixels[first : first + rows.shape[2]].copy_(rows[0].permute(1, 2, 0))

    def release(self, first: int, last: int) -> None:
        """Release the memory of rows of a mapped file. They stay in the file."""
        if self._file is not None:
            row = self._pixels[:1].numel() * self._pixels.element_size()
            begin = first * row // mmap.PAGESIZE * mmap.PAGESIZE
            self._file.madvise(mmap.MADV_DONTNEED, begin, last * row - begin)


class FeatureMaps:
    """Makes feature maps of one shape, and reuses maps that are given back.

    Parameters
    ----------
    height, width, features : int
        Shape of every map.
    like : torch.Tensor
        Tensor with the type and device of the values.
    folder : Path, optional
        Folder for files. They have no name, so their space is freed however the process ends. None keeps maps in
        memory.
    """

    def __init__(self, height: int, width: int, features: int, like: Tensor, folder: Path | None = None) -> None:
        self.shape, self.like, self.folder = (height, width, features), like, folder
        self._free: list[FeatureMap] = []

    def take(self) -> FeatureMap:
        """A map with undefined content.

        Raises
        ------
        D2CError
            When the disk has no space for its file.
        """
        if self._free:
            return self._free.pop()
        if self.folder is None:
            return FeatureMap(self.like.new_empty(self.shape))
        return self._mapped(self.folder)

    def give_back(self, feature: FeatureMap) -> None:
        """Give back a map whose content is no longer needed."""
        self._free.append(feature)

    def forget(self) -> None:
        """Free the maps that were given back."""
        self._free.clear()

    def _mapped(self, folder: Path) -> FeatureMap:
        size = int(np.prod(self.shape)) * self.like.element_size()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                files.reserve(file.fileno(), size)
                mapped = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise D2CError(
                f"{folder}: a temporary file of {size / 1e9:.1f} GB cannot be made there ({error.strerror or error}); "
                "make room, or choose a folder on another disk with --spill"
            ) from error
        bytes_: NDArray[Any] = np.frombuffer(mapped, np.uint8)  # NumPy has no bf16
        pixels = torch.from_numpy(bytes_).view(self.like.dtype).view(self.shape)
        return FeatureMap(pixels, mapped, self.like.device)
