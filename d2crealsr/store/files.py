"""Files that are complete or absent, and their hashes (ADR 9)."""

from __future__ import annotations

import codecs
import contextlib
import errno
import functools
import hashlib
import json
import os
import re
import secrets
import socket
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from d2crealsr.errors import MachineError

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

__all__ = [
    "TEMPORARY_PREFIX",
    "UTF_16_MARKS",
    "atomic_path",
    "cannot_write",
    "flush_to_disk",
    "link_file",
    "open_files_limit",
    "open_regular",
    "read_bytes",
    "read_json",
    "read_list_text",
    "read_text",
    "remove_abandoned",
    "remove_leftovers",
    "reserve",
    "sha256_of",
    "write_bytes",
    "write_text",
]

_Kind = TypeVar("_Kind")

TEMPORARY_PREFIX = ".tmp-"
"""Prefix of files that are being written. If no command is running, such a file is a leftover."""
UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""How a text file in UTF-16 begins, such as one that PowerShell wrote."""

_LONGEST_ENDING = 16
"""Most characters of an ending that a temporary file takes over, so that its name is never longer than the final one
may be."""


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path to write to, beside ``path``. It replaces ``path`` when the block ends without an error.

    The content is flushed to the disk before the file is renamed, and the new name is flushed before the block ends. A
    file that is written later can therefore not survive a power failure without this one.

    Raises
    ------
    MachineError
        When the disk cannot store the file, even if this happens within the block. ``path`` then stays unchanged.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ending = path.suffix if len(path.suffix) <= _LONGEST_ENDING else ""
        handle, name = tempfile.mkstemp(prefix=f"{_own_prefix()}{os.getpid()}-", suffix=ending, dir=path.parent)
        temporary = Path(name)
        os.close(handle)
        yield temporary
        with temporary.open("rb+") as file:
            flush_to_disk(file.fileno())
        with contextlib.suppress(OSError):  # some file systems have no permissions
            temporary.chmod(0o666 & ~_umask())
        _replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


_LACKING = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What file systems answer that do not know an operation."""

_IN_THE_WAY = {*_LACKING, errno.EPERM, errno.EACCES, errno.EEXIST, errno.EXDEV, errno.EBUSY}


def flush_to_disk(handle: int) -> None:
    """Flush an open file to its disk, as far as its file system can. Raises OSError when the disk fails."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _LACKING:
            raise


def reserve(handle: int, size: int) -> None:
    """Make room for an open file, so that a full disk is an error now and not a signal when the file is written later.

    Raises
    ------
    OSError
        When the disk has no room for it.
    """
    try:
        os.posix_fallocate(handle, 0, size)
    except (AttributeError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _LACKING:
            raise
        zeros = bytes(1 << 20)
        for start in range(os.fstat(handle).st_size, size, len(zeros)):
            os.pwrite(handle, zeros[: size - start], start)


def _replace(temporary: Path, path: Path) -> None:
    """Give a finished file its name, in place of the former one. Raises MachineError if that is not possible."""
    try:
        temporary.replace(path)
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
        raise MachineError(
            f"{path}: cannot be replaced by a finished file ({error.strerror}); its permissions or its file system do "
            "not allow it: correct them, or choose a folder on another disk"
        ) from error


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def cannot_write(path: Path, error: OSError) -> MachineError:
    """The error to raise when the disk cannot store ``path``."""
    return MachineError(
        f"{path}: cannot be written ({error.strerror or error}); make room or check permissions, then run it again"
    )


@functools.cache
def _own_prefix() -> str:
    """The beginning of temporary names that this machine gives, or this container, where processes have own numbers."""
    namespace = ""
    with contextlib.suppress(OSError):
        namespace = str(os.stat("/proc/self/ns/pid").st_ino)  # noqa: PTH116
    return TEMPORARY_PREFIX + hashlib.sha256(f"{socket.gethostname()} {namespace}".encode()).hexdigest()[:6] + "-"


def remove_abandoned(folder: Path) -> None:
    """Remove files that killed processes of this machine were writing in a folder. No lock is needed.

    Files of running processes, and of other machines that share the folder, stay. What cannot be removed stays as well.
    """
    named = re.compile(re.escape(_own_prefix()) + r"(\d+)-[a-z0-9_]{8}(\.\w+)?")
    for path in folder.glob(f"{_own_prefix()}*"):
        match = named.fullmatch(path.name)
        if match and not path.is_symlink() and path.is_file() and not _is_running(int(match[1])):
            with contextlib.suppress(OSError):
                path.unlink()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return True


def remove_leftovers(*folders: Path) -> None:
    """Remove files that killed runs were writing in these folders. The caller must hold the lock of the folders.

    Raises
    ------
    MachineError
        When a file cannot be removed.
    """
    for folder in folders:
        for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
            if path.is_dir() and not path.is_symlink():  # none of ours
                continue
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise cannot_write(path, error) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` so that ``path`` contains either all of it or its former content. Raises MachineError."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with line ends ``\\n``, completely or not at all. Raises MachineError.

    A byte of a file name that is not UTF-8 becomes the escape ``\\udcff``, which JSON reads back as that byte.
    """
    write_bytes(path, text.encode(errors="backslashreplace"))


def link_file(source: Path, path: Path, *, symbolic: bool) -> None:
    """Make ``path`` a hard or symbolic link to ``source``, in place of what it was, in a single step.

    Raises
    ------
    MachineError
        When the file system does not allow it, as for hard links to another disk.
    """
    temporary = path.with_name(f"{_own_prefix()}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if symbolic:
            temporary.symlink_to(source)
        else:
            temporary.hardlink_to(source)
        try:
            temporary.replace(path)
        finally:  # a link to the same file as ``path`` is not renamed but stays
            temporary.unlink(missing_ok=True)
    except OSError as error:
        kind = "symbolic" if symbolic else "hard"
        raise MachineError(
            f"{path}: cannot be made a {kind} link to {source} ({error.strerror or error}); copy the files instead"
        ) from error


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file for reading, but only if it is a regular file.

    Pipes and devices are never opened: reading a pipe could wait forever, and a device may have no end. The file is
    checked before it is opened and again afterwards, because it may have been exchanged in between.

    Raises
    ------
    OSError
        As for ``open``. Also if the name leads to a pipe, a device, a socket or a folder; ``strerror`` says which.
    """
    try:
        _refuse_special(os.stat(path).st_mode, path)  # noqa: PTH116
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, "cannot be a file's name", repr(str(path))) from error
    try:
        _refuse_special(os.fstat(handle).st_mode, path)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


_SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}


def _refuse_special(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        kind = _SPECIAL.get(stat.S_IFMT(mode), "something else")
        number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        raise OSError(number, f"is {kind}, expected a file", str(path))


def read_bytes(path: Path) -> bytes:
    """The content of a regular file. Raises OSError as :func:`open_regular`."""
    with open_regular(path) as file:
        return file.read()


def read_text(path: Path, encoding: str = "utf-8") -> str:
    """The text of a regular file, line ends as they are. Raises OSError as :func:`open_regular`, UnicodeDecodeError."""
    return read_bytes(path).decode(encoding)


def read_list_text(path: Path) -> str:
    """As :func:`read_text`, for a list that a person made: UTF-8, or UTF-16 if a byte order mark says so."""
    data = read_bytes(path)
    return data.decode("utf-16" if data.startswith(UTF_16_MARKS) else "utf-8-sig")


def read_json(path: Path, kind: type[_Kind]) -> _Kind | None:
    """The content of a JSON file if it is of a kind, such as dict; None if it is another, damaged, or not there."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        content = json.loads(read_text(path, "utf-8-sig"))
        return content if isinstance(content, kind) else None
    return None


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content. Raises OSError as :func:`open_regular`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_files_limit() -> int | None:
    """How many files this process may open; None where the system states no limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if limit == resource.RLIM_INFINITY else int(limit)
