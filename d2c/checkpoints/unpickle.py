"""Read a pickle with dictionaries of NumPy arrays without executing anything that it names.

A pickle is a program. This reader knows the few names that a dictionary of arrays needs, and replaces them by harmless
recorders. NumPy is not called before the recorded shape, type and bytes have been checked. No content of a pickle is
formatted, hashed or copied before its size is known, because a few hundred bytes can describe more than fits into any
memory, by referring to one object many times.
"""

from __future__ import annotations

import math
import pickle
import pickletools
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from d2c.errors import CheckpointError
from d2crealsr.ui.text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["read_arrays"]

_FLOATS = ("f2", "f4", "f8")
_REMEDY = "give the file that the authors released (a .safetensors file of d2c needs no conversion)"
_MAX_BYTES = 1 << 30
_MAX_DIMENSIONS = 8
_MAX_PARTS = 64
"""Most parts of a tuple, including those of nested tuples. The description of an array has about fifteen."""
_LONGEST_NAME = 1000


class _DType:
    """Replaces ``numpy.dtype`` while reading."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        self.code = code
        self.order = "<"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = "<" if state[1] in "|=" else state[1]

    def numpy(self) -> np.dtype[Any]:
        if self.code not in _FLOATS:
            said = self.code[:20] if isinstance(self.code, str) else type(self.code).__name__
            raise CheckpointError(f"holds an array of type {said!r}, expected floating point numbers")
        kind: np.dtype[Any] = np.dtype(self.order + self.code)
        return kind


class _Text:
    """Replaces the bytes that are encoded by a text. They are made together with their array."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class _Array:
    """Replaces ``numpy.ndarray`` while reading, and records the arguments of ``_reconstruct`` and ``__setstate__``."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def content(self) -> tuple[Any, Any, Any, Any]:
        """Bytes, type, shape and order."""
        try:
            _, shape, dtype, fortran, data = self.state
            return data, dtype, shape, "F" if fortran else "C"
        except (TypeError, ValueError) as error:
            raise CheckpointError("holds an array without content") from error


class _FromBuffer(_Array):
    """An array as written by pickle protocol 5: buffer, dtype, shape, order."""

    def __init__(self, data: Any = None, dtype: Any = None, shape: Any = None, order: Any = "C", *_: Any) -> None:
        self.state = (data, dtype, shape, order)

    def content(self) -> tuple[Any, Any, Any, Any]:
        data, dtype, shape, order = self.state
        return data, dtype, shape, order


class _Encode:
    """Replaces ``codecs.encode``, with which pickles of older protocols store bytes. It has no state."""

    __slots__ = ()

    def __call__(self, text: Any = "", encoding: Any = "latin1") -> _Text:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise CheckpointError("holds text where an array's bytes were expected")
        return _Text(text)


class _Ordered(dict[Any, Any]):
    """Stands for ``collections.OrderedDict``; what is in it comes piece by piece, not as a copy of something named."""

    __slots__ = ()

    def __init__(self, *content: Any) -> None:
        if content:
            raise CheckpointError("copies a dictionary; refused")

    def __setstate__(self, state: Any) -> None:
        raise CheckpointError("gives a dictionary a state; refused")


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _Ordered,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _Encode(),
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _FromBuffer for core in ("core", "_core")},
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            asked = plain(f"{module}.{name}")[:200]
            raise CheckpointError(f"asks for {asked}, which no dictionary of arrays needs; refused")
        return _KNOWN[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise CheckpointError("refers to objects outside the file; refused")


class _Numbers:
    """Converts recorded arrays to NumPy arrays. Each is copied once; together they may not exceed the file's size."""

    def __init__(self, file_size: int) -> None:
        self._left = file_size
        self._made: dict[int, NDArray[np.float32]] = {}

    def of(self, array: _Array) -> NDArray[np.float32]:
        if id(array) not in self._made:
            self._made[id(array)] = self._copied(*array.content())
        return self._made[id(array)]

    def _copied(self, data: Any, dtype: Any, shape: Any, order: Any) -> NDArray[np.float32]:
        data = data.text if isinstance(data, _Text) else data
        sizes = shape if isinstance(shape, tuple) else (shape,)
        if not isinstance(data, (bytes, bytearray, str)) or not isinstance(dtype, _DType) or order not in ("C", "F"):
            raise CheckpointError("holds an array that is not plain numbers")
        kind, length = dtype.numpy(), len(data)
        known = len(sizes) <= _MAX_DIMENSIONS and all(type(n) is int and 0 < n <= length for n in sizes)
        if not known or math.prod(sizes) * kind.itemsize != length:
            raise CheckpointError(f"holds an array whose shape does not fit its {length} bytes")
        self._left -= length
        if self._left < 0:
            raise CheckpointError("holds arrays that share their bytes and take more than the file itself; refused")
        content = data.encode("latin-1") if isinstance(data, str) else data
        return np.frombuffer(content, kind).reshape(sizes, order=order).astype(np.float32)


def read_arrays(file: IO[bytes], name: str) -> dict[str, dict[str, NDArray[np.float32]]]:
    """The dictionaries of arrays in a pickle, by their names.

    Raises
    ------
    CheckpointError
        When the pickle contains anything but dictionaries of floating-point arrays, or is damaged.
    """
    size = file.seek(0, 2)
    file.seek(0)
    if size > _MAX_BYTES:
        raise CheckpointError(f"{name}: {size:,} bytes, at most {_MAX_BYTES:,} are read; is it the right file?")
    try:
        _check_program(file, size)
        numbers = _Numbers(size)
        return {part: _arrays(value, numbers) for part, value in _items(_Reader(file).load())}
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from error
    except Exception as error:  # a damaged pickle can raise almost anything
        raise CheckpointError(f"{name}: is not a complete pickle ({type(error).__name__}); {_REMEDY}") from error


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise CheckpointError(f"holds a {type(value).__name__} where a dictionary was expected")
    for key, item in value.items():
        if not isinstance(key, str) or len(key) > _LONGEST_NAME:
            raise CheckpointError(f"holds a {type(key).__name__} where a name was expected")
        yield key, item


def _arrays(value: Any, numbers: _Numbers) -> dict[str, NDArray[np.float32]]:
    arrays = {}
    for key, array in _items(value):
        if not isinstance(array, _Array):
            raise CheckpointError(f"holds a {type(array).__name__} under {key[:80]!r} where an array was expected")
        arrays[key] = numbers.of(array)
    return arrays


def _check_program(file: IO[bytes], size: int) -> None:
    """Check the instructions of a pickle without executing them, and refuse those that need more than its size.

    There are two kinds: very large indices in the memo, whose list would fill the memory; and nested tuples by
    reference, whose hash or text needs time and memory that double with every level. For each object on the stack the
    number of its parts is recorded. Dictionaries, lists and other objects count as one, because they are never hashed
    or shown.
    """
    stack: list[int] = []
    marks: list[int] = []
    memo: dict[int, int] = {}
    for opcode, argument, _ in pickletools.genops(file):
        name = opcode.name
        if name in ("PUT", "BINPUT", "LONG_BINPUT"):
            if int(argument or 0) > size:
                raise CheckpointError("asks for more memory than the file can fill; refused")
            memo[int(argument or 0)] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[int(argument or 0)])
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "DUP":
            stack.append(stack[-1])
        else:
            _apply(opcode, stack, marks)
        if stack and stack[-1] > _MAX_PARTS:
            raise CheckpointError("holds tuples of more parts than an array's description has; refused")
    file.seek(0)


def _apply(opcode: pickletools.OpcodeInfo, stack: list[int], marks: list[int]) -> None:
    """Apply an instruction to the stack, on which each object is represented by its number of parts."""
    before, after = opcode.stack_before, opcode.stack_after
    taken: list[int] = []
    if pickletools.markobject in before:
        start = marks.pop()
        taken = stack[start:]
        del stack[start:]
        before = before[: before.index(pickletools.markobject)]
    if opcode.name == "POP" and marks and marks[-1] == len(stack):
        marks.pop()  # Python's own reader accepts a mark as an object here
        return
    if len(before) > len(stack):
        raise CheckpointError("takes more from its stack than is there")
    if before:
        taken = stack[-len(before) :] + taken
        del stack[-len(before) :]
    parts = 1 + sum(taken) if opcode.name in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET") else 1
    stack.extend(parts for _ in after)
