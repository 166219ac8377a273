"""Checks of a user's data, piece by piece: nothing as large as the data is ever allocated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.arrays import all_finite, as_array, check_finite
from netlayers.core.sparse import as_csr, is_sparse
from netlayers.errors import DataError

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype

_CHUNK = 1 << 20


def check_values(owner: str, argument: str, values: Array, dtype: Dtype) -> None:
    """Check, piece by piece, that all values are finite and stay so in ``dtype``.

    Raises:
        DataError: with the number of the first bad row.
    """
    narrowed = values.dtype.kind == "f" and values.dtype.itemsize > dtype.itemsize
    if not narrowed:
        check_finite(owner, argument, values)
        return
    rows = max(1, _CHUNK // max(1, values[:1].size))
    for start in range(0, len(values), rows):
        with np.errstate(over="ignore", invalid="ignore"):
            block = values[start : start + rows].astype(dtype)
        if all_finite(block):
            continue
        check_finite(owner, argument, values)
        raise DataError(
            f"{owner}: {argument} holds numbers too large for {dtype} (above "
            f"{np.finfo(dtype).max:.2g}), the first of them within rows {start} to "
            f"{start + len(block)}. Scale the data, or make the model with dtype='float64'."
        )


def checked_input(owner: str, x: Any, dtype: Dtype) -> Array:
    """Return x as an array with at least one axis, of finite numbers.

    Raises:
        DataError: it is not.
    """
    x = as_array(owner, "x", x)
    if x.ndim == 0:
        raise DataError(f"{owner}: x must have the shape (batch, ...), got the single number {x}.")
    check_values(owner, "x", x, dtype)
    return x


def checked_input_or_csr(owner: str, x: Any, dtype: Dtype) -> Any:
    """Return x as :func:`checked_input` does, or a sparse x as a checked CSR matrix.

    Raises:
        DataError, ShapeError: it is not well-formed, or its numbers are not finite in ``dtype``.
    """
    if not is_sparse(x):
        return checked_input(owner, x, dtype)
    x = as_csr(owner, x)
    rows, columns = x.shape
    starts, entries = x.indptr, int(x.indptr[-1]) if len(x.indptr) else 0
    # The routines of SciPy trust these numbers, and would read memory that is not the matrix's.
    broken = (
        len(starts) != rows + 1
        or starts[0] != 0
        or bool((starts[1:] < starts[:-1]).any())
        or not entries <= min(len(x.indices), len(x.data))
        or (entries and not 0 <= x.indices[:entries].min() <= x.indices[:entries].max() < columns)
    )
    if broken:
        raise DataError(
            f"{owner}: the sparse matrix x of shape {x.shape} is not well-formed: its indptr or "
            "indices point outside of it. x.check_format() of SciPy says more."
        )
    try:
        check_values(owner, "x", x.data[:entries], dtype)
    except DataError:
        raise _named_entry(owner, x, dtype) from None
    return x


def _named_entry(owner: str, x: Any, dtype: Dtype) -> DataError:
    """Return the error for the first entry of a CSR matrix that is not finite in ``dtype``."""
    with np.errstate(over="ignore", invalid="ignore"):
        entry = int(np.flatnonzero(~np.isfinite(x.data.astype(dtype)))[0])
    row = int(np.searchsorted(x.indptr, entry, side="right")) - 1
    value = x.data[entry]
    what = "NaN" if np.isnan(value) else "an infinite number"
    if np.isfinite(value):
        what = f"a number too large for {dtype} ({value:.2g})"
    return DataError(
        f"{owner}: the sparse matrix x contains {what}; the first such row is row {row} (column "
        f"{x.indices[entry]}). Remove such rows, or mend the entries in x.data."
    )


def checked_rows(owner: str, x: Any, dtype: Dtype, **others: Any) -> dict[str, Array]:
    """Return the other arrays, each with as many rows as x.

    Raises:
        DataError: x has no rows, the numbers of rows differ, or numbers are not finite in dtype.
    """
    rows = x.shape[0]
    if rows == 0:
        raise DataError(f"{owner}: x is empty (shape {x.shape}); there is nothing to learn from.")
    arrays: dict[str, Array] = {}
    fits = True
    for name, value in others.items():  # plain loops: this is part of every train_on_batch
        if value is not None:
            arrays[name] = array = as_array(owner, name, value)
            fits = fits and array.ndim > 0 and len(array) == rows
    if not fits:
        sizes = {"x": rows, **{name: len(a) if a.ndim else None for name, a in arrays.items()}}
        listed = ", ".join(
            f"{name} has {'no rows' if n is None else f'{n} rows'}" for name, n in sizes.items()
        )
        raise DataError(
            f"{owner}: Data cardinality is ambiguous: {listed}. Give one row of each for every "
            "sample."
        )
    for name, array in arrays.items():
        check_values(owner, name, array, dtype)
    return arrays
