"""Matrix products in compiled code, by the very BLAS that NumPy uses.

The same library and the same calls as in ``np.dot`` give the same bits, and there is one pool of
threads. numba's own ``np.dot`` takes that of SciPy, a second library with threads of its own, which
would fight with NumPy's for the processors.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

# How the functions of CBLAS are named in NumPy's wheels, in Apple's Accelerate, in other builds
# with integers of 64 bits, and elsewhere. One of 32 bits is the lower half of the 64 passed.
_PATTERNS = ("scipy_cblas_{}64_", "cblas_{}$NEWLAPACK$ILP64", "cblas_{}64_", "cblas_{}")
_NAMES = ("sgemm", "dgemm", "sgemv", "dgemv", "sdot", "ddot")
# Constants of the CBLAS interface.
_ROWS, _AS_IT_IS, _TRANSPOSED = 101, 111, 112


# These are for compiled code, and for arrays in C order, of which out is none of the others.


def multiply(a: Array, b: Array, out: Array) -> None:
    """``out = a b``."""
    _product(_AS_IT_IS, _AS_IT_IS, a.shape[1], a, b, out)


def multiply_at(a: Array, b: Array, out: Array) -> None:
    """``out = aᵀ b``."""
    _product(_TRANSPOSED, _AS_IT_IS, a.shape[0], a, b, out)


def multiply_bt(a: Array, b: Array, out: Array) -> None:
    """``out = a bᵀ``."""
    _product(_AS_IT_IS, _TRANSPOSED, a.shape[1], a, b, out)


def _product(a_is: int, b_is: int, inner: int, a: Array, b: Array, out: Array) -> None:
    """Choose the function as NumPy does, for the sake of the bits.

    It is that for a number, for two matrices, for a matrix and a vector, or for two vectors.
    """
    rows, columns = out.shape
    if a.size == 1 or b.size == 1:
        _scale(a, b, out)
    elif rows > 1 and columns > 1:
        _gemm(a_is, b_is, inner, a, b, out)
    elif rows > 1:
        _gemv(a_is, a, b, out)
    elif columns > 1:  # as the product of bᵀ and a
        _gemv(_TRANSPOSED if b_is == _AS_IT_IS else _AS_IT_IS, b, a, out)
    else:
        out[0, 0] = _dot(a, b)


def _scale(a: Array, b: Array, out: Array) -> None:
    """Multiply by an operand of one number; 0 makes 0 of infinity and NaN, too."""
    number, others = (a.flat[0], b) if a.size == 1 else (b.flat[0], a)
    for i in range(out.size):
        out.flat[i] = number * others.flat[i] if number != 0 else number * 0


def sum_rows(a: Array, ones: Array, out: Array) -> None:
    """``out = aᵀ ones``: the sum of the rows of a, for a vector of as many ones."""
    if a.shape[1] == 1:
        out[0] = _dot(ones, a)
    else:
        _gemv(_TRANSPOSED, a, ones, out)


# These three stand for the functions of BLAS in what is not compiled yet.


def _gemm(a_is: int, b_is: int, inner: int, a: Array, b: Array, out: Array) -> None: ...


def _gemv(a_is: int, a: Array, x: Array, out: Array) -> None: ...


def _dot(x: Array, y: Array) -> Any: ...


def addresses() -> dict[str, int]:
    """Return where the functions of NumPy's BLAS are in memory; empty if they are not found."""
    module = importlib.import_module("numpy._core._multiarray_umath")
    beside = Path(np.__file__).parent.parent / "numpy.libs"  # where Windows has the library alone
    for path in (getattr(module, "__file__", None), *sorted(beside.glob("*openblas*.dll"))):
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        for pattern in _PATTERNS:
            functions = [getattr(library, pattern.format(name), None) for name in _NAMES]
            if None not in functions and sys.byteorder == "little" and _multiplies(functions[0]):
                pointers = [ctypes.cast(f, ctypes.c_void_p) for f in functions]  # type: ignore
                return {n: p.value or 0 for n, p in zip(_NAMES, pointers, strict=True)}
    return {}


def _multiplies(sgemm: Any) -> bool:
    """Return whether the function does what is expected of it."""
    a, b, out = np.array([[1, 2, 3]], "f"), np.array([[4], [5], [6]], "f"), np.zeros((1, 1), "f")
    n, array, real = ctypes.c_int64, ctypes.c_void_p, ctypes.c_float
    sgemm.argtypes = (n, n, n, n, n, n, real, array, n, array, n, real, array, n)
    sgemm.restype = None
    at = [x.ctypes.data for x in (a, b, out)]
    sgemm(_ROWS, _AS_IT_IS, _AS_IT_IS, 1, 1, 3, 1, at[0], 3, at[1], 1, 0, at[2], 1)
    return bool(out[0, 0] == 32)


def compiled_products(compiled: Callable[..., Any]) -> bool:
    """Let compiled code call the products above; return whether there is a BLAS for them.

    Args:
        compiled: compiles a function.
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

    def of(array: Any, name: str) -> Any:
        return functions[("s" if array.dtype == types.float32 else "d") + name]

    @overload(_gemm)  # type: ignore[untyped-decorator]
    def _(a_is: Any, b_is: Any, inner: Any, a: Any, b: Any, out: Any) -> Any:
        gemm = of(out, "gemm")

        def call(a_is: Any, b_is: Any, inner: Any, a: Any, b: Any, out: Any) -> Any:
            (m, n), lda, ldb = out.shape, a.shape[1], b.shape[1]
            one, zero = out.dtype.type(1), out.dtype.type(0)
            gemm(
                _ROWS, a_is, b_is, m, n, inner,
                one, a.ctypes, lda, b.ctypes, ldb, zero, out.ctypes, n,
            )  # fmt: skip

        return call

    @overload(_gemv)  # type: ignore[untyped-decorator]
    def _(a_is: Any, a: Any, x: Any, out: Any) -> Any:
        gemv = of(out, "gemv")

        def call(a_is: Any, a: Any, x: Any, out: Any) -> Any:
            m, n = a.shape
            one, zero = out.dtype.type(1), out.dtype.type(0)
            gemv(_ROWS, a_is, m, n, one, a.ctypes, n, x.ctypes, 1, zero, out.ctypes, 1)

        return call

    @overload(_dot)  # type: ignore[untyped-decorator]
    def _(x: Any, y: Any) -> Any:
        dot = of(x, "dot")

        def call(x: Any, y: Any) -> Any:
            return dot(x.size, x.ctypes, 1, y.ctypes, 1)

        return call

    for function in (_scale, _product, multiply, multiply_at, multiply_bt, sum_rows):
        globals()[function.__name__] = compiled(function)
    return True
