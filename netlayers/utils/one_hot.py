"""One-hot encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.arrays.convert import as_array
from netlayers.checks import check_integer
from netlayers.errors import DataError

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> Array:
    """Convert class indices to one-hot rows of float32.

    Args:
        x: non-negative integers, of shape (n,), (n, 1) or any other; a last axis of length 1 is
            removed.
        num_classes: number of classes; by default the largest index plus one.

    Returns:
        An array of shape (..., num_classes).

    Raises:
        DataError: an entry is not an integer from 0 to ``num_classes - 1``.

    Example:
        >>> from netlayers.utils.one_hot import to_categorical
        >>> to_categorical([0, 2, 1]).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    values = as_array("to_categorical", "x", x)
    if values.ndim > 1 and values.shape[-1] == 1:
        values = values[..., 0]
    classes = values.astype(np.intp)
    if num_classes is None:
        num_classes = int(classes.max(initial=0)) + 1
    count = check_integer("to_categorical", "num_classes", num_classes, minimum=1)
    wrong = (classes != values) | (classes < 0) | (classes >= count)
    if wrong.any():
        raise DataError(
            f"to_categorical: x must hold class indices from 0 to num_classes - 1 = {count - 1}, "
            f"got {values[wrong].flat[0]}."
        )
    try:
        rows = np.zeros((*classes.shape, count), np.float32)
    except (MemoryError, ValueError):  # ValueError: more than any array can hold
        raise MemoryError(
            f"to_categorical: rows of num_classes={count} numbers do not fit in memory."
        ) from None
    np.put_along_axis(rows, classes[..., None], 1, axis=-1)
    return rows
