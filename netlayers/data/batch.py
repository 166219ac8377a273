"""A batch, and the protocol of the datasets that yield batches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

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
