"""All exceptions of the package, in one tree.

::

    D2CRealSRError
    ├── UsageError            wrong use, exit code 2
    │   ├── SettingsError     a setting out of its range
    │   ├── LayoutError       a folder of captures or pairs that is not laid out as it must be
    │   │   └── ScaleError    it has pairs, but none of the scale that was asked for
    │   └── TableError        a table whose columns or values break its schema
    ├── ImageError            one image that cannot be read; becomes the scene's row, never ends a run
    └── MachineError          the machine failed (disk, lock, scheduler), exit code 1
        └── LockError         another run holds the folder

An expected failure of one pair is no exception but a value, :class:`d2crealsr.types.AlignmentFailure`. A command that
only reads goes on with tables that somebody edited and issues one :class:`ChangedWarning`. A run goes on without a
worker of a cluster that says nothing and issues a :class:`WorkerWarning`.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "ChangedWarning",
    "D2CRealSRError",
    "ImageError",
    "LayoutError",
    "LockError",
    "MachineError",
    "ScaleError",
    "SettingsError",
    "TableError",
    "UsageError",
    "WorkerWarning",
    "is_out_of_memory",
]

_OUT_OF_MEMORY = (
    "out of memory",
    "STATUS_ALLOC_FAILED",
    "can't allocate memory",
    "std::bad_alloc",
    "Insufficient memory",
)
"""What the errors of CUDA and its libraries, of PyTorch on a CPU, of C++ and of OpenCV say when memory runs out."""


class D2CRealSRError(Exception):
    """Base of every error raised on purpose. Its text is one line: what, where, got, expected, what to do."""

    exit_code: ClassVar[int] = 1


class UsageError(D2CRealSRError):
    """The caller asked for something that cannot be done in this way."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is outside its documented range."""


class LayoutError(UsageError):
    """A folder or list of captures or pairs is not laid out as it must be."""


class ScaleError(LayoutError):
    """A folder has pairs, but none of the requested scale.

    Attributes
    ----------
    scales : tuple of int
        The scales of its pairs.
    """

    def __init__(self, message: str, scales: tuple[int, ...]) -> None:
        super().__init__(message)
        self.scales = scales


class TableError(UsageError):
    """A table violates its schema: columns are missing, values are out of range, or rows are repeated."""


class ChangedWarning(UserWarning):
    """Files of a pairs folder were changed since they were written. Its text is one line that names them."""


class WorkerWarning(UserWarning):
    """A worker of a cluster was given up. Its text is one line that names it."""


class ImageError(D2CRealSRError):
    """One image cannot be read.

    Attributes
    ----------
    reason : str
        Stable reason code of the manifest, ``"unreadable"`` unless the cause is known more precisely.
    """

    def __init__(self, message: str, *, reason: str = "unreadable") -> None:
        super().__init__(message)
        self.reason = reason

    def at(self, path: Path) -> str:
        """The text with the whole path of the image, whose name it begins with otherwise."""
        return f"{path}: {str(self).removeprefix(f'{path.name}: ')}"


class MachineError(D2CRealSRError):
    """The machine failed: disk, permission, scheduler."""


class LockError(MachineError):
    """Another run holds the folder."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, of the operating system or of a library says that memory ran out."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY)
