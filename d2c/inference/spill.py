"""Feature maps that are read and written in bands of rows: in memory, or in temporary files where memory is short.

Rows lie one after the other, the channels of a pixel beside each other, ``(h, w, n)``: a band is one piece of a file,
and to PyTorch it is a tensor in channels-last order without any copy.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import TYPE_CHECKING

import numpy as np
import torch

from d2c.errors import D2CError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["FeatureMap", "FeatureMaps"]


class FeatureMap:
    """One feature map ``(n, h, w)`` of an image. ``file``: its mapped file, None for one in memory."""

    def __init__(self, pixels: Tensor, file: mmap.mmap | None = None) -> None:
        self._pixels, self._file = pixels, file  # (h, w, n)

    def read(self, first: int, last: int) -> Tensor:
        """Rows ``first`` to ``last`` (exclusive) as ``(1, n, rows, w)``; may share memory with the map."""
        # PyTorch goes by the strides, the batch's too: one that is added last makes it convert for every convolution
        return self._pixels[None, first:last].permute(0, 3, 1, 2)

    def write(self, first: int, rows: Tensor) -> None:
        """Write ``(1, n, rows, w)`` from row ``first`` on."""
        self._pixels[first : first + rows.shape[2]].copy_(rows[0].permute(1, 2, 0))

    def release(self, first: int, last: int) -> None:
        """Let go of the memory that the rows of a mapped file take; they stay in the file."""
        if self._file is not None:
            row = self._pixels[:1].numel() * self._pixels.element_size()
            begin = first * row // mmap.PAGESIZE * mmap.PAGESIZE
            self._file.madvise(mmap.MADV_DONTNEED, begin, last * row - begin)


class FeatureMaps:
    """Makes feature maps of one shape and uses those again that are given back.

    Parameters
    ----------
    height, width, features : int
        Shape of every map.
    like : torch.Tensor
        Gives type and device of the numbers.
    folder : Path, optional
        Where files go. They have no name: whatever ends the process, even a signal, frees their room. None: in memory.
    """

    def __init__(self, height: int, width: int, features: int, like: Tensor, folder: Path | None = None) -> None:
        self.shape, self.like, self.folder = (height, width, features), like, folder
        self._free: list[FeatureMap] = []

    def take(self) -> FeatureMap:
        """A map whose content is undefined.

        Raises
        ------
        D2CError
            When the disk has no room for its file.
        """
        if self._free:
            return self._free.pop()
        if self.folder is None:
            return FeatureMap(self.like.new_empty(self.shape))
        return self._mapped(self.folder)

    def give_back(self, feature: FeatureMap) -> None:
        """Say that a map's content is not needed any more."""
        self._free.append(feature)

    def forget(self) -> None:
        """Free what was given back."""
        self._free.clear()

    def _mapped(self, folder: Path) -> FeatureMap:
        dtype = torch.empty(0, dtype=self.like.dtype).numpy().dtype
        size = int(np.prod(self.shape)) * dtype.itemsize
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                os.posix_fallocate(file.fileno(), 0, size)  # a disk that is full says so here, not by a signal later
                mapped = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise D2CError(
                f"{folder}: no room for a temporary file of {size / 1e9:.1f} GB ({error.strerror or error}); "
                "make room, or choose another folder with --spill"
            ) from error
        pixels: NDArray[Any] = np.frombuffer(mapped, dtype).reshape(self.shape)
        return FeatureMap(torch.from_numpy(pixels), mapped)
