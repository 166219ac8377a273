"""What a user hands in, as the arrays that layers and losses compute with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.complex_step import ComplexStep
from netlayers.core.frames import frame_values, is_frame
from netlayers.errors import DataError

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype
    from netlayers.core.spec import InputSpec

_CHUNK = 1 << 20  # elements looked at in one go: bounds the memory of a check of a memory map


def as_array(owner: str, argument: str, value: Any) -> Array:
    """Return ``value`` as an array of real numbers, uncopied where it is one already.

    Args:
        owner: who asks, for the message.
        argument: the name of ``value``, for the message.
        value: an array, a list of numbers, or anything that NumPy makes an array of.

    Raises:
        DataError: the entries are no real numbers (text, objects, complex), rows are ragged, or
            entries are masked.
    """
    if type(value) is np.ndarray and value.dtype.kind in "fiub":  # the usual case, in every step
        return value
    if isinstance(value, ComplexStep):  # the gradient check's; stands for a real array
        return value
    if hasattr(value, "toarray") and not isinstance(value, np.ndarray):
        raise DataError(
            f"{owner}: {argument} is a sparse matrix ({type(value).__name__}), which can not be "
            f"taken here; pass {argument}.toarray()."
        )
    if is_frame(value):
        value = frame_values(owner, argument, value)
    if type(value) is not np.ndarray and isinstance(value, np.ndarray):
        masked = getattr(value, "mask", False)  # without this look, np.ma would be imported
        if isinstance(masked, (bool, np.ndarray, np.bool_)) and np.any(masked):
            raise DataError(
                f"{owner}: {argument} has {np.count_nonzero(masked)} masked entries, which have no "
                f"number. Fill them, for instance with {argument}.filled(0), or leave such rows "
                "out."
            )
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # whatever __array__ may raise
        raise DataError(
            f"{owner}: {argument} must be an array of numbers with rows of equal length; NumPy "
            f"could not make one of it ({error})."
        ) from None
    if array.dtype.kind not in "fiub":
        hint = {
            "O": "Convert it first, for instance with np.asarray(values, dtype='float32'); None "
            "and ragged rows have no number.",
            "U": "Turn text into numbers first, for instance with np.unique(text, "
            "return_inverse=True)[1].",
            "S": "Turn text into numbers first, for instance with np.unique(text, "
            "return_inverse=True)[1].",
            "c": "Pass the real and the imaginary part as two features.",
        }.get(array.dtype.kind, "Convert it to numbers first.")
        raise DataError(
            f"{owner}: {argument} must hold real numbers, got the dtype {array.dtype}. {hint}"
        )
    return array


def as_float(owner: str, argument: str, value: Any, dtype: Dtype) -> Array:
    """Return ``value`` as an array of ``dtype``; the same object where nothing is to be done.

    Raises:
        DataError: see :func:`as_array`; or a finite number of ``value`` is too large for ``dtype``.
    """
    if type(value) is np.ndarray and value.dtype is dtype:
        return value
    array = as_array(owner, argument, value)
    if isinstance(array, ComplexStep):
        return array
    if array.dtype == dtype and array.dtype.isnative:
        return np.asarray(array)
    with np.errstate(over="ignore"):
        result = array.astype(dtype, order="C")
    if array.dtype.itemsize > dtype.itemsize and not all_finite(result) and all_finite(array):
        raise DataError(
            f"{owner}: {argument} holds numbers too large for {dtype} (above "
            f"{np.finfo(dtype).max:.2g}). Scale the data, or use dtype='float64'."
        )
    return result


def as_kind(owner: str, argument: str, value: Any, spec: InputSpec, dtype: Dtype) -> Array:
    """Return ``value`` as an array of the kind that an input is declared with.

    Args:
        owner: who asks, for the message.
        argument: the name of ``value``, for the message.
        value: an array, a list, or anything that NumPy makes an array of.
        spec: the declaration; only its ``dtype`` counts here.
        dtype: what ``"float"`` is converted to; the other kinds arrive as they are.

    Raises:
        DataError: the entries are of another kind.
    """
    if spec.dtype == "float":
        return in_order(as_float(owner, argument, value, dtype))
    array = np.asarray(value)
    if spec.dtype == "integer" and array.dtype.kind == "f" and (array == np.trunc(array)).all():
        array = array.astype(np.int64)
    return in_order(array)


def in_order(array: Array) -> Array:
    """Return the array with its numbers in C order, a copy only if they are not.

    A matrix product of the same numbers in another order may differ in the last bit.
    """
    return array if array.flags.c_contiguous else array.copy(order="C")


def all_finite(array: Array) -> bool:
    """Whether no entry is NaN or infinite. Costs one read of the memory, and no copy of it."""
    if array.dtype.kind != "f":
        return True
    if array.flags.c_contiguous and array.dtype.isnative and array.itemsize >= 4:
        if array.size <= _CHUNK:
            return _finite(array)
        flat = array.reshape(-1)
        return all(_finite(flat[i : i + _CHUNK]) for i in range(0, flat.size, _CHUNK))
    return first_not_finite(array) is None


def _finite(array: Array) -> bool:
    """Look at a sum of squares, the fastest way to see every entry: it is finite only if all are.

    It may overflow for large finite ones, and an exact look then clears them.
    """
    # vdot, other than dot, does not warn of an overflow.
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())


def first_not_finite(array: Array) -> int | None:
    """Return the first row with a NaN or an infinity, or ``None``."""
    if array.dtype.kind != "f":
        return None
    if array.ndim == 0:
        return None if np.isfinite(array) else 0
    rows = max(1, _CHUNK // max(1, array[:1].size))
    for start in range(0, len(array), rows):
        bad = ~np.isfinite(np.asarray(array[start : start + rows]))
        if bad.any():
            return start + int(np.argmax(bad.reshape(len(bad), -1).any(axis=1)))
    return None


def check_finite(owner: str, argument: str, array: Array) -> None:
    """Raise a DataError that names the first row of ``array`` with a NaN or an infinity."""
    if all_finite(array):
        return
    row = first_not_finite(array)
    if row is None:
        return
    values = array[row : row + 1].reshape(-1) if array.ndim else array.reshape(1)
    count = int(np.count_nonzero(~np.isfinite(values)))
    kind = "NaN" if np.isnan(values).any() else "an infinite number"
    raise DataError(
        f"{owner}: {argument} contains {kind}; the first such row is row {row} "
        f"({count} of its {values.size} values). Remove such rows or fill the gaps before, "
        "for instance with np.nan_to_num."
    )
