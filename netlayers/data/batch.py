"""A batch, and the protocol of the datasets that yield batches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from netlayers.arrays.sparse import is_sparse
from netlayers.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlayers._typing import Dtype, Shape


class Data(Protocol):
    """A dataset, read in batches, epoch by epoch."""

    @property
    def steps(self) -> int | None:
        """Batches in an epoch, ``None`` while unknown."""

    @property
    def rows(self) -> int | None:
        """Rows in an epoch, ``None`` if unknown."""

    def ready(self) -> bool:
        """Start the next epoch unless it has started; return whether it has batches."""

    def batches(self, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch after the first ``start``."""

    def close(self) -> None:
        """Release the source."""

    def get_state(self, done: int | None = None) -> dict[str, Any]:
        """Return the position after ``done`` batches of an epoch, or between epochs."""

    def set_state(self, state: dict[str, Any], done: int | None = None) -> None:
        """Continue from a position that ``get_state`` returned."""

    def fingerprint(self) -> dict[str, Any]:
        """Return what must not change when a run resumes."""

    def reproducibility_warning(self) -> str | None:
        """Return why another process might read other batches, or ``None``."""


class Batch(NamedTuple):
    """Checked data for one step.

    Attributes:
        inputs: an array or CSR matrix; for a model with several inputs, a tuple of arrays in the
            order of the inputs.
        targets: an array, a tuple of arrays for a model with several outputs, or ``None``.
        weights: one weight for each sample; ``None`` for weights of 1.
        size: number of samples.
    """

    inputs: Any
    targets: Any
    weights: Any
    size: int


class PartOfBatch(Batch):
    """The rows of a batch that one of several processes reads.

    Attributes:
        whole: number of rows of the whole batch.
        first: number of rows before these.
        sizes: numbers of rows of the own shards, if each was read by itself.
        bounds: first rows of all shards, and the number of all rows, if the numbers of rows of
            shards depend on the data.
    """

    whole: int
    first: int
    sizes: list[int] | None
    bounds: list[int] | None

    @classmethod
    def of(
        cls,
        batch: Batch,
        whole: int,
        first: int,
        sizes: list[int] | None = None,
        bounds: list[int] | None = None,
    ) -> PartOfBatch:
        """Return a batch of ``batch.size`` rows as part of a larger one."""
        part = cls(*batch)
        part.whole, part.first, part.sizes, part.bounds = whole, first, sizes, bounds
        return part


def copy_batch(batch: Batch) -> Batch:
    """Return a batch with copies of arrays, which a source may overwrite."""
    return batch._replace(**{name: _copied(v) for name, v in batch._asdict().items()})


def join_batches(batches: Sequence[Batch]) -> Batch:
    """Return one batch of all rows; weights are 1 where only other batches have weights.

    Raises:
        DataError: the rows of two batches differ in shape.
    """
    weights = [batch.weights for batch in batches]
    given = next((w for w in weights if w is not None), None)
    if given is not None:
        for i, batch in enumerate(batches):
            if batch.weights is None:
                weights[i] = np.ones((batch.size, *given.shape[1:]), given.dtype)
    parts = [[b.inputs for b in batches], [b.targets for b in batches], weights]
    try:
        x, y, w = map(_joined, parts)
    except ValueError as error:
        raise DataError(f"batches must have rows of one shape to be joined: {error}.") from None
    return Batch(x, y, w, sum(batch.size for batch in batches))


def batches_of(rows: int, batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield the rows of batches of any size in batches of ``rows`` rows; the last may be smaller.

    Raises:
        DataError: the rows of two batches differ in shape.
    """
    waiting: list[Batch] = []
    for batch in batches:
        if not waiting and batch.size == rows:
            yield batch
            continue
        waiting.append(copy_batch(batch))
        count = sum(b.size for b in waiting)
        if count >= rows:
            whole, rest = join_batches(waiting), count % rows
            for start in range(0, count - rest, rows):
                yield part_of_batch(whole, start, start + rows)
            waiting = [part_of_batch(whole, count - rest, count)] if rest else []
    if waiting:
        yield join_batches(waiting)


def _copied(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_copied, value))
    return value.copy() if hasattr(value, "copy") else value


def _joined(parts: Sequence[Any]) -> Any:
    """Concatenate arrays, tuples of arrays or CSR matrices; ``None`` if one is ``None``."""
    if any(part is None for part in parts):
        return None
    if isinstance(parts[0], tuple):
        return tuple(map(_joined, zip(*parts, strict=True)))
    if is_sparse(parts[0]):
        import scipy.sparse

        return scipy.sparse.vstack(parts, format="csr")
    return np.concatenate(parts)


def part_of_batch(batch: Batch, start: int, stop: int) -> Batch:
    """Return the rows from ``start`` to ``stop`` of a batch."""
    x, y, weights = (_rows(value, start, stop) for value in batch[:3])
    return Batch(x, y, weights, stop - start)


def _rows(value: Any, start: int, stop: int) -> Any:
    if isinstance(value, tuple):
        return tuple(_rows(v, start, stop) for v in value)
    return None if value is None else value[start:stop]


class Prepared(Protocol):
    """A model that has seen data: what :func:`ready_batch` compares new data with.

    Attributes:
        _steps: the training steps; ``None`` before the first one.
        _dtype: dtype of the inputs.
        _row: shape of an input without the batch axis.
    """

    _steps: Any
    _dtype: Dtype
    _row: Shape | None


def ready_batch(
    model: Prepared, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None
) -> Batch | None:
    """Return a batch if the arrays need no conversion, else ``None``; a fast check.

    Other data take the full checks, which convert them or raise. Those accept everything that this
    check accepts, and more: for example finite numbers whose sum of squares overflows. Before
    the first step (``_steps`` is ``None``), the result is always ``None``.
    """
    if (
        model._steps is not None
        and sample_weight is None
        and class_weight is None
        and type(x) is type(y) is np.ndarray
        and x.dtype is model._dtype
        and x.shape[1:] == model._row
        and (rows := len(x)) > 0
        and y.ndim > 0
        and len(y) == rows
        and x.flags.c_contiguous
        and y.flags.c_contiguous
        and math.isfinite(np.vdot(x, x))
        and (y.dtype.kind in "iub" or (y.dtype is x.dtype and math.isfinite(np.vdot(y, y))))
    ):
        return Batch(x, y, None, rows)
    return None


def is_ready_input(model: Prepared, x: Any) -> bool:
    """Return whether x is an array of finite numbers that needs no conversion."""
    return (
        type(x) is np.ndarray
        and x.dtype is model._dtype
        and x.shape[1:] == model._row
        and len(x) > 0
        and x.flags.c_contiguous
        and math.isfinite(np.vdot(x, x))
    )
