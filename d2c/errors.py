"""All exceptions of d2c, as a branch of the tree in :mod:`d2crealsr.errors`.

::

    D2CRealSRError
    └── D2CError              base, exit code 1
        ├── ConfigError       a setting out of its range, or settings that contradict each other; exit code 2
        ├── DataError         a folder or list of pairs that cannot be trained on or evaluated; exit code 2
        ├── CheckpointError   a file that holds no weights of ours (or none that can be imported); exit code 2
        ├── MemoryNeedError   work that would not fit into memory, refused before it starts; exit code 2
        ├── MemoryRanOutError memory ran out during the work; what was finished before is kept
        ├── BatchError        some files of several that could not be worked on; the others are done
        └── TrainingError     training that cannot go on (loss not finite)
"""

from __future__ import annotations

from d2crealsr.store import D2CRealSRError

__all__ = [
    "BatchError",
    "CheckpointError",
    "ConfigError",
    "D2CError",
    "DataError",
    "MemoryNeedError",
    "MemoryRanOutError",
    "TrainingError",
]


class D2CError(D2CRealSRError):
    """Base of every error d2c raises on purpose. Its text is one line."""


class ConfigError(D2CError):
    """A setting is out of its range, or settings contradict each other."""

    exit_code = 2


class DataError(D2CError):
    """Pairs that are missing, of wrong size, or not laid out as they must be."""

    exit_code = 2


class CheckpointError(D2CError):
    """A file that holds no weights we can read."""

    exit_code = 2


class MemoryNeedError(D2CError):
    """The work would not fit into memory; nothing was started."""

    exit_code = 2


class MemoryRanOutError(D2CError):
    """Memory ran out during the work. What was finished before is kept."""


class TrainingError(D2CError):
    """Training cannot go on."""


class BatchError(D2CError):
    """Some files of several could not be worked on; the others are done."""
