"""Standard streams that a shell has closed, that cannot be written, or that lack characters.

Where nobody reads the output any more, a command ends as any filter does. Where standard output cannot be written, it
says so and fails, for its result is lost. Where standard error cannot be written, only messages are lost, and the work
goes on. Characters that a terminal's encoding lacks are spelled (:func:`d2crealsr.ui.text.spelled`).
"""

from __future__ import annotations

import codecs
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

from d2crealsr.errors import MachineError
from d2crealsr.ui.text import spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CLOSED", "tolerant_streams"]

CLOSED = 141
"""Exit code of a command whose output is no longer read: 128 plus the number of SIGPIPE, as for any filter."""


@contextlib.contextmanager
def tolerant_streams() -> Iterator[None]:
    """A ``with`` block in which closed streams ignore output and a broken pipe ends the command by ``SystemExit``.

    The caller flushes standard output before the block ends.

    Raises
    ------
    MachineError
        Within the block, when standard output cannot be written.
    """
    before = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
    for number, (name, stream) in enumerate(before.items()):
        if stream is None:  # closed by the shell; keep the next opened file from taking its number
            setattr(sys, name, _nothing("r" if name == "stdin" else "w", number))
    sys.stdout = cast("TextIO", _Stream(sys.stdout, needed=True))
    sys.stderr = cast("TextIO", _Stream(sys.stderr, needed=False))
    try:
        yield
    except BrokenPipeError:
        _discard(sys.stdout)
        sys.exit(CLOSED)
    finally:
        for name, stream in before.items():
            if stream is not None:
                setattr(sys, name, stream)


class _Stream:
    """A text stream that is written as far as possible. Everything else is left to the stream itself.

    ``needed`` says whether a failure is an error.
    """

    def __init__(self, stream: TextIO, *, needed: bool) -> None:
        self._stream, self._needed = stream, needed
        self._failure: MachineError | None = None
        self._known = _codec(getattr(stream, "encoding", None))
        self.encoding = "latin-1" if self._known == "ascii" else self._known
        """Latin-1 contains ASCII and stands for it: click writes UTF-8 to a stream that calls itself ASCII."""

    def write(self, text: str) -> int:
        with self._failures():
            self._stream.write(spelled(text, self._known))
        return len(text)

    def flush(self) -> None:
        with self._failures():
            self._stream.flush()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Writing. A failure is raised each time, because click swallows the first while it looks at the stream."""
        if self._failure is not None:
            raise self._failure
        try:
            yield
        except BrokenPipeError:  # ended here, because click gives such a command the exit code of a failure
            _discard(self._stream)
            sys.exit(CLOSED)
        except OSError as error:
            _discard(self._stream)
            if self._needed:
                self._failure = MachineError(
                    f"standard output: cannot be written ({error.strerror or error}); send it to another place, and "
                    "run the same command again"
                )
                raise self._failure from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _codec(encoding: str | None) -> str:
    try:
        return codecs.lookup(encoding or "utf-8").name
    except LookupError:
        return "utf-8"


def _nothing(mode: str, number: int) -> TextIO:
    """An empty file in place of a closed stream. Processes that are started inherit it."""
    opened = cast("TextIO", open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123
    if opened.fileno() == number:
        os.set_inheritable(number, True)
    return opened


def _discard(stream: TextIO) -> None:
    """Send what a stream still holds to nowhere, so that it is not tried again when the program ends."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
