"""Let a batch continue after a file that cannot be processed: report it at once, and all of them at the end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from d2c.errors import BatchError, DataError, MemoryNeedError, MemoryRanOutError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d2crealsr.ui.progress import Reporter

__all__ = ["Failures"]

_NAMED = 5


class Failures:
    """The files of a batch that could not be processed.

    Parameters
    ----------
    reporter : Reporter
        Receives a note about each of them at once.
    """

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.total = 0
        self.met: dict[str, DataError | MemoryNeedError | MemoryRanOutError] = {}

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """A block of work on one file. If its data are unusable, or memory does not suffice, only this file fails."""
        try:
            yield
        except (DataError, MemoryNeedError, MemoryRanOutError) as error:
            self.met[name] = error
            if self.total > 1:
                self.reporter.note(f"left out: {error}")

    def conclude(self) -> None:
        """Raise an error if files failed: that of the only file, or one that counts and names the failed files.

        Raises
        ------
        DataError
            When there was only one file, and it could not be processed.
        BatchError
            When some of several files could not be processed.
        """
        if not self.met:
            return
        if self.total == 1:
            raise next(iter(self.met.values()))
        names = list(self.met)
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        done = "the others are done" if len(names) < self.total else "nothing is done"
        raise BatchError(
            f"{len(names)} of {self.total} could not be worked on, {done}: "
            f"{', '.join(names[:_NAMED])}{more}; see above why"
        )
