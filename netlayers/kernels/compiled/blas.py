"""Matrix products in compiled code, with the BLAS library that NumPy uses.

Calling the same library in the same way as ``np.dot`` gives bitwise identical results with a single
thread pool. numba's own ``np.dot`` uses SciPy's BLAS, a second library whose threads would compete
with NumPy's.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.kernels.threads import numpy_libraries

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# Names of the CBLAS functions in NumPy's wheels, in Apple's Accelerate, in other builds with 64-bit
# integers, and elsewhere. A 32-bit integer is the lower half of the 64 bits passed.
_PATTERNS = ("scipy_cblas_{}64_", "cblas_{}$NEWLAPACK$ILP64", "cblas_{}64_", "cblas_{}")
_NAMES = ("sgemm", "dgemm", "sgemv", "dgemv", "sdot", "ddot")
# Constants of the CBLAS interface.
_ROW_MAJOR, _NO_TRANS, _TRANS = 101, 111, 112


# These functions are called from compiled code, with C-contiguous arrays; out must not alias them.


def multiply(a: Array, b: Array, out: Array) -> None:
    """``out = a b``."""
    _product(_NO_TRANS, _NO_TRANS, a.shape[1], a, b, out)


def multiply_at(a: Array, b: Array, out: Array) -> None:
    """``out = aᵀ b``."""
    _product(_TRANS, _NO_TRANS, a.shape[0], a, b, out)


def multiply_bt(a: Array, b: Array, out: Array) -> None:
    """``out = a bᵀ``."""
    _product(_NO_TRANS, _TRANS, a.shape[1], a, b, out)


def _product(a_trans: int, b_trans: int, inner: int, a: Array, b: Array, out: Array) -> None:
    """Choose the function as NumPy does, for bitwise equal results.

    That is scaling by a scalar, gemm, gemv or dot.
    """
    rows, columns = out.shape
    if a.size == 1 or b.size == 1:
        _scale(a, b, out)
    elif rows > 1 and columns > 1:
        _gemm(a_trans, b_trans, inner, a, b, out)
    elif rows > 1:
        _gemv(a_trans, a, b, out)
    elif columns > 1:  # computed as bᵀ a
        _gemv(_TRANS if b_trans == _NO_TRANS else _NO_TRANS, b, a, out)
    else:
        out[0, 0] = _dot(a, b)


def _scale(a: Array, b: Array, out: Array) -> None:
    """Multiply by an operand with one entry; 0 times infinity or NaN is 0."""
    scalar, array = (a.flat[0], b) if a.size == 1 else (b.flat[0], a)
    for i in range(out.size):
        out.flat[i] = scalar * array.flat[i] if scalar != 0 else scalar * 0


def sum_rows(a: Array, ones: Array, out: Array) -> None:
    """``out = aᵀ ones``: the sum of the rows of a."""
    if a.shape[1] == 1:
        out[0] = _dot(ones, a)
    else:
        _gemv(_TRANS, a, ones, out)


# Placeholders for the BLAS functions, which compiled code overloads.


def _gemm(a_trans: int, b_trans: int, inner: int, a: Array, b: Array, out: Array) -> None: ...


def _gemv(a_trans: int, a: Array, x: Array, out: Array) -> None: ...


def _dot(x: Array, y: Array) -> Any: ...


def addresses() -> dict[str, int]:
    """Return the addresses of the functions of NumPy's BLAS; empty if they are not found."""
    for library in numpy_libraries():
        for pattern in _PATTERNS:
            functions = [getattr(library, pattern.format(name), None) for name in _NAMES]
            if None not in functions and sys.byteorder == "little" and _is_sgemm(functions[0]):
                pointers = [ctypes.cast(f, ctypes.c_void_p) for f in functions]  # type: ignore
                return {n: p.value or 0 for n, p in zip(_NAMES, pointers, strict=True)}
    return {}


def _is_sgemm(sgemm: Any) -> bool:
    """Return whether the function computes a matrix product correctly."""
    a, b, out = np.array([[1, 2, 3]], "f"), np.array([[4], [5], [6]], "f"), np.zeros((1, 1), "f")
    n, array, real = ctypes.c_int64, ctypes.c_void_p, ctypes.c_float
    sgemm.argtypes = (n, n, n, n, n, n, real, array, n, array, n, real, array, n)
    sgemm.restype = None
    at = [x.ctypes.data for x in (a, b, out)]
    sgemm(_ROW_MAJOR, _NO_TRANS, _NO_TRANS, 1, 1, 3, 1, at[0], 3, at[1], 1, 0, at[2], 1)
    return bool(out[0, 0] == 32)


def compiled_products(compiled: Callable[..., Any]) -> bool:
    """Enable the products above in compiled code; return whether a BLAS was found.

    Args:
        compiled: function that compiles another.
    """
    found = addresses()
    if not found:
        return False
    symbols = importlib.import_module("llvmlite.binding")
    types: Any = importlib.import_module("numba").types
    overload = importlib.import_module("numba.extending").overload
    n, array = types.int64, types.voidptr
    functions: dict[str, Any] = {}
    for name, address in found.items():
        symbols.add_symbol(f"netlayers_{name}", address)
        real = types.float32 if name[0] == "s" else types.float64
        signature = {
            "gemm": types.void(n, n, n, n, n, n, real, array, n, array, n, real, array, n),
            "gemv": types.void(n, n, n, n, real, array, n, array, n, real, array, n),
            "dot": real(n, array, n, array, n),
        }[name[1:]]
        functions[name] = types.ExternalFunction(f"netlayers_{name}", signature)

    def blas_function(array: Any, name: str) -> Any:
        return functions[("s" if array.dtype == types.float32 else "d") + name]

    @overload(_gemm)  # type: ignore[untyped-decorator]
    def _(a_trans: Any, b_trans: Any, inner: Any, a: Any, b: Any, out: Any) -> Any:
        gemm = blas_function(out, "gemm")

        def call(a_trans: Any, b_trans: Any, inner: Any, a: Any, b: Any, out: Any) -> Any:
            (m, n), lda, ldb = out.shape, a.shape[1], b.shape[1]
            one, zero = out.dtype.type(1), out.dtype.type(0)
            gemm(
                _ROW_MAJOR, a_trans, b_trans, m, n, inner,
                one, a.ctypes, lda, b.ctypes, ldb, zero, out.ctypes, n,
            )  # fmt: skip

        return call

    @overload(_gemv)  # type: ignore[untyped-decorator]
    def _(a_trans: Any, a: Any, x: Any, out: Any) -> Any:
        gemv = blas_function(out, "gemv")

        def call(a_trans: Any, a: Any, x: Any, out: Any) -> Any:
            m, n = a.shape
            one, zero = out.dtype.type(1), out.dtype.type(0)
            gemv(_ROW_MAJOR, a_trans, m, n, one, a.ctypes, n, x.ctypes, 1, zero, out.ctypes, 1)

        return call

    @overload(_dot)  # type: ignore[untyped-decorator]
    def _(x: Any, y: Any) -> Any:
        dot = blas_function(x, "dot")

        def call(x: Any, y: Any) -> Any:
            return dot(x.size, x.ctypes, 1, y.ctypes, 1)

        return call

    for function in (_scale, _product, multiply, multiply_at, multiply_bt, sum_rows):
        globals()[function.__name__] = compiled(function)
    return True
