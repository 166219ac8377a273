"""Helpers for inputs and outputs of layers: one array, or a tuple of arrays and ``None``."""

from __future__ import annotations

from typing import Any

import numpy as np

from netlayers.arrays.convert import all_finite


def listed(value: Any) -> tuple[Any, ...]:
    """Return a tuple of arrays unchanged, a single array as a tuple."""
    return value if isinstance(value, tuple) else (value,)


def finite(value: Any) -> bool:
    """Return whether all floating-point entries are finite."""
    return first_bad(value)[1] is None


def first_bad(value: Any) -> tuple[int, Any]:
    """Return index and value of the first array that is not finite; ``(0, None)`` if all are."""
    for i, array in enumerate(listed(value)):
        numbers = array if array is None or isinstance(array, np.ndarray) else array.data
        if numbers is not None and not all_finite(numbers):
            return i, array
    return 0, None


def float_numbers(value: Any) -> Any:
    """Return the only floating-point array, or several concatenated; ``None`` if there is none."""
    arrays = [a for a in listed(value) if a is not None and a.dtype.kind == "f"]
    if len(arrays) < 2:
        return arrays[0] if arrays else None
    return np.concatenate([a.reshape(-1) for a in arrays])


def row_of(value: Any, i: int) -> Any:
    """Return row i as a batch of one, for an array, a tuple of arrays or ``None``."""
    if isinstance(value, tuple):
        return tuple(row_of(array, i) for array in value)
    return None if value is None else value[i : i + 1]


def first_of(value: Any) -> Any:
    """Return the first array that is not ``None``."""
    return next(array for array in listed(value) if array is not None)
