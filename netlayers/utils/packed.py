"""Series of different lengths, packed one behind the other, in batches with little padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_array
from netlayers.checks import check_flag, check_integer, check_number, check_seed
from netlayers.errors import DataError
from netlayers.utils.sequences import RowDataset

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike


class PackedDataset(RowDataset):
    """Batches of series; see :func:`packed_dataset`.

    Attributes:
        order: the numbers of the series in the order of the batches, (series,).
    """

    def __init__(
        self,
        values: Array,
        lengths: Array,
        targets: Array | None,
        order: Array,
        batch_size: int,
        padding_value: float,
    ) -> None:
        super().__init__(len(order), batch_size)
        self.order, self._size = order, batch_size
        self._values, self._lengths, self._targets = values, lengths, targets
        self._starts = np.cumsum(lengths) - lengths
        self._padding_value = padding_value

    def _read(self, rows: slice) -> Any:
        """Return x, padded to the longest series of the batch, and the targets."""
        series = self.order[rows]
        end = (rows.start // self._size + 1) * self._size  # of the batch, also for a shard of it
        longest = int(self._lengths[self.order[:end][-1]])
        x = self._padded(self._values, series, longest, self._padding_value)
        if self._targets is None:
            return x
        if len(self._targets) == len(self._lengths):
            return x, self._targets[series]
        return x, self._padded(self._targets, series, longest, 0)

    def _padded(self, packed: Array, series: Array, longest: int, value: float) -> Array:
        """Return some of the series, (series, steps of the longest, ...)."""
        lengths = self._lengths[series]
        steps = np.arange(longest)
        there = steps < lengths[:, None]
        found = np.full((*there.shape, *packed.shape[1:]), value, packed.dtype)
        found[there] = packed[(self._starts[series][:, None] + steps)[there]]
        return found


def packed_dataset(
    values: ArrayLike,
    lengths: ArrayLike,
    targets: ArrayLike | None = None,
    batch_size: int = 32,
    shuffle: bool = False,
    seed: int | None = None,
    padding_value: float = 0.0,
) -> PackedDataset:
    """Return batches of series of different lengths, for ``fit``, ``evaluate`` and ``predict``.

    A batch has series of about the same length, padded to its longest one: hardly a step is
    computed for padding. ``Masking(padding_value)`` or ``Embedding(mask_zero=True)`` makes the mask
    of the others. ``fit`` shuffles the order of the batches in each epoch.

    Args:
        values: all series, one behind the other, (steps of all series, ...).
        lengths: number of steps of each series.
        targets: one for each series, or packed like ``values``; these are padded with 0, which the
            mask leaves out of losses and metrics. ``None`` for series alone.
        batch_size: series in a batch.
        shuffle: shuffle the series of equal length, once.
        seed: of the shuffle.
        padding_value: what is padded with.

    Returns:
        A :class:`netlayers.utils.PyDataset`. ``predict`` returns its rows in the order of the
        batches: ``dataset.order`` has the numbers of their series.

    Raises:
        DataError: lengths are no positive integers, or do not sum up to the number of steps.

    Source:
        Batches of similar lengths: M. Morishita et al., "An empirical study of mini-batch creation
        strategies for neural machine translation", Workshop on Neural Machine Translation 2017.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> series = [[1.0, 2.0, 3.0], [4.0], [5.0, 6.0, 7.0, 8.0], [9.0, 10.0]]
        >>> lengths = [len(one) for one in series]
        >>> batches = nl.utils.packed_dataset(np.concatenate(series), lengths, batch_size=2)
        >>> [batch.tolist() for batch in batches]
        [[[4.0, 0.0], [9.0, 10.0]], [[1.0, 2.0, 3.0, 0.0], [5.0, 6.0, 7.0, 8.0]]]
        >>> batches.order.tolist()
        [1, 3, 0, 2]
    """
    owner = "packed_dataset"
    packed, counts = as_array(owner, "values", values), as_array(owner, "lengths", lengths)
    wanted = None if targets is None else as_array(owner, "targets", targets)
    if counts.ndim != 1 or counts.dtype.kind not in "iu" or not len(counts) or counts.min() < 1:
        raise DataError(
            f"{owner}: lengths must be positive integers, one per series, got {lengths!r:.60}."
        )
    if not packed.ndim or counts.sum() != len(packed):
        steps = len(packed) if packed.ndim else "none"
        raise DataError(
            f"{owner}: lengths must sum up to the number of steps in values, {steps}; they sum up "
            f"to {counts.sum()}."
        )
    if wanted is not None and (not wanted.ndim or len(wanted) not in (len(counts), len(packed))):
        raise DataError(
            f"{owner}: targets must have an entry for each of the {len(counts)} series or of the "
            f"{len(packed)} steps, got the shape {wanted.shape}."
        )
    order = np.arange(len(counts))
    if check_flag(owner, "shuffle", shuffle):
        rng = np.random.default_rng(None if seed is None else check_seed(owner, seed))
        rng.shuffle(order)
    order = order[np.argsort(counts[order], kind="stable")]
    size = check_integer(owner, "batch_size", batch_size, minimum=1)
    value = check_number(owner, "padding_value", padding_value)
    return PackedDataset(packed, counts.astype(np.int64), wanted, order, size, value)
