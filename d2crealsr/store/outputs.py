"""Files that a person names for a result, as in ``--csv FILE``: which of them a command may overwrite.

A command replaces only files of its own kind, such as the table that it wrote there the last time. It never replaces an
input or any other file, and never writes through a link. All this is checked before the work begins.
"""

from __future__ import annotations

import codecs
import errno
import os
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from d2crealsr.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["check_folder", "check_name", "check_output", "check_tables", "same_file"]

_LONGEST_NAME = 255
"""Most bytes of a name on almost every file system."""


def check_output(path: Path, what: str, is_own: Callable[[Path], bool], inputs: Iterable[Path] = ()) -> None:
    """Raise an error if writing ``path`` would destroy a file that is not of this command's kind.

    Parameters
    ----------
    path : Path
        The file that was named for a result.
    what : str
        What the command writes there, in words, such as ``"a table of d2c eval"``.
    is_own : callable
        Tells whether an existing file is of that kind. It is not called for an empty file, which has nothing to lose.
    inputs : iterable of Path
        The files that the command reads.

    Raises
    ------
    UsageError
        When ``path`` is an input, not a plain file, a file of another kind, or in a folder that cannot be written, or
        when its name is too long.
    """
    for source in inputs:
        if same_file(path, source):
            raise UsageError(f"{path}: is an input of this command, or named for another result; name another file")
    check_name(path)
    if not os.path.lexists(path):
        check_folder(path.parent)
        return
    if not stat.S_ISREG(path.lstat().st_mode):
        kind = "a folder" if path.is_dir() else "a link" if path.is_symlink() else "no plain file"
        raise UsageError(f"{path}: is {kind}, expected a file to write {what} to; name another file")
    if path.stat().st_size and not is_own(path):
        raise UsageError(f"{path}: holds something else than {what}, and is not replaced; name another file")
    check_folder(path.parent)


def check_tables(
    tables: Iterable[tuple[Path | None, str, Sequence[str]]],
    inputs: Iterable[Path] = (),
    earlier: Iterable[Sequence[str]] = (),
) -> None:
    """Call :func:`check_output` for the CSV files of a command, and make sure that no two of them are the same file.

    Parameters
    ----------
    tables : iterable of (path, what, columns)
        A file is of the command's kind if its header has exactly these columns. A path is None if the user did not
        request this table.
    inputs : iterable of Path
        The files that the command reads.
    earlier : iterable of columns
        Those of tables of earlier versions, which may be replaced too.

    Raises
    ------
    UsageError
        As :func:`check_output`.
    """
    taken, older = list(inputs), [",".join(columns).encode() for columns in earlier]
    for path, what, columns in tables:
        if path is not None:
            check_output(path, what, partial(_has_header, [",".join(columns).encode(), *older]), taken)
            taken.append(path)


def _has_header(headers: Sequence[bytes], path: Path) -> bool:
    with path.open("rb") as file:
        line = file.readline(len(codecs.BOM_UTF8) + max(map(len, headers)) + 2)
    return line.removeprefix(codecs.BOM_UTF8).rstrip(b"\r\n") in headers


def check_folder(folder: Path) -> None:
    """Make sure, before the work begins, that a folder can be created and written to.

    Raises
    ------
    UsageError
        When it, or the place in which it would be created, is not a folder or may not be written to, or when its name
        is too long.
    """
    check_name(folder)
    there = next(place for place in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(place))
    if not there.is_dir():
        raise UsageError(f"{folder}: {there} is no folder, so nothing can be written there; name another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{folder}: {there} may not be written to; name another place, or change its permissions")


def check_name(path: Path) -> None:
    """Raise UsageError if a name in the path is longer than file systems allow, or the path is too long as a whole."""
    long = next((part for part in path.parts if len(os.fsencode(part)) > _LONGEST_NAME), None)
    if long is not None:
        got = f"{len(os.fsencode(long))} bytes long, at most {_LONGEST_NAME} are possible"
        raise UsageError(f"{long[:40]}…: this name is {got}; choose a shorter one")
    try:
        path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UsageError(
                f"{str(path)[:40]}…: the name is too long for its file system; choose a shorter one"
            ) from error
    except ValueError as error:  # a NUL
        raise UsageError(f"{str(path)!r:.60}: cannot be a file's name; choose another one") from error


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same file, also through another spelling, a symbolic link or a hard link."""
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return os.path.realpath(one) == os.path.realpath(other)
