"""Reading the pickles in which MANO, HO-3D and HIC are shipped, without running what is in them.

A pickle is a program that may call anything. Here it may name only what those files are made of:
NumPy arrays, dtypes and scalars, SciPy's csc and csr matrices, chumpy's `Ch` and `Select`, sets.
Even these are never made: each name stands for an inert class of this module that notes down what
the pickle says, and `numpy.frombuffer` builds the arrays afterwards. So nothing of NumPy, SciPy or
chumpy (which need not be installed) sees the file's own words. Anything else is refused by name.
"""

import io
import math
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np

MAX_FILE_BYTES = 256_000_000
"""No such file is larger: MANO's have 4 MB, a frame's annotations some kB."""

_MAX_VALUES = 50_000_000
"""Largest dense array that a sparse matrix may become."""

_DTYPE_KINDS = "biuf"
"""Booleans and numbers. Objects, records and texts are refused."""


class _RefusedError(Exception):
    """The pickle asks for something that no such file needs."""


def read_restricted_pickle(path: str | os.PathLike) -> Any:
    """The content of a pickle of numbers, as plain Python values and NumPy arrays.

    Sparse matrices come back dense, chumpy's arrays as the values they stand for. Texts of Python 2
    are read as Latin-1.

    Raises:
      ValueError: one line that names the file: it cannot be read, is no whole pickle, or asks for
        anything but numbers; then the line says for what.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"{path}: larger than {MAX_FILE_BYTES // 10**6} MB, so no such file")
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return _Plain()(_NumbersUnpickler(io.BytesIO(content), encoding="latin1").load())
    except _RefusedError as error:
        raise ValueError(f"{path}: refused: {error}") from error
    # Whatever a broken pickle makes the interpreter of its opcodes raise.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: not a readable pickle of numbers ({reason})") from error


class _NumbersUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy._core", "numpy.core").replace("__builtin__", "builtins")
        for kind in ("csc", "csr"):
            module = module.replace(f"scipy.sparse._{kind}", f"scipy.sparse.{kind}")
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise _RefusedError(f"it asks for {module}.{name}, which is no array") from None

    def persistent_load(self, pid: Any) -> Any:
        raise _RefusedError("it refers to something outside the file")


class _Stub:
    """What the pickle makes instead of the class it names."""

    def __new__(cls, *arguments: Any) -> "_Stub":
        stub = object.__new__(cls)
        stub.arguments, stub.state = arguments, None
        return stub

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def value(self, plain: "_Plain") -> Any:
        raise _RefusedError("it names a class where an array should be")


class _DType(_Stub):
    def value(self, plain: "_Plain") -> np.dtype:
        code = self.arguments[0]
        order = "=" if self.state is None else self.state[1]
        if type(code) is not str or code[:1] not in _DTYPE_KINDS or not code[1:].isdigit():
            raise _RefusedError(f"it holds values of type {code!r}, which are no numbers")
        return np.dtype(code).newbyteorder({"<": "<", ">": ">"}.get(order, "="))


class _Array(_Stub):
    """Of `_reconstruct` and a state: (version, shape, dtype, is Fortran-ordered, bytes)."""

    def value(self, plain: "_Plain") -> np.ndarray:
        if not isinstance(self.state, tuple) or len(self.state) != 5:
            raise _RefusedError("it holds an array without values")
        _, shape, dtype, is_fortran, content = self.state
        return _array(plain, content, dtype, shape, "F" if is_fortran else "C")


class _Buffer(_Stub):
    """Arrays as pickle protocol 5 has them: (bytes, dtype, shape, order)."""

    def value(self, plain: "_Plain") -> np.ndarray:
        content, dtype, shape, order = self.arguments
        return _array(plain, content, dtype, shape, "F" if order == "F" else "C")


class _Scalar(_Stub):
    def value(self, plain: "_Plain") -> Any:
        dtype, content = self.arguments
        return _array(plain, content, dtype, (), "C")[()]


class _Bytes(_Stub):
    """Bytes as protocol 2 has them: a text to encode, or nothing."""

    def value(self, plain: "_Plain") -> bytes:
        text, encoding = self.arguments or ("", "latin1")
        if encoding != "latin1":
            raise _RefusedError(f"it encodes a text as {encoding!r}")
        return text.encode("latin1")


class _Sparse(_Stub):
    """A csc or csr matrix: made dense here, since SciPy trusts the indices it is given."""

    def value(self, plain: "_Plain") -> np.ndarray:
        state = {str(name).lstrip("_"): plain(value) for name, value in self.state.items()}
        rows, columns = (int(length) for length in state["shape"])
        by_column = self.is_csc
        num_lines, length = (columns, rows) if by_column else (rows, columns)
        starts, indices, data = state["indptr"], state["indices"], state["data"]
        counts = np.diff(starts)
        if (
            not 0 < rows * columns <= _MAX_VALUES
            or starts.shape != (num_lines + 1,)
            or (counts < 0).any()
            or not counts.sum() == len(indices) == len(data)
            or (len(indices) and not 0 <= indices.min() <= indices.max() < length)
        ):
            raise _RefusedError("it holds a sparse matrix with wrong indices")
        dense = np.zeros((num_lines, length), data.dtype)
        np.add.at(dense, (np.repeat(np.arange(num_lines), counts), indices), data)
        return dense.T if by_column else dense

    is_csc = False


class _SparseByColumn(_Sparse):
    is_csc = True


class _Ch(_Stub):
    """chumpy's array: its values are `x`."""

    def value(self, plain: "_Plain") -> np.ndarray:
        return np.asarray(plain(self.state["x"]))


class _Select(_Stub):
    """chumpy's part of an array `a`: values by flat index, in a shape of their own."""

    def value(self, plain: "_Plain") -> np.ndarray:
        values = np.asarray(plain(self.state["a"])).ravel()
        chosen = values[np.asarray(plain(self.state["idxs"]))]
        return chosen.reshape(self.state.get("preferred_shape", chosen.shape))


class _Set(_Stub):
    def value(self, plain: "_Plain") -> list:
        return [plain(item) for item in (self.arguments[0] if self.arguments else ())]


class _NameOnly(_Stub):
    """`numpy.ndarray` and `object`, which these pickles name but never make."""


class _Rebuilt(_Stub):
    """An object by copyreg's old way: the class comes first."""

    def __new__(cls, *arguments: Any) -> _Stub:
        wanted = arguments[0] if arguments else None
        if not (isinstance(wanted, type) and issubclass(wanted, _Ch | _Select | _Sparse)):
            raise _RefusedError("it rebuilds an object of another class than an array's")
        return wanted()


_KNOWN = {
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): _NameOnly,
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _Scalar,
    ("numpy.core.numeric", "_frombuffer"): _Buffer,
    ("scipy.sparse.csc", "csc_matrix"): _SparseByColumn,
    ("scipy.sparse.csr", "csr_matrix"): _Sparse,
    ("chumpy.ch", "Ch"): _Ch,
    ("chumpy.reordering", "Select"): _Select,
    ("_codecs", "encode"): _Bytes,
    ("builtins", "bytes"): _Bytes,
    ("builtins", "set"): _Set,
    ("builtins", "object"): _NameOnly,
    ("copy_reg", "_reconstructor"): _Rebuilt,
    ("copyreg", "_reconstructor"): _Rebuilt,
}


def _array(plain: "_Plain", content: Any, dtype: Any, shape: Any, order: str) -> np.ndarray:
    content, dtype = plain(content), plain(dtype)
    if isinstance(content, str):  # bytes of Python 2
        content = content.encode("latin1")
    if not isinstance(dtype, np.dtype) or not isinstance(content, bytes | bytearray):
        raise _RefusedError("it holds an array of something else than numbers")
    if math.prod(shape) * dtype.itemsize != len(content):
        raise _RefusedError("it holds an array whose shape is not that of its values")
    values = np.frombuffer(content, dtype).reshape(shape, order=order)
    return values.astype(dtype.newbyteorder("="))


class _Plain:
    """Turns containers and stubs into what they stand for, each once however often it is named."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, Any]] = {}

    def __call__(self, value: Any) -> Any:
        if isinstance(value, type):
            raise _RefusedError("it names a class where an array should be")
        if not isinstance(value, _Stub | dict | list | tuple):
            return value
        if id(value) not in self._done:
            # The value is kept beside the result, so that its id stays its own.
            self._done[id(value)] = value, self._convert(value)
        return self._done[id(value)][1]

    def _convert(self, value: Any) -> Any:
        if isinstance(value, _Stub):
            return value.value(self)
        if isinstance(value, dict):
            return {self(key): self(item) for key, item in value.items()}
        return type(value)(self(item) for item in value)
