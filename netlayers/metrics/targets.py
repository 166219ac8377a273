"""Targets and predictions in the forms that metrics count with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.errors import DataError, ShapeError

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike, Shape
    from netlayers.metrics.base import Metric


def check_same_shape(metric: Metric, y_true: Array, expected: Shape) -> None:
    """Raise a ShapeError unless ``y_true`` has the expected shape."""
    if y_true.shape != expected:
        raise ShapeError(
            f"metric {metric.name!r}: y_true has the shape {y_true.shape}, expected {expected}."
        )


def with_outputs(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
    """Return both as arrays whose last axis is that of the outputs.

    Targets of one output may lack that axis; nothing is ever broadcast.
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    if y_pred.ndim == 1:
        y_pred = y_pred[:, None]
    if y_true.shape == y_pred.shape[:-1] and y_pred.shape[-1] == 1:
        y_true = y_true[..., None]
    return y_true, y_pred


def same_outputs(metric: Metric, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
    """Return targets and predictions of one shape, (batch, ..., outputs).

    Raises:
        ShapeError: there is not one target for each output.
    """
    y_true, y_pred = with_outputs(y_true, y_pred)
    check_same_shape(metric, y_true, y_pred.shape)
    return y_true, y_pred


def is_sparse(y_true: Array, y_pred: Array) -> bool:
    """Whether the targets are class numbers, for several outputs."""
    return y_pred.shape[-1] > 1 and y_true.shape in (y_pred.shape[:-1], (*y_pred.shape[:-1], 1))


def class_numbers(metric: Metric, y_true: Array, classes: int) -> Array:
    """Return class numbers, (batch, ...) or (batch, ..., 1), as checked integers.

    Raises:
        DataError: one of them is no class.
    """
    with np.errstate(invalid="ignore"):  # NaN and 1e300 become integers that are not equal to them
        numbers = y_true.astype(np.intp, copy=False)
    wrong = (numbers != y_true) | (numbers < 0) | (numbers >= classes)
    if wrong.any():
        raise DataError(
            f"metric {metric.name!r}: y_true must be class numbers from 0 to {classes - 1}, as "
            f"there are {classes} outputs, got {y_true[wrong].flat[0]}."
        )
    return numbers


def labels(metric: Metric, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array, bool]:
    """Return for each output whether it should be positive; the outputs; if only one should be.

    Args:
        metric: who asks, for the message.
        y_true: 0 or 1 for each output; or, for several outputs, the number of the positive one.
        y_pred: (batch, ..., outputs), or (batch,) for one output.

    Raises:
        ShapeError, DataError: ``y_true`` is neither.
    """
    y_true, y_pred = with_outputs(y_true, y_pred)
    if is_sparse(y_true, y_pred):
        numbers = class_numbers(metric, y_true, y_pred.shape[-1])
        column = numbers.reshape(*y_pred.shape[:-1], 1)
        return column == np.arange(y_pred.shape[-1]), y_pred, True
    check_same_shape(metric, y_true, y_pred.shape)
    positive = y_true == 1
    if not (positive | (y_true == 0)).all():
        wrong = y_true[~positive & (y_true != 0)]
        raise DataError(
            f"metric {metric.name!r}: y_true must be 0 or 1 for each output, got "
            f"{wrong.flat[0]:g}. Labels -1 and 1 become that by (y + 1) / 2, shares by y > 0.5; "
            "class numbers need as many outputs as there are classes."
        )
    return positive, y_pred, False


def scores_and_cuts(
    y_pred: Array, cuts: Array, from_logits: bool, exclusive: bool
) -> tuple[Array, Array]:
    """Return two arrays to compare: ``y_pred`` is above a cut where the first is above the second.

    Probabilities of logits are not computed, since many of them would round to 0 or 1: where
    ``sigmoid(z) > c``, ``z > log(c / (1 - c))``; where ``softmax(z) > c``, the logarithms are.

    Args:
        y_pred: (batch, ..., outputs).
        cuts: thresholds of probabilities.
        from_logits: ``y_pred`` are logits.
        exclusive: of a softmax, else of a sigmoid.
    """
    if from_logits:
        with np.errstate(divide="ignore"):  # log(0) is the right -inf
            low = np.log(np.clip(cuts, 0, 1))
            cuts = low if exclusive else low - np.log1p(-np.clip(cuts, 0, 1))
        if exclusive:
            y_pred = log_softmax(y_pred)
    if y_pred.dtype.kind == "f":  # as 0.1 in float32 is not above 0.1
        cuts = cuts.astype(y_pred.dtype)
    return y_pred, cuts


def log_softmax(z: Array) -> Array:
    """``z - max z - log Σ exp(z - max z)``, in float64."""
    shifted = np.subtract(z, z.max(axis=-1, keepdims=True), dtype=np.float64)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
