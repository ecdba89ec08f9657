"""Read a pickle of dictionaries of numpy arrays without running anything that it names.

A pickle is a program. This reader knows the few names that a dictionary of arrays needs and puts harmless recorders in
their place; numpy itself is not called until the recorded shape, type and bytes have been checked.
"""

from __future__ import annotations

import math
import pickle
import pickletools
from collections import OrderedDict
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from d2c.errors import CheckpointError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["read_arrays"]

_FLOATS = ("f2", "f4", "f8")
_MAX_BYTES = 1 << 30


class _DType:
    """Stands for ``numpy.dtype`` while reading."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        self.code = code
        self.order = "<"

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|", "="):
            self.order = "<" if state[1] in "|=" else state[1]

    def numpy(self) -> np.dtype[Any]:
        if self.code not in _FLOATS:
            raise CheckpointError(f"holds an array of type {self.code!r}, expected floating point numbers")
        kind: np.dtype[Any] = np.dtype(self.order + self.code)
        return kind


class _Array:
    """Stands for ``numpy.ndarray`` while reading: what ``_reconstruct`` and then ``__setstate__`` are told."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def numpy(self) -> NDArray[np.float32]:
        try:
            _, shape, dtype, fortran, data = self.state
            order = "F" if fortran else "C"
        except (TypeError, ValueError) as error:
            raise CheckpointError("holds an array without content") from error
        return _array(data, dtype, shape, order)


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> NDArray[np.float32]:
    if isinstance(data, str):
        data = data.encode("latin-1")
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if not isinstance(data, (bytes, bytearray)) or not isinstance(dtype, _DType) or order not in ("C", "F"):
        raise CheckpointError("holds an array that is not plain numbers")
    kind = dtype.numpy()
    if not all(isinstance(n, int) and n >= 0 for n in sizes) or math.prod(sizes) * kind.itemsize != len(data):
        raise CheckpointError(f"holds an array whose shape {sizes} does not fit its {len(data)} bytes")
    return np.frombuffer(data, kind).reshape(sizes, order=order).astype(np.float32)


class _FromBuffer(_Array):
    """An array as pickle protocol 5 writes it: buffer, dtype, shape, order."""

    def __init__(self, data: Any = None, dtype: Any = None, shape: Any = None, order: Any = "C", *_: Any) -> None:
        self.content = (bytes(data) if isinstance(data, (bytes, bytearray)) else data, dtype, shape, order)

    def numpy(self) -> NDArray[np.float32]:
        return _array(*self.content)


class _Encode:
    """Stands for ``codecs.encode``, which pickles of older protocols write bytes with. Has no state to be changed."""

    __slots__ = ()

    def __call__(self, text: Any = "", encoding: Any = "latin1") -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise CheckpointError("holds text where an array's bytes were expected")
        return text.encode("latin-1")


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _Encode(),
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _FromBuffer for core in ("core", "_core")},
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise CheckpointError(f"asks for {module}.{name}, which no dictionary of arrays needs; refused")
        return _KNOWN[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise CheckpointError("refers to objects outside the file; refused")


def read_arrays(file: IO[bytes], name: str) -> dict[str, dict[str, NDArray[np.float32]]]:
    """The dictionaries of arrays in a pickle, by their names; anything else in it is an error.

    Raises
    ------
    CheckpointError
        When the pickle asks for anything but dictionaries of floating point arrays, or is damaged.
    """
    size = file.seek(0, 2)
    file.seek(0)
    if size > _MAX_BYTES:
        raise CheckpointError(f"{name}: {size:,} bytes, at most {_MAX_BYTES:,} are read; is it the right file?")
    try:
        _check_memo(file, size)
        found = _Reader(file).load()
        return {str(part): _numbers(value) for part, value in _items(found)}
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise CheckpointError(f"{name}: is no whole pickle ({type(error).__name__})") from error


def _check_memo(file: IO[bytes], size: int) -> None:
    """Refuse places in the memo that no file of this size has use for: the list of places would fill the memory."""
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > size:
            raise CheckpointError("asks for more memory than the file can fill; refused")
    file.seek(0)


def _items(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, dict):
        raise CheckpointError(f"holds a {type(value).__name__} where a dictionary was expected")
    return list(value.items())


def _numbers(value: Any) -> dict[str, NDArray[np.float32]]:
    arrays = {}
    for key, array in _items(value):
        if not isinstance(array, _Array):
            raise CheckpointError(f"holds a {type(array).__name__} under {key!r} where an array was expected")
        arrays[str(key)] = array.numpy()
    return arrays
