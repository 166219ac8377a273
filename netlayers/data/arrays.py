"""Arrays in memory or mapped from a file, as batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.core.arrays import all_finite, as_array, check_finite
from netlayers.core.workspace import Workspace
from netlayers.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netlayers._typing import Array, Dtype

_CHUNK = 1 << 20


class Column:
    """One of x, y and the weights: an array of which batches are taken.

    A batch is a view into the user's array where that is possible, else it is gathered and
    converted into a buffer that the next batch overwrites.

    Args:
        values: the array; never written to.
        dtype: of the batches.
    """

    def __init__(self, values: Array, dtype: Dtype) -> None:
        self.values = np.asarray(values)
        self.dtype = dtype
        flags = self.values.flags
        self._same = self.values.dtype == dtype and self.values.dtype.isnative
        self._plain = flags.c_contiguous and flags.aligned
        self._workspace = Workspace()

    def slice(self, start: int, stop: int) -> Array:
        """Return rows ``start`` to ``stop``."""
        rows = self.values[start:stop]
        if self._same and self._plain:
            return rows
        out = self._workspace("batch", rows.shape, self.dtype)
        np.copyto(out, rows, casting="unsafe")
        return out

    def take(self, rows: Array) -> Array:
        """Return the given rows, in a buffer."""
        shape = (len(rows), *self.values.shape[1:])
        out = self._workspace("batch", shape, self.dtype)
        if not self._plain:
            np.copyto(out, self.values[rows], casting="unsafe")
            return out
        # The numbers of rows are right by construction; "clip" only lets NumPy write straight
        # into the buffer.
        if self._same:
            return np.take(self.values, rows, axis=0, out=out, mode="clip")
        raw = self._workspace("raw", shape, self.values.dtype)
        np.copyto(out, np.take(self.values, rows, axis=0, out=raw, mode="clip"), casting="unsafe")
        return out


class ArrayData:
    """A data set of arrays.

    Args:
        columns: x, y and weights; y and weights may be missing.
        batch_size: rows in a batch; the last may be smaller.
        rng: a random generator to shuffle by, anew in each epoch; ``None`` for the given order.
    """

    def __init__(
        self,
        columns: list[Column | None],
        batch_size: int,
        rng: np.random.Generator | None = None,
    ) -> None:
        self._columns = columns
        self._batch_size = batch_size
        self._rng = rng
        assert columns[0] is not None
        self.rows = len(columns[0].values)

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        return -(-self.rows // self._batch_size)

    def batches(self) -> Iterator[Any]:
        """Yield ``(x, y, sample_weight)`` for each batch of an epoch."""
        order = None if self._rng is None else self._rng.permutation(self.rows)
        for start in range(0, self.rows, self._batch_size):
            stop = min(start + self._batch_size, self.rows)
            if order is None:
                yield tuple(None if c is None else c.slice(start, stop) for c in self._columns)
            else:
                rows = order[start:stop]
                yield tuple(None if c is None else c.take(rows) for c in self._columns)


def split_rows(
    owner: str, columns: list[Column | None], share: float
) -> tuple[list[Column | None], list[Column | None]]:
    """Cut off the last share of the rows."""
    rows = len(columns[0].values)  # type: ignore[union-attr]
    first = int(rows * (1 - share))
    if not 0 < first < rows:
        raise ConfigurationError(
            f"{owner}: validation_split={share:g} of {rows} rows leaves nothing to "
            f"{'train on' if first == 0 else 'validate with'}."
        )
    train = [None if c is None else Column(c.values[:first], c.dtype) for c in columns]
    test = [None if c is None else Column(c.values[first:], c.dtype) for c in columns]
    return train, test


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


def checked_rows(owner: str, x: Array, dtype: Dtype, **others: Any) -> dict[str, Array]:
    """Return the other arrays, each with as many rows as x.

    Raises:
        DataError: x has no rows, the numbers of rows differ, or numbers are not finite in dtype.
    """
    if len(x) == 0:
        raise DataError(f"{owner}: x is empty (shape {x.shape}); there is nothing to learn from.")
    arrays = {
        name: as_array(owner, name, value) for name, value in others.items() if value is not None
    }
    if any(a.ndim == 0 or len(a) != len(x) for a in arrays.values()):
        sizes = {"x": len(x), **{name: len(a) if a.ndim else None for name, a in arrays.items()}}
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


def class_weights(owner: str, weights: Mapping[int, float], y: Array) -> Array:
    """Return each sample's weight from the weight of its class.

    Args:
        owner: who asks, for the message.
        weights: weight of a class by its number; classes that are left out weigh 1.
        y: class numbers (n,) or (n, 1), or one-hot rows (n, classes).

    Raises:
        ConfigurationError: it is no dict of classes, or a weight is no number >= 0.
    """
    if not hasattr(weights, "items"):
        raise ConfigurationError(
            f"{owner}: class_weight must be a dict such as {{0: 1.0, 1: 5.0}}, got {weights!r}."
        )
    if y.ndim > 2:
        raise ConfigurationError(
            f"{owner}: class_weight needs one class for each sample, got y of shape {y.shape}; "
            "pass sample_weight instead."
        )
    classes = y.argmax(axis=-1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
    present = y.shape[1] if y.ndim == 2 and y.shape[1] > 1 else None
    result = np.ones(len(classes))
    for label, weight in weights.items():
        number = isinstance(weight, (int, float, np.number)) and np.isfinite(weight)
        if not number or weight < 0:
            raise ConfigurationError(
                f"{owner}: class_weight[{label!r}] must be a finite number >= 0, got {weight!r}."
            )
        integer = isinstance(label, (int, np.integer)) and not isinstance(label, bool)
        if not integer or label < 0 or (present is not None and label >= present):
            raise ConfigurationError(
                f"{owner}: class_weight has the key {label!r}, which is no class number"
                + ("." if present is None else f" from 0 to {present - 1}.")
            )
        result[classes == label] = weight
    return result
