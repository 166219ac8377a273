"""Conversion of user data to the arrays that layers and losses use."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.categories import any_array, as_categories, as_text
from netlayers.arrays.complex_step import ComplexStep
from netlayers.arrays.foreign import LazyRows, blocks
from netlayers.arrays.frames import frame_values, is_frame
from netlayers.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlayers._typing import Array, Dtype
    from netlayers.arrays.spec import InputSpec, Kind

_CHUNK = 1 << 20  # entries checked at a time: bounds the memory for memory maps


def as_array(owner: str, argument: str, value: Any) -> Array:
    """Return ``value`` as an array of real numbers, without a copy if possible.

    Args:
        owner: the caller's name, used in messages.
        argument: name of ``value``, used in messages.
        value: an array, a list of numbers, or anything else that NumPy converts to an array.

    Raises:
        DataError: the entries are not real numbers (text, objects, complex), rows are ragged, or
            entries are masked.
    """
    if type(value) is np.ndarray and value.dtype.kind in "fiub":  # fast path of every step
        return value
    if isinstance(value, ComplexStep):  # from the gradient check; treated as real
        return value
    if hasattr(value, "toarray") and not isinstance(value, np.ndarray):
        raise DataError(
            f"{owner}: {argument} is a sparse matrix ({type(value).__name__}), which is not "
            f"supported here; pass {argument}.toarray()."
        )
    if is_frame(value):
        value = frame_values(owner, argument, value)
    if type(value) is not np.ndarray and isinstance(value, np.ndarray):
        masked = getattr(value, "mask", False)  # avoids the import of np.ma
        if isinstance(masked, (bool, np.ndarray, np.bool_)) and np.any(masked):
            raise DataError(
                f"{owner}: {argument} has {np.count_nonzero(masked)} masked entries. Fill them, "
                f"for instance with {argument}.filled(0), or remove such rows."
            )
    if value is None:
        raise DataError(
            f"{owner}: {argument} is None; a function or layer that returns it may lack a return."
        )
    array = any_array(owner, argument, value)
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"{owner}: {argument} must hold real numbers, got the dtype {array.dtype}. "
            f"{_hint(array)}"
        )
    return array


def _hint(array: Array) -> str:
    """Return a hint for an array that is not numeric."""
    kind = array.dtype.kind
    if kind == "O":
        first = next((v for v in array.flat if v is not None), None)
        if isinstance(first, (str, bytes)):
            kind = "U"
        elif not isinstance(first, (int, float, np.number)):
            return f"Its entries are of type {type(first).__name__}; convert them to numbers."
    return {
        "O": "Convert it first, for instance with np.asarray(values, dtype='float32'); None "
        "and ragged rows cannot be converted.",
        "U": "Encode strings as numbers first, for instance with np.unique(text, "
        "return_inverse=True)[1].",
        "S": "Encode strings as numbers first, for instance with np.unique(text, "
        "return_inverse=True)[1].",
        "c": "Pass the real and the imaginary part as two features.",
    }.get(kind, "Convert it to numbers first.")


def as_kind(owner: str, argument: str, value: Any, spec: InputSpec, dtype: Dtype) -> Array:
    """Return ``value`` as a C-contiguous array of the kind in ``spec``, without a copy if possible.

    Args:
        owner: the caller's name, used in messages.
        argument: name of ``value``, used in messages.
        value: the value to convert.
        spec: the kind. For ``"float"``, values are converted to ``dtype``, unless that has fewer
            digits and ``keeps_precision`` is set. For ``"integer"``, integers keep their dtype;
            booleans and integral floats become int64. For ``"boolean"``, 0 and 1 become booleans.
        dtype: dtype of floats.

    Raises:
        DataError: the values are of another kind.
    """
    if spec.dtype == "float":
        if spec.keeps_precision:
            dtype = kind_dtype(as_array(owner, argument, value).dtype, spec, dtype)
        return in_order(as_float(owner, argument, value, dtype))
    if spec.missing:
        array = as_categories(owner, argument, value, spec.dtype)
    elif spec.dtype == "string":
        array = as_text(owner, argument, value)
    else:
        array = as_array(owner, argument, value)
        check_kind(owner, argument, array, spec.dtype)
    return np.asarray(array.astype(kind_dtype(array.dtype, spec, dtype), "C", copy=False))


def kind_dtype(given: Dtype, spec: InputSpec, dtype: Dtype) -> Dtype:
    """Return the dtype to which ``given`` is converted; see :func:`as_kind`."""
    if spec.dtype == "float":
        kept = spec.keeps_precision and not np.can_cast(given, dtype, "safe")
        return given.newbyteorder("=") if kept else dtype
    if spec.missing:
        return given.newbyteorder("=")
    if spec.dtype == "boolean":
        return np.dtype(bool)
    if spec.dtype == "integer" and given.kind not in "iu":
        return np.dtype(np.int64)
    return given.newbyteorder("=")


def check_kind(owner: str, argument: str, array: Any, kind: Kind) -> None:
    """Raise a DataError that names the first row with a value that is not integral (or 0 or 1).

    The check proceeds in blocks, so ``array`` may be a memory map.
    """
    if array.dtype.kind == "b" or (kind == "integer" and array.dtype.kind in "iu"):
        return
    for start, block in blocks(array if array.ndim else array.reshape(1)):
        if kind == "integer":  # 2^63 is the first float beyond int64
            block = block.astype(np.float64, copy=False)
            good = (block == np.trunc(block)) & (np.abs(block) < 2.0**63)
            expected, hint = "integers", "Round it, or pass the intended column."
        else:
            good = (block == 0) | (block == 1)
            expected, hint = "booleans", f"Compare it first, for instance {argument} > 0."
        if not good.all():
            index = tuple(int(i) for i in np.argwhere(~good)[0])
            raise DataError(
                f"{owner}: {argument} must hold {expected}, got {block[index]} "
                f"(row {start + index[0]}). {hint}"
            )


def as_float(owner: str, argument: str, value: Any, dtype: Dtype) -> Array:
    """Return ``value`` as an array of ``dtype``; the same object if it is one already.

    Raises:
        DataError: see :func:`as_array`; or a finite value is too large for ``dtype``.
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


def as_column(array: Any, shape: Any) -> Any:
    """Return numbers or texts (n,) as (n, 1), if that is the shape that is expected."""
    is_rows = isinstance(array, (np.ndarray, LazyRows)) and array.ndim == 1
    if not is_rows or tuple(shape or ()) != (None, 1):
        return array
    return array.one_column() if isinstance(array, LazyRows) else array[:, None]


def in_order(array: Array) -> Array:
    """Return a C-contiguous array, a copy only if needed.

    Matrix products of other memory layouts may differ in the last bit.
    """
    return array if array.flags.c_contiguous else array.copy(order="C")


def as_mask(owner: str, mask: Any) -> Array:
    """Return a mask as booleans; of numbers, all but 0 keep a step.

    Raises:
        DataError: it holds NaN.
    """
    array = np.asarray(mask)
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise DataError(
            f"{owner}: mask holds NaN; it must be True for the steps that are kept, else False."
        )
    return array.astype(bool, copy=False)


def all_finite(array: Array) -> bool:
    """Return whether all entries are finite, in one pass over memory and without a copy."""
    if array.dtype.kind != "f":
        return True
    if array.flags.c_contiguous and array.dtype.isnative and array.itemsize >= 4:
        if array.size <= _CHUNK:
            return _finite(array)
        flat = array.reshape(-1)
        return all(_finite(flat[i : i + _CHUNK]) for i in range(0, flat.size, _CHUNK))
    return first_non_finite_row(array) is None


def _finite(array: Array) -> bool:
    """Return whether all entries are finite, by their sum of squares, which is fastest.

    The sum may overflow for large finite entries; an exact check follows then.
    """
    # Unlike dot, vdot does not warn about overflow. Of a np.matrix it may return a matrix.
    return math.isfinite(np.vdot(array, array).item()) or bool(np.isfinite(array).all())


def first_non_finite_row(array: Array, nan: bool = True) -> int | None:
    """Return the first row with a NaN (unless ``nan`` is false) or an infinity, or ``None``."""
    is_bad = _is_not_finite if nan else np.isinf
    if array.dtype.kind != "f":
        return None
    if array.ndim == 0:
        return 0 if is_bad(array) else None
    rows = max(1, _CHUNK // max(1, array[:1].size))
    for start in range(0, len(array), rows):
        bad = is_bad(np.asarray(array[start : start + rows]))
        if bad.any():
            return start + int(np.argmax(bad.reshape(len(bad), -1).any(axis=1)))
    return None


def _is_not_finite(array: Array) -> Array:
    return ~np.isfinite(array)


def check_finite(
    owner: str, argument: str, array: Array, first: int = 0, mask_nan: bool | None = None
) -> None:
    """Raise a DataError that names the first row of ``array`` with a NaN or an infinity.

    Args:
        owner: the caller's name, used in the message.
        argument: name of ``array``, used in the message.
        array: the numbers.
        first: index of row 0 in the full data.
        mask_nan: that argument of the loss for targets: ``True``: NaN passes; ``False``: the
            message tells of it; ``None``: the loss has no such argument, or these are no targets.
    """
    if all_finite(array):
        return
    row = first_non_finite_row(array, nan=not mask_nan)
    if row is None:
        return
    values = array[row : row + 1].reshape(-1) if array.ndim else array.reshape(1)
    count = int(np.count_nonzero(np.isinf(values) if mask_nan else ~np.isfinite(values)))
    kind, hint = "NaN", f"replace them first, for instance with np.nan_to_num({argument})."
    if mask_nan or not np.isnan(values).any():
        kind = "an infinite number"
        hint = f"clip the values first, for instance with np.clip({argument}, -1e6, 1e6)."
    elif mask_nan is False:
        hint = "leave unknown targets out of the loss: give it the argument mask_nan=True."
    raise DataError(
        f"{owner}: {argument} contains {kind}; the first such row is row {first + row} "
        f"({count} of its {values.size} values). Remove such rows, or {hint}"
    )


def one(values: Sequence[Any]) -> Any:
    """Return the only array of a sequence, or the tuple of several."""
    return values[0] if len(values) == 1 else tuple(values)


def each(values: Any) -> tuple[Any, ...]:
    """Return the arrays of a result of :func:`one` as a tuple."""
    return values if isinstance(values, tuple) else (values,)


def shapes_of(values: Any) -> Any:
    """Return the shape of an array, or the shapes of a tuple of arrays."""
    return tuple(v.shape for v in values) if isinstance(values, tuple) else values.shape
