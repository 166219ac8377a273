"""Arrays and sequences made ready for training: norms, padding, splits, packing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_array
from netlayers.arrays.foreign import LazyRows, is_lazy
from netlayers.arrays.tables import Table, as_table
from netlayers.checks import (
    check_axis,
    check_choice,
    check_flag,
    check_integer,
    check_number,
    check_numeric_dtype,
    check_seed,
    is_iterable,
)
from netlayers.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlayers._typing import Array, ArrayLike, Dtype


def normalize(x: ArrayLike, axis: int = -1, order: int = 2) -> Array:
    """Divide vectors by their norm; zero vectors stay zero.

    Args:
        x: an array of any shape.
        axis: axis of the vectors.
        order: order of the norm, an integer >= 1; 2 for the Euclidean one.

    Example:
        >>> import netlayers as nl
        >>> nl.utils.normalize([[3.0, 4.0], [0.0, 0.0]])
        array([[0.6, 0.8],
               [0. , 0. ]])
    """
    owner = "normalize"
    values = as_array(owner, "x", x)
    if not values.ndim:
        raise DataError(f"{owner}: x must be an array with an axis, got {x!r}.")
    order = check_integer(owner, "order", order, minimum=1)
    axis = check_axis(owner, axis, values.ndim)
    # Relative to the largest entry, whose power neither overflows nor vanishes.
    largest = np.abs(values).max(axis, keepdims=True, initial=0)
    shares = values / np.where(largest == 0, 1, largest)
    norms = np.linalg.norm(shares, order, axis, keepdims=True)
    return shares / np.where(norms == 0, 1, norms)


def pad_sequences(
    sequences: Sequence[ArrayLike],
    maxlen: int | None = None,
    dtype: str = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> Array:
    """Return sequences of different lengths as one array, padded and cut to one length.

    Args:
        sequences: the sequences, each (length, ...) with the same further axes.
        maxlen: the length; by default that of the longest.
        dtype: name of the dtype of the result.
        padding: pad before (``"pre"``) or after (``"post"``) a sequence.
        truncating: drop the first (``"pre"``) or last (``"post"``) values of one that is too long.
        value: what is padded with.

    Returns:
        An array (sequences, maxlen, ...).

    Example:
        >>> import netlayers as nl
        >>> nl.utils.pad_sequences([[1], [2, 3, 4]], maxlen=2)
        array([[0, 1],
               [3, 4]], dtype=int32)
    """
    owner = "pad_sequences"
    check_choice(owner, "padding", padding, ("pre", "post"))
    check_choice(owner, "truncating", truncating, ("pre", "post"))
    kind = check_numeric_dtype(owner, dtype)
    value = check_number(owner, "value", value)
    if isinstance(sequences, str) or not is_iterable(sequences):
        raise DataError(f"{owner}: sequences must be a list of sequences, got {sequences!r:.60}.")
    arrays = [_sequence(owner, s, kind) for s in sequences]
    if maxlen is None:
        maxlen = max((len(array) for array in arrays), default=0)
    maxlen = check_integer(owner, "maxlen", maxlen, minimum=0)
    inner = next((a.shape[1:] for a in arrays if len(a)), ())
    result = np.empty((len(arrays), maxlen, *inner), kind)
    result[...] = _fitting(owner, "value", np.asarray(value), kind)
    for row, array in zip(result, arrays, strict=True):
        if not len(array) or not maxlen:
            continue
        if array.shape[1:] != inner:
            raise DataError(
                f"{owner}: each entry of a sequence must have the shape {inner}, got "
                f"{array.shape[1:]}."
            )
        kept = array[-maxlen:] if truncating == "pre" else array[:maxlen]
        row[slice(-len(kept), None) if padding == "pre" else slice(len(kept))] = kept
    return result


def _sequence(owner: str, values: ArrayLike, dtype: Dtype) -> Array:
    array = as_array(owner, "each of sequences", values)
    if not array.ndim:
        raise DataError(f"{owner}: each of sequences must have a length, got {values!r:.60}.")
    return _fitting(owner, "each of sequences", array, dtype)


def _fitting(owner: str, argument: str, array: Array, dtype: Dtype) -> Array:
    """Return an array in a dtype that must be able to hold its values."""
    if dtype.kind in "iu" and array.size:
        limits = np.iinfo(dtype)
        if not (limits.min <= array.min() and array.max() <= limits.max):  # also for NaN
            raise DataError(f"{owner}: {argument} has values that the dtype {dtype} cannot hold.")
    return array.astype(dtype)


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
) -> tuple[Any, Any]:
    """Split arrays into two parts by their first axis.

    Args:
        dataset: an array, or a list, tuple or dict of arrays with equally many rows. (Keras takes
            TensorFlow's data sets too, and always returns those.) Arrays in files, such as of h5py,
            are not read if they are not shuffled: the parts read the rows that are asked for.
        left_size: number of rows of the first part, or their fraction, a float between 0 and 1.
        right_size: the same of the second part; by default the rest.
        shuffle: shuffle the rows before.
        seed: of the shuffle.

    Returns:
        Two of the kind of ``dataset``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> left, right = nl.utils.split_dataset({"x": np.arange(5)}, left_size=0.6)
        >>> left["x"], right["x"]
        (array([0, 1, 2]), array([3, 4]))
    """
    owner = "split_dataset"
    reads = check_flag(owner, "shuffle", shuffle)  # otherwise the parts are views of files
    arrays = list(_columns(dataset, reads))
    rows = {len(a) if a.ndim else None for a in arrays}
    if len(rows) != 1 or None in rows:
        raise DataError(
            f"{owner}: dataset must hold arrays of equally many rows, got "
            f"{[a.shape for a in arrays]}."
        )
    n = len(arrays[0])
    left, right = _size(owner, "left_size", left_size, n), _size(owner, "right_size", right_size, n)
    if left is None and right is None:
        raise ConfigurationError(f"{owner}: give left_size, right_size or both.")
    left = n - right if left is None else left  # type: ignore[operator]
    right = n - left if right is None else right
    if left < 1 or right < 1 or left + right > n:
        raise ConfigurationError(
            f"{owner}: left_size={left_size!r} and right_size={right_size!r} mean parts of {left} "
            f"and {right} rows, which cannot be made of {n} rows; each needs one or more."
        )
    order = None
    if reads:
        order = np.arange(n)
        rng = np.random.default_rng(None if seed is None else check_seed(owner, seed))
        rng.shuffle(order)
    bounds = slice(0, left), slice(left, left + right)
    first, second = ([_taken(a, part, order) for a in arrays] for part in bounds)
    return _like(dataset, first), _like(dataset, second)


def _size(owner: str, argument: str, size: float | None, rows: int) -> int | None:
    if size is None:
        return None
    if isinstance(size, (float, np.floating)):
        return round(check_number(owner, argument, size, above=0, below=1) * rows)
    return check_integer(owner, argument, size, minimum=1)


def _columns(dataset: Any, reads: bool) -> Iterable[Any]:
    """Yield the arrays of a dataset; those in files as they are, unless ``reads`` is set."""
    if isinstance(dataset, dict):
        dataset = list(dataset.values())
    for value in dataset if isinstance(dataset, (list, tuple)) else [dataset]:
        table = as_table(value)
        if reads or not (isinstance(table, Table) or is_lazy(table)):
            yield value if isinstance(value, np.memmap) else np.asarray(value)
        else:
            yield LazyRows(table)


def _taken(array: Any, part: slice, order: Array | None) -> Any:
    """Return a part of the rows, in an order, as a copy; of rows in files as a view."""
    if isinstance(array, LazyRows):
        return array.part(part.start, part.stop)
    if order is not None:
        return np.asarray(array[order[part]])
    return array[part] if isinstance(array, np.memmap) else array[part].copy()


def _like(dataset: Any, arrays: list[Any]) -> Any:
    """Return arrays in the form of a dataset: a dict, a list, a tuple or one array."""
    if isinstance(dataset, dict):
        return dict(zip(dataset, arrays, strict=True))
    return type(dataset)(arrays) if isinstance(dataset, (list, tuple)) else arrays[0]
