"""Rows that get the same bits alone, in any batch, and on any number of BLAS threads.

A matrix product of BLAS rounds a row according to the number of rows, its place among them, and the
number of threads. Inside :func:`exactly`, the operations of inference avoid this: products are
computed in small blocks of a fixed size, sums of rows without BLAS. It takes about twice the time
of a large product. Elementwise functions do not depend on other rows anyway.
"""

from __future__ import annotations

import functools
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers._typing import Array

    Result = TypeVar("Result")

# Threads in which computation is exact. The set is empty otherwise, so that ``EXACT and
# is_exact()`` costs nothing measurable.
EXACT: set[int] = set()

# A block of 8 rows is computed by one kind of inner loop of OpenBLAS; 12 or 16 rows are not.
_ROWS = 8
# Part of the matrix that blocks are multiplied with. OpenBLAS computes products of up to 262,144
# multiplications in one thread, and with up to 256 terms in one sum.
_TERMS, _COLUMNS = 256, 128
# OpenBLAS computes scalar products of more than 10,000 entries in several threads.
_LONGEST = 8192


def is_exact() -> bool:
    """Return whether this thread computes exactly."""
    return get_ident() in EXACT


def exactly(function: Callable[..., Result]) -> Callable[..., Result]:
    """Return the function with its rows computed exactly in the thread that calls it."""

    @functools.wraps(function)
    def compute(*args: Any, **options: Any) -> Result:
        thread = get_ident()
        if thread in EXACT:
            return function(*args, **options)
        EXACT.add(thread)
        try:
            return function(*args, **options)
        finally:
            EXACT.discard(thread)

    return compute


def product(x: Array, w: Array, out: Array) -> None:
    """``out = x w`` for matrices; each row of ``out`` depends only on its row of ``x`` and w.

    ``out`` must be C-contiguous.
    """
    whole = len(x) - len(x) % _ROWS
    _blocks_product(_in_blocks(x[:whole]), w, _in_blocks(out[:whole]))
    if rest := len(x) - whole:
        block = np.zeros((_ROWS, x.shape[1]), x.dtype)
        block[:rest] = x[whole:]
        result = np.empty((_ROWS, w.shape[1]), out.dtype)
        _blocks_product(_in_blocks(block), w, _in_blocks(result))
        out[whole:] = result[:rest]


def multiply(x: Array, w: Array, out: Array) -> None:
    """``out = x w`` for matrices, exactly where that is asked for."""
    if EXACT and is_exact():
        product(x, w, out)
    else:
        np.matmul(x, w, out=out)


def _in_blocks(x: Array) -> Array:
    return x.reshape(-1, _ROWS, x.shape[1])


def _blocks_product(x: Array, w: Array, out: Array) -> None:
    """``out = x w`` for x of shape (blocks, rows, terms), part of w by part."""
    for columns in _slices(w.shape[1], _COLUMNS):
        first, *others = _slices(w.shape[0], _TERMS)
        total = out[..., columns]
        multiply = np.matmul if total.shape[-1] > 1 else _one_column
        multiply(x[..., first], w[first, columns], out=total)
        for terms in others:
            total += multiply(x[..., terms], w[terms, columns])


def _one_column(x: Array, w: Array, out: Array | None = None) -> Array:
    """``out = x w`` for one column, a scalar product per row: gemv may treat rows differently."""
    return np.vecdot(x[..., None, :], w.T, out=out)


def _slices(size: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def inner(a: Array, b: Array) -> float:
    """Return ``Σ a b`` of two vectors."""
    if EXACT and is_exact():
        return float(np.add.reduce(a * b))
    return float(np.dot(a, b))


def row_dots(a: Array, b: Array) -> Array:
    """Return ``Σ a b`` of each row of two arrays (n, ..., k)."""
    if not (EXACT and is_exact()):
        return np.vecdot(a, b)
    first, *others = _slices(a.shape[-1], _LONGEST)
    total = np.vecdot(a[..., first], b[..., first])
    for part in others:
        total = total + np.vecdot(a[..., part], b[..., part])
    return total
