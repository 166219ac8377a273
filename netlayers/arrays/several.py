"""What a layer takes and gives: one array, or a tuple of them with ``None`` where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import all_finite

if TYPE_CHECKING:
    pass


def listed(value: Any) -> tuple[Any, ...]:
    """Return several arrays, or the one, as a tuple."""
    return value if isinstance(value, tuple) else (value,)


def finite(value: Any) -> bool:
    """Whether all numbers are finite; what is no float number is."""
    return first_bad(value)[1] is None


def first_bad(value: Any) -> tuple[int, Any]:
    """Return the first of several arrays that is not finite, and its place; ``None`` for none."""
    for i, array in enumerate(listed(value)):
        numbers = array if array is None or isinstance(array, np.ndarray) else array.data
        if numbers is not None and not all_finite(numbers):
            return i, array
    return 0, None


def float_numbers(value: Any) -> Any:
    """Return an array of float numbers, or several as one flat array; ``None`` if there is none."""
    arrays = [a for a in listed(value) if a is not None and a.dtype.kind == "f"]
    if len(arrays) < 2:
        return arrays[0] if arrays else None
    return np.concatenate([a.reshape(-1) for a in arrays])


def row_of(value: Any, i: int) -> Any:
    """Return row i, as a batch, of an array, of several, or of nothing."""
    if isinstance(value, tuple):
        return tuple(row_of(array, i) for array in value)
    return None if value is None else value[i : i + 1]


def first_of(value: Any) -> Any:
    """Return the first array that there is."""
    return next(array for array in listed(value) if array is not None)
