"""Checks of user data in blocks, without allocations of the size of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.arrays.categories import as_categories, as_text
from netlayers.arrays.convert import all_finite, as_array, check_finite, check_kind, each
from netlayers.arrays.foreign import LazyRows, blocks, is_lazy
from netlayers.arrays.sparse import as_csr, is_malformed, is_sparse
from netlayers.arrays.tables import Table
from netlayers.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlayers._typing import Dtype
    from netlayers.arrays.spec import InputSpec

Part = tuple[int, int]  # which of so many equal parts of the rows
WHOLE: Part = (0, 1)
_CHUNK = 1 << 20
_SAMPLE = 512  # rows, and columns, that are looked at for lost digits


def check_values(
    owner: str,
    argument: str,
    values: Any,
    dtype: Dtype,
    mask_nan: bool | None = None,
    part: Part = WHOLE,
) -> None:
    """Check in blocks that all values are finite, also after conversion to ``dtype``.

    With ``mask_nan``, NaN passes: see :func:`check_finite`. Of values in files, ``part`` is
    checked: ``(1, 4)`` for the second quarter of the rows, where four processes check one each.

    Raises:
        DataError: some are not; the message names the first such row.
    """
    if values.dtype.kind != "f":
        return
    first = 0
    if part != WHOLE and _is_in_file(values):
        first, stop = (len(values) * i // part[1] for i in (part[0], part[0] + 1))
        values = values.part(first, stop) if isinstance(values, LazyRows) else values[first:stop]
    narrowed = values.dtype.itemsize > dtype.itemsize
    if not narrowed and not isinstance(values, LazyRows):
        check_finite(owner, argument, values, first, mask_nan)
        return
    small = type(values) is np.ndarray and values.size <= _CHUNK
    for start, piece in ((0, values),) if small else blocks(values):
        start += first
        with np.errstate(over="ignore", invalid="ignore"):
            block = piece.astype(dtype, copy=False)
        if all_finite(block):
            continue
        check_finite(owner, argument, piece, start, mask_nan)
        if mask_nan and not np.isinf(block).any():
            continue
        raise DataError(
            f"{owner}: {argument} holds numbers too large for {dtype} (above "
            f"{np.finfo(dtype).max:.2g}), the first of them in rows {start} to "
            f"{start + len(block) - 1}. Scale the data, or create the model with dtype='float64'."
        )


def _is_in_file(values: Any) -> bool:
    """Return whether values are read on access, or are a view of a memory map."""
    while isinstance(values, np.ndarray) and not isinstance(values, np.memmap):
        values = values.base
    return isinstance(values, (np.memmap, LazyRows))


def warn_of_lost_digits(owner: str, argument: str, values: Any, dtype: Dtype) -> None:
    """Warn where ``dtype`` does not tell numbers of a column apart; a sample of rows is looked at.

    Args:
        owner: who asks, for the message.
        argument: the name of ``values``, for the message.
        values: (rows, ...), an array or :class:`LazyRows`; others pass.
        dtype: what the numbers become.
    """
    known = isinstance(values, (np.ndarray, LazyRows)) and values.dtype.kind in "fiu"
    if not known or dtype.kind != "f" or np.can_cast(values.dtype, dtype, "safe"):
        return
    step = 1 if isinstance(values, LazyRows) else -(-len(values) // _SAMPLE)
    whole = values.dtype.kind in "iu"  # integers are exact, also above 2^53
    wide: Any = np.longdouble if whole else np.float64
    rows = np.asarray(values[: _SAMPLE * step : step], wide)
    rows = rows.reshape(len(rows), -1)[:, :_SAMPLE]
    spread, largest = (rows - rows[:1]).std(axis=0), np.abs(rows).max(axis=0)
    with np.errstate(over="ignore"):
        error = np.abs(rows - rows.astype(dtype)).max(axis=0)
    # Below 1e-12 of the numbers floats differ by rounding alone.
    lost = (error > 0.01 * spread) & (spread > (0 if whole else 1e-12 * largest))
    if lost.any():
        column = int(np.argmax(lost))
        where = f" (column {column})" if rows.shape[1] > 1 else ""
        hint = "," if argument.startswith("y") else ", put an adapted layers.Normalization first,"
        warn(
            f"{owner}: {argument} holds numbers{where} that {dtype} does not tell apart: it rounds "
            f"them by up to {error[column]:.2g}, and they differ by {spread[column]:.2g} (one "
            "standard deviation). Subtract their mean first"
            f"{hint} or make the model with dtype='float64'."
        )


def as_data(owner: str, argument: str, value: Any) -> Any:
    """Return ``value`` as a numeric array, or as :class:`LazyRows` if it is not in memory.

    Raises:
        DataError: it does not contain real numbers.
    """
    if type(value) is Table:
        value.check(owner, argument)
        return LazyRows(value)
    if type(value) is not np.ndarray and is_lazy(value):
        as_array(owner, argument, value[:0])  # checks the dtype
        return LazyRows(value)
    return as_array(owner, argument, value)


def checked_input(
    owner: str, argument: str, x: Any, spec: InputSpec, dtype: Dtype, part: Part = WHOLE
) -> Any:
    """Return one input as an array, LazyRows or a CSR matrix, checked against ``spec``.

    Values are not converted yet: a memory map remains one. For ``part`` see :func:`check_values`.

    Raises:
        DataError, ShapeError: it is none of these, or its values are of another kind or not finite.
    """
    if type(x) is not np.ndarray and is_sparse(x):
        if spec.dtype != "float":
            raise DataError(
                f"{owner}: {argument} is a sparse matrix, but an array of {spec.dtype} values is "
                f"expected; pass {argument}.toarray()."
            )
        return _checked_csr(owner, argument, x, dtype)
    if spec.missing:
        x = as_categories(owner, argument, x, spec.dtype)
    elif spec.dtype == "string":
        x = as_text(owner, argument, x)
    else:
        x = as_data(owner, argument, x)
    if x.ndim == 0:
        raise DataError(
            f"{owner}: {argument} must have the shape (batch, ...), got the single value {x}."
        )
    if spec.dtype == "float":
        check_values(owner, argument, x, dtype, part=part)
    elif spec.dtype != "string" and not spec.missing:
        check_kind(owner, argument, x, spec.dtype)
    return x


def check_rows(owner: str, x: Any, others: Mapping[str, Any], empty: bool = False) -> None:
    """Check that all inputs, targets and weights have the same number of rows.

    Args:
        owner: the caller's name, used in messages.
        x: the input, or a tuple of inputs.
        others: other arrays, or tuples of arrays, by name; ``None`` is ignored.
        empty: whether there may be no rows.

    Raises:
        DataError: there are no rows, or their numbers differ.
    """
    inputs = each(x)
    rows = inputs[0].shape[0]
    if rows == 0 and not empty:
        raise DataError(f"{owner}: x is empty (shape {inputs[0].shape}); give it at least one row.")
    consistent = True
    for value in (x, *others.values()):  # plain loops for speed: part of every train_on_batch
        if value is not None:
            for a in value if isinstance(value, tuple) else (value,):
                consistent = consistent and a.ndim > 0 and a.shape[0] == rows
    if consistent:
        return
    arrays = {"x": x, **{name: value for name, value in others.items() if value is not None}}
    sizes = {
        name if not isinstance(value, tuple) else f"{name}[{i}]": a.shape[0] if a.ndim else None
        for name, value in arrays.items()
        for i, a in enumerate(each(value))
    }
    listed = ", ".join(
        f"{name} has {'no rows' if n is None else f'{n} rows'}" for name, n in sizes.items()
    )
    raise DataError(
        f"{owner}: Data cardinality is ambiguous: {listed}. Give one row per sample in each."
    )


def _checked_csr(owner: str, argument: str, x: Any, dtype: Dtype) -> Any:
    """Return a sparse matrix as a checked CSR matrix."""
    x = as_csr(owner, x)
    if is_malformed(x):
        raise DataError(
            f"{owner}: the sparse matrix {argument} of shape {x.shape} is malformed: its indptr "
            f"or indices are out of bounds. Call {argument}.check_format() for details."
        )
    try:
        check_values(owner, argument, x.data[: int(x.indptr[-1])], dtype)
    except DataError:
        raise _non_finite_error(owner, argument, x, dtype) from None
    return x


def _non_finite_error(owner: str, argument: str, x: Any, dtype: Dtype) -> DataError:
    """Return the error for the first non-finite entry of a CSR matrix."""
    with np.errstate(over="ignore", invalid="ignore"):
        entry = int(np.flatnonzero(~np.isfinite(x.data.astype(dtype)))[0])
    row = int(np.searchsorted(x.indptr, entry, side="right")) - 1
    value = x.data[entry]
    what = "NaN" if np.isnan(value) else "an infinite number"
    if np.isfinite(value):
        what = f"a number too large for {dtype} ({value:.2g})"
    return DataError(
        f"{owner}: the sparse matrix {argument} contains {what}; the first such row is row {row} "
        f"(column {x.indices[entry]}). Remove such rows, or fix the entries of {argument}.data."
    )


def warn_of_lost_columns(owner: str, columns: list[Any]) -> None:
    """Warn if distinct values of x or y are equal in the dtype of the computation.

    Args:
        owner: the caller, for the warning.
        columns: x and y, as :mod:`netlayers.data.arrays` has them.
    """
    for argument, its in zip(("x", "y"), columns, strict=False):
        parts = getattr(its, "columns", (its,))
        for i, part in enumerate(parts):
            name = argument if len(parts) == 1 else f"{argument}[{i}]"
            if part is not None:
                warn_of_lost_digits(owner, name, part.values, part.dtype)
