"""Print the warning about changed files as one line of a command."""

from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

from d2crealsr.errors import ChangedWarning
from d2crealsr.ui.terminal import echo

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["changes_in_one_line"]


@contextlib.contextmanager
def changes_in_one_line() -> Iterator[None]:
    """A ``with`` block in which each :class:`~d2crealsr.errors.ChangedWarning` is printed once, on standard error."""
    said: set[str] = set()
    with warnings.catch_warnings():
        warnings.simplefilter("always", ChangedWarning)
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any) -> None:
            if not issubclass(category, ChangedWarning):
                usual(message, category, *args, **kwargs)
            elif str(message) not in said:
                said.add(str(message))
                echo(f"Warning: {message}", err=True)

        warnings.showwarning = show
        yield
