"""A batch goes on past a file that cannot be worked on: it is named when it is met, and all are counted at the end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from d2c.errors import BatchError, DataError, MemoryNeedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d2c.reporter import Reporter

__all__ = ["Failures"]

_NAMED = 5


class Failures:
    """Files of a batch that could not be worked on.

    Parameters
    ----------
    reporter : Reporter
        Told of each of them when it is met.
    """

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.total = 0
        self.met: dict[str, DataError | MemoryNeedError] = {}

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """A block of work on one file; that its data are unusable, or too large, costs this file alone."""
        try:
            yield
        except (DataError, MemoryNeedError) as error:
            self.met[name] = error
            if self.total > 1:
                self.reporter.note(f"left out: {error}")

    def conclude(self) -> None:
        """Raise what was met, if anything: a single file's own error, or one that counts and names them.

        Raises
        ------
        DataError
            When there was one file only, and it could not be worked on.
        BatchError
            When that is so for some of several.
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
