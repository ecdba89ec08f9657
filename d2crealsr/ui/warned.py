"""Print the warnings that are meant for people as one line of a command each."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import ChangedWarning, WorkerWarning
from d2crealsr.ui.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["warnings_in_one_line"]

_FOR_PEOPLE = (ChangedWarning, WorkerWarning)


@contextlib.contextmanager
def warnings_in_one_line() -> Iterator[None]:
    """A ``with`` block in which each ``ChangedWarning`` and ``WorkerWarning`` is printed once, on standard error."""
    said: set[str] = set()
    with warnings.catch_warnings():
        for kind in _FOR_PEOPLE:
            warnings.simplefilter("always", kind)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any) -> None:
            if not issubclass(category, _FOR_PEOPLE):
                usual(message, category, *args, **kwargs)
            elif str(message) not in said:
                said.add(str(message))
                echo(f"Warning: {message}", err=True)

        warnings.showwarning = show
        yield
