"""Format numbers and arrays of a trace: rounded, and only the corners of a large array."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from netlayers._typing import Array

DOTS = "…"


def number_format(values: Array, digits: int) -> Any:
    """Return a function that writes a number of an array.

    All numbers of an array have the same number of decimals, so many that the largest has
    ``digits`` significant digits. A number of which no digit would be left is written with an
    exponent, as is all of an array whose largest number is below 0.001 or has more than six digits
    before the point. Whole numbers have no decimals. What is written is the number, correctly
    rounded.

    Example:
        >>> import numpy as np
        >>> from netlayers.trace.numbers import number_format
        >>> values = np.array([12.34567, -0.5, 0.0, 0.00012345])
        >>> [number_format(values, 4)(v) for v in values]
        ['12.35', '-0.50', '0', '1.234e-04']
    """
    if values.dtype.kind not in "fc":
        return str
    finite = values[np.isfinite(values)]
    largest = float(np.abs(finite).max(initial=0.0))
    if finite.size == values.size and largest < 1e6 and np.array_equal(values, np.rint(values)):
        return lambda value: str(int(value))
    exponent = math.floor(math.log10(largest)) if largest else 0
    decimals = max(1, digits - 1 - exponent)
    scientific = not -3 <= exponent < 6
    smallest = 10.0**-decimals

    def written(value: Any) -> str:
        v = float(value)
        if v == 0 or not math.isfinite(v):
            return "0" if v == 0 else str(v)
        if scientific or abs(v) < smallest:
            return f"{v:.{digits - 1}e}"
        return f"{v:.{decimals}f}"

    return written


def full(value: Any) -> str:
    """Return the shortest representation that identifies a number in its dtype."""
    return str(value)


@dataclass
class Cut:
    """The displayed part of an array.

    Attributes:
        rows: the lines of texts; ``…`` where something is left out.
        places: for each text the index in the array, ``None`` for dots.
        whole: whether nothing is left out.
        facts: smallest, largest and norm of an array that is not shown whole, by name.
    """

    rows: list[list[str]]
    places: list[list[tuple[int, ...] | None]]
    whole: bool
    facts: dict[str, str]


def cut(array: Array, rows: int, columns: int, digits: int) -> Cut:
    """Return what is shown of an array: at most ``rows`` and ``columns``, from its corners.

    An array of one axis is a row; one of more than two is a row for each of its last axes.
    """
    array = np.asarray(array)
    table = array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array.reshape(1, -1)
    down, across = _chosen(table.shape[0], rows), _chosen(table.shape[1], columns)
    whole = None not in down and None not in across
    kept = table[np.ix_([i for i in down if i is not None], [j for j in across if j is not None])]
    write = number_format(kept, digits)
    texts, places = [], []
    for i in down:
        inside = [(None if i is None or j is None else (i, j)) for j in across]
        texts.append([DOTS if at is None else write(table[at]) for at in inside])
        places.append([None if at is None else _index(at, array.shape) for at in inside])
    return Cut(texts, places, whole, {} if whole else facts(array, digits))


def facts(array: Array, digits: int) -> dict[str, str]:
    """Return smallest and largest number and the Euclidean norm, rounded, by name."""
    if array.dtype.kind not in "fiub":
        return {}
    numbers = {"min": array.min(), "max": array.max()}
    if array.dtype.kind == "f":
        numbers["norm"] = np.linalg.norm(array.astype(np.float64).ravel())
    return {k: number_format(np.asarray(v), digits)(v) for k, v in numbers.items()}


def _chosen(size: int, limit: int) -> list[int | None]:
    """Return the first and the last of ``size`` indices, ``None`` between them."""
    if size <= limit:
        return list(range(size))
    head = (limit + 1) // 2
    return [*range(head), None, *range(size - (limit - head), size)]


def _index(at: tuple[int, int], shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) < 2:
        return (at[1],) if shape else ()
    return (*(int(k) for k in np.unravel_index(at[0], shape[:-1])), at[1])
