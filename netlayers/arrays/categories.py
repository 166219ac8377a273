"""Strings and integers that name categories, with missing values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.foreign import numpy_dtype, numpy_of
from netlayers.arrays.frames import is_frame
from netlayers.errors import DataError

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.arrays.spec import Kind


def any_array(owner: str, argument: str, value: Any) -> Array:
    """Return ``value`` converted by NumPy, of any dtype.

    Raises:
        DataError: rows are ragged, or the value cannot be converted.
    """
    try:
        return numpy_dtype(np.asarray(numpy_of(value)))
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise DataError(
            f"{owner}: {argument} must be an array of numbers with rows of equal length; NumPy "
            f"cannot convert it ({error})."
        ) from None


def as_text(owner: str, argument: str, value: Any) -> Array:
    """Return ``value`` as an array of strings: NumPy's ``str`` or ``bytes``, or ``str`` objects.

    Raises:
        DataError: it contains something else.
    """
    array = _array(owner, argument, value)
    if not array.size:  # of an empty list, whose dtype says nothing
        return array.astype(str)
    if array.dtype.kind in "UST":
        return array
    wrong = array.dtype.name
    if array.dtype.kind == "O":
        other = next((v for v in array.flat if not isinstance(v, str)), None)
        if other is None and not any(v is None for v in array.flat):
            return array
        wrong = f"an entry {other!r}"
    raise DataError(
        f"{owner}: {argument} must hold strings, got {wrong}. Use {argument}.astype(str)."
    )


def as_categories(owner: str, argument: str, value: Any, kind: Kind) -> Array:
    """Return ``value`` as an array of strings or integers in which values may be missing.

    Args:
        owner: the caller's name, used in messages.
        argument: name of ``value``, used in messages.
        value: an array, a list or a frame; ``None``, NaN and ``pandas.NA`` are missing values.
        kind: ``"string"``, ``"integer"``, or ``"category"`` for either.

    Returns:
        Strings (an array of objects, with ``None`` for missing values, if there are any), integers,
        or floats without a fraction, with NaN for missing values.

    Raises:
        DataError: the values are of another kind.
    """
    array = _array(owner, argument, value)
    if not array.size and kind == "string":  # of an empty list, whose dtype says nothing
        return array.astype(str)
    if array.dtype.kind == "O":
        array = _without_objects(array)
    its = array.dtype.kind
    if its == "T":
        array, its = _without_objects(array.astype(object)), "O"
    if its in "USO" and kind != "integer":
        if its != "O" or all(v is None or isinstance(v, str) for v in array.flat):
            return array
    elif its in "iubf" and kind != "string":
        if its == "b":
            return array.astype(np.int64)
        with np.errstate(invalid="ignore"):
            wrong = (array != np.trunc(array)) & (array == array) if its == "f" else np.False_
        if not wrong.any():
            return array
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise DataError(
            f"{owner}: {argument} must hold {_WANTED[kind]}, got {array[index]} (row "
            f"{index[0] if index else 0}). Round it, use a Discretization layer, or pass the "
            "intended column."
        )
    wrong_one = next((v for v in array.flat if v is not None and not isinstance(v, str)), None)
    got = f"an entry {wrong_one!r}" if its == "O" else f"the dtype {array.dtype}"
    hint = "Convert it to integers." if kind == "integer" else f"Use {argument}.astype(str)."
    raise DataError(f"{owner}: {argument} must hold {_WANTED[kind]}, got {got}. {hint}")


_WANTED = {"string": "strings", "integer": "integers", "category": "strings or integers"}


def is_missing(value: Any) -> bool:
    """Return whether an entry stands for a missing value."""
    return (
        value is None
        or (isinstance(value, float) and value != value)
        or type(value).__name__ in ("NAType", "NaTType")
    )


def _array(owner: str, argument: str, value: Any) -> Array:
    if is_frame(value):
        value = value.to_numpy()
    return any_array(owner, argument, value)


def _without_objects(array: Array) -> Array:
    """Return an array of objects as numbers if all entries are, else with None where missing."""
    entries = array.reshape(-1).tolist()
    missing = [is_missing(v) for v in entries]
    numbers = (bool, int, float, np.number, np.bool_)
    if all(m or isinstance(v, numbers) for v, m in zip(entries, missing, strict=True)) and not all(
        missing
    ):
        if any(missing):
            entries = [np.nan if m else v for v, m in zip(entries, missing, strict=True)]
        return np.array(entries).reshape(array.shape)
    if any(missing):
        entries = [None if m else v for v, m in zip(entries, missing, strict=True)]
    found = np.empty(len(entries), object)
    found[:] = entries
    return found.reshape(array.shape)
