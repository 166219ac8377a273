"""Data in batches: the base class of sequences, and windows of a time series."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_array
from netlayers.checks import check_flag, check_integer, check_seed
from netlayers.errors import ConfigurationError, DataError, MissingMethodError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlayers._typing import Array, ArrayLike


class PyDataset:
    """Base class of data that compute a batch by its index, as Keras's ``PyDataset``.

    Subclasses define ``__getitem__(index)``, which returns ``(x, y)`` or ``(x, y, sample_weight)``,
    and ``__len__``, the number of batches; where that is infinite, ``num_batches`` is ``None``, and
    ``fit`` needs ``steps_per_epoch``. (``fit`` takes any object with ``__len__`` and
    ``__getitem__``; this class only saves a port from Keras one line.)

    Args:
        workers, use_multiprocessing, max_queue_size: accepted as in Keras, without effect: a thread
            prefetches batches, see ``fit(read_ahead=...)``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> class Squares(nl.utils.PyDataset):
        ...     def __len__(self):
        ...         return 4
        ...     def __getitem__(self, index):
        ...         x = np.random.default_rng(index).normal(size=(8, 1))
        ...         return x, x**2
        >>> model = nl.Sequential([nl.layers.Dense(1)], seed=0)
        >>> model.compile("sgd", "mse")
        >>> len(model.fit(Squares(), epochs=2, verbose=0).epoch)
        2
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers = check_integer("PyDataset", "workers", workers, minimum=0)
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """Return the batch ``index``."""
        raise MissingMethodError(f"{type(self).__name__} must define __getitem__(index)")

    @property
    def num_batches(self) -> int | None:
        """Number of batches, ``None`` for infinitely many."""
        return len(self) if hasattr(self, "__len__") else None

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of one epoch, or without end."""
        index = 0
        while (count := self.num_batches) is None or index < count:
            yield self[index]
            index += 1

    def on_epoch_begin(self) -> None:
        """Start of an epoch."""

    def on_epoch_end(self) -> None:
        """End of an epoch."""


Sequence = PyDataset  # its name in Keras 2


class RowDataset(PyDataset):
    """Base class of data whose rows are read one by one, of which a shard can be read alone.

    Args:
        count: number of rows.
        batch_size: rows in a batch; ``None`` for single rows.
    """

    def __init__(self, count: int, batch_size: int | None) -> None:
        super().__init__()
        self._count, self._batch_size = count, batch_size
        self._shard = 1, 0

    def __len__(self) -> int:
        return math.ceil(self._count / (self._batch_size or 1))

    def __getitem__(self, index: int) -> Any:
        """Return the batch ``index``; ``None`` if the shard has no rows of it."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        size = self._batch_size or 1
        first = index * size
        rows, (shards, its) = min(size, self._count - first), self._shard
        start, stop = (first + rows * i // shards for i in (its, its + 1))
        return self._read(slice(start, stop)) if start < stop else None

    def _read(self, rows: slice) -> Any:
        """Return these rows as a batch."""
        raise NotImplementedError

    def shard(self, num_shards: int, index: int) -> RowDataset:
        """Return data with the rows of shard ``index`` of each batch alone."""
        its = copy.copy(self)
        its._shard = num_shards, index
        return its


class _Windows(RowDataset):
    """Batches of windows; see :func:`timeseries_dataset_from_array`."""

    def __init__(
        self, data: Array, targets: Array | None, starts: Array, offsets: Array, batch_size: int
    ) -> None:
        super().__init__(len(starts), batch_size)
        self._data, self._targets = data, targets
        self._starts, self._offsets = starts, offsets

    def _read(self, rows: slice) -> Any:
        here = self._starts[rows]
        x = self._data[here[:, None] + self._offsets]
        return x if self._targets is None else (x, self._targets[here])


def timeseries_dataset_from_array(
    data: ArrayLike,
    targets: ArrayLike | None,
    sequence_length: int,
    sequence_stride: int = 1,
    sampling_rate: int = 1,
    batch_size: int | None = 128,
    shuffle: bool = False,
    seed: int | None = None,
    start_index: int | None = None,
    end_index: int | None = None,
) -> PyDataset:
    """Return batches of windows of a time series, for ``fit``, ``evaluate`` and ``predict``.

    The window that starts at time i has the values ``data[i + sampling_rate k]`` for k from 0 to
    ``sequence_length - 1``, and the target ``targets[i]``. Windows are cut when a batch is asked
    for: no copy of all of them is made.

    Args:
        data: the series, (times, ...).
        targets: one for each start; the first ``len(targets)`` windows have one. ``None`` for
            windows alone.
        sequence_length: number of values of a window.
        sequence_stride: distance of the starts of two windows.
        sampling_rate: distance of two values of a window.
        batch_size: windows in a batch; ``None`` for all in one.
        shuffle: shuffle the windows, once; ``fit`` also shuffles the order of batches.
        seed: of the shuffle.
        start_index: first time that is used.
        end_index: first time that is not used any more.

    Raises:
        DataError: no window fits.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> series = np.arange(6.0)
        >>> windows = nl.utils.timeseries_dataset_from_array(series, series[3:], sequence_length=3)
        >>> x, y = windows[0]
        >>> x.tolist(), y.tolist()
        ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]], [3.0, 4.0, 5.0])
    """
    owner = "timeseries_dataset_from_array"
    values = as_array(owner, "data", data)
    wanted = None if targets is None else as_array(owner, "targets", targets)
    for argument, array in (("data", values), ("targets", wanted)):
        if array is not None and not array.ndim:
            raise DataError(f"{owner}: {argument} must have an axis of times, got {array!r}.")
    length = check_integer(owner, "sequence_length", sequence_length, minimum=1)
    stride = check_integer(owner, "sequence_stride", sequence_stride, minimum=1)
    rate = check_integer(owner, "sampling_rate", sampling_rate, minimum=1)
    first = (
        0 if start_index is None else check_integer(owner, "start_index", start_index, minimum=0)
    )
    last = len(values)
    if end_index is not None:
        last = min(last, check_integer(owner, "end_index", end_index, minimum=1))
    if first >= last:
        raise ConfigurationError(f"{owner}: start_index={first} must be below end_index={last}.")
    values = values[first:last]
    count = len(values) - rate * (length - 1)
    if wanted is not None:
        wanted = wanted[first:] if start_index else wanted
        count = min(count, len(wanted))
    starts = np.arange(0, max(0, count), stride)
    if not len(starts):
        raise DataError(
            f"{owner}: no window of sequence_length={length} values, sampling_rate={rate} apart, "
            f"fits into the {len(values)} times from start_index to end_index"
            + ("." if wanted is None else f", with {len(wanted)} targets.")
        )
    offsets = rate * np.arange(length)
    if check_flag(owner, "shuffle", shuffle):
        rng = np.random.default_rng(None if seed is None else check_seed(owner, seed))
        rng.shuffle(starts)
    size = len(starts)
    if batch_size is not None:
        size = check_integer(owner, "batch_size", batch_size, minimum=1)
    return _Windows(values, wanted, starts, offsets, size)
