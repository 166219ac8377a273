"""Data outside of epochs: one batch, a few steps, or all rows."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from netlayers.arrays.checks import warn_of_lost_columns
from netlayers.data.arrays import ArrayData, column
from netlayers.data.batch import Batch, copy_batch, join_batches
from netlayers.data.streams import is_stream
from netlayers.training.batching import BatchSettings, in_batches, open_stream
from netlayers.training.inputs import (
    batch_of,
    columns_of,
    input_batch,
    input_columns,
    remember_columns,
    target_dtype,
)

if TYPE_CHECKING:
    from netlayers.data.arrays import AnyColumn
    from netlayers.data.streams import Stream
    from netlayers.training.compilation import CompilableModel

_ALL = BatchSettings(None, None, 0, "batch_size")
_ONE = BatchSettings(None, 1, 0, "batch_size")


def one_batch(
    model: CompilableModel, owner: str, x: Any, y: Any, sample_weight: Any = None
) -> Batch:
    """Check one batch; for data that come in batches, return the first.

    Raises:
        DataError, ShapeError, ConfigurationError: what is wrong, where, and what to do.
    """
    if in_batches(owner, x, y, sample_weight=sample_weight):
        with closing(open_stream(model, owner, x, _ONE)) as stream:
            return next(stream.batches())
    return batch_of(model, owner, x, y, sample_weight)


def one_input(model: CompilableModel, owner: str, x: Any) -> Any:
    """Check the inputs of one batch; for data that come in batches, return the first.

    Raises:
        DataError, ShapeError: what is wrong, where, and what to do.
    """
    if is_stream(x):
        with closing(open_stream(model, owner, x, _ONE, targets=False)) as stream:
            return next(stream.batches()).inputs
    return input_batch(model, owner, x)


def columns_in_memory(
    model: CompilableModel, owner: str, x: Any, y: Any, sample_weight: Any, rows: int | None = None
) -> tuple[list[AnyColumn | None], int | None]:
    """Check data that must be in memory; read data that come in batches into memory.

    Args:
        model: the model; built if necessary.
        owner: the caller, for messages.
        x: inputs, or data that come in batches.
        y: targets; ``None`` with batches.
        sample_weight: weights, or ``None``.
        rows: number of rows required; ``None`` for all.

    Returns:
        The columns, and the rows of the first batch, ``None`` for arrays.

    Raises:
        DataError, ShapeError, ConfigurationError: what is wrong, where, and what to do.
    """
    if not in_batches(owner, x, y, sample_weight=sample_weight):
        columns = columns_of(model, owner, x, y, sample_weight)
        remember_columns(model, x)
        warn_of_lost_columns(owner, columns)
        return columns, None
    batches: list[Batch] = []
    read = 0
    with closing(open_stream(model, owner, x, _ALL, trains=True)) as stream:
        for batch in stream.batches():
            batches.append(copy_batch(batch))
            read += batch.size
            if rows is not None and read >= rows:
                break
    inputs, targets, weights, _ = join_batches(batches)
    weight_column = None if weights is None else column(weights, model._dtype)
    columns = [
        input_columns(model, inputs),
        column(targets, target_dtype(model, targets)),
        weight_column,
    ]
    return columns, batches[0].size


def steps_of(
    model: CompilableModel,
    owner: str,
    x: Any,
    y: Any,
    sample_weight: Any,
    steps: int,
    batch_size: int,
) -> ArrayData | Stream:
    """Return ``steps`` batches; the data restart when they are exhausted.

    Raises:
        DataError, ShapeError, ConfigurationError: what is wrong, where, and what to do.
    """
    rng = model._streams.get("shuffle")
    if in_batches(owner, x, y, sample_weight=sample_weight):
        settings = BatchSettings(None, steps, 0, "batch_size")
        return open_stream(model, owner, x, settings, rng=rng, continuous=True)
    columns = columns_of(model, owner, x, y, sample_weight)
    return ArrayData(columns, batch_size, rng, steps=steps, continuous=True)
