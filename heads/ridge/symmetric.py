"""Symmetric matrices by halves: the product x' x without its mirror image, and packed storage.

A packed matrix is its lower triangle column after column, LAPACK's packed format: d (d + 1) / 2 values.
"""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.linalg import blas

Real = NDArray[np.floating[Any]]


def packed_length(d: int) -> int:
    """Number of values of a packed (d, d) matrix."""
    return d * (d + 1) // 2


def packed_width(length: int) -> int:
    """The d of a packed matrix with this number of values."""
    return int(np.sqrt(2 * length))


def lower_product(x: Real, out: Real, add: bool = False) -> None:
    """Write the lower triangle of x' x; values above it do not change.

    Args:
        x: (n, d) float32 or float64, C-contiguous.
        out: (d, d) of the same dtype, Fortran-contiguous.
        add: whether to add the product to the values in `out`.
    """
    n, d = x.shape
    if x.dtype != out.dtype or out.shape != (d, d) or not (x.flags.c_contiguous and out.flags.f_contiguous):
        raise ValueError(f"the product of a {x.dtype} {x.shape} does not go into a {out.dtype} {out.shape}")
    if _SYRK is None:
        syrk = blas.ssyrk if x.dtype == np.float32 else blas.dsyrk
        syrk(1.0, x.T, beta=float(add), c=out, lower=1, overwrite_c=1)
        return
    kind = ctypes.c_float if x.dtype == np.float32 else ctypes.c_double
    # Rows of a C-contiguous x are columns of the Fortran matrix x', of which x' (x')' is taken.
    width, rows, one, beta = ctypes.c_int(d), ctypes.c_int(n), kind(1.0), kind(float(add))
    by = ctypes.byref
    _SYRK[x.dtype.char](b"L", b"N", by(width), by(rows), by(one), x.ctypes, by(width), by(beta), out.ctypes, by(width))


def add_lower(lower: Real, packed: Real) -> None:
    """Add the lower triangle of a Fortran-contiguous (d, d) to a packed matrix."""
    columns = lower.T  # row j of this view is column j of `lower`, and contiguous
    start = 0
    for column, length in enumerate(range(len(lower), 0, -1)):
        packed[start : start + length] += columns[column, column:]
        start += length


def add_packed(packed: Real, lower: Real, weight: float = 1.0, columns: slice = slice(None)) -> None:
    """Add a packed matrix, or the square of some of its columns, to a lower triangle.

    Args:
        packed: a packed (d, d) matrix.
        lower: (m, m), Fortran-contiguous, for m columns.
        weight: factor of the addend.
        columns: contiguous columns.
    """
    d = packed_width(len(packed))
    first, last, _ = columns.indices(d)
    target = lower.T
    for column in range(first, last):
        start = column * d - column * (column - 1) // 2  # index of this column's diagonal value
        piece = packed[start : start + last - column]
        target[column - first, column - first :] += piece if weight == 1.0 else weight * piece


def packed(lower: Real) -> NDArray[np.float32]:
    """The lower triangle of a (d, d) Cholesky factor, packed, in float32: leverage needs three digits only."""
    rows = np.empty(packed_length(len(lower)), dtype=np.float32)
    start = 0
    for column, length in enumerate(range(len(lower), 0, -1)):
        rows[start : start + length] = lower[column:, column]
        start += length
    return rows


def unpacked(factor: Real) -> Real:
    """A packed lower triangle as (d, d), with zeros above it."""
    lower = np.zeros((packed_width(len(factor)),) * 2, dtype=factor.dtype, order="F")
    add_packed(factor, lower)
    return lower


def mirror(lower: Real) -> Real:
    """Fill in the upper triangle from the lower one, in place."""
    d, block = len(lower), 256  # squares of a size that stays in the processor's cache
    for top in range(0, d, block):
        rows = slice(top, top + block)
        for left in range(0, top, block):
            columns = slice(left, left + block)
            lower[columns, rows] = lower[rows, columns].T
        square = np.tril(lower[rows, rows])
        lower[rows, rows] = square + np.tril(square, -1).T
    return lower


class Scratch:
    """Memory for products and factors, reused because a new matrix costs as much as half a factor."""

    def __init__(self) -> None:
        self._matrix: Real = np.empty((0, 0), order="F")

    def product(self, x: Real, add: bool = False) -> Real:
        """The lower triangle of x' x, for x (n, m), added to the last product if `add`; valid until the next call."""
        matrix = self.matrix(x.shape[-1], x.dtype)
        lower_product(np.ascontiguousarray(x), matrix, add)
        return matrix

    def matrix(self, width: int, dtype: DTypeLike) -> Real:
        """The matrix (width, width) with undefined values; valid until the next call."""
        if self._matrix.shape != (width, width) or self._matrix.dtype != dtype:
            self._matrix = np.empty((width, width), dtype, order="F")
        return self._matrix


def _routine(name: str, kind: Any) -> Any:
    """A BLAS routine as scipy offers it to Cython, called without Python's lock."""
    from scipy.linalg import cython_blas

    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    capsule = cython_blas.__pyx_capi__[name]
    integer, number = ctypes.POINTER(ctypes.c_int), ctypes.POINTER(kind)
    array = ctypes.c_void_p
    signature = [ctypes.c_char_p, ctypes.c_char_p, integer, integer, number, array, integer, number, array, integer]
    address = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    return ctypes.CFUNCTYPE(None, *signature)(address)


def _routines() -> dict[str, Any] | None:
    """Symmetric rank-k updates without Python's lock, or None if this scipy does not offer them.

    `scipy.linalg.blas` calls the same library, but holds the lock: no other thread could read features meanwhile.
    """
    try:
        return {"f": _routine("ssyrk", ctypes.c_float), "d": _routine("dsyrk", ctypes.c_double)}
    except (ImportError, AttributeError, KeyError, ValueError):
        return None


_SYRK = _routines()
