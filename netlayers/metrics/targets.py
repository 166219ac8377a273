"""Checks and conversions of targets and predictions for metrics."""

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
            f"metric {metric.name!r}: y_true has the shape {y_true.shape}, expected {expected} by "
            "that of y_pred."
        )


def with_outputs(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
    """Return both as arrays with the outputs on the last axis.

    Targets of a single output may lack that axis; nothing is ever broadcast.
    """
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    if not y_pred.ndim or y_pred.dtype.kind not in "fiub":
        raise ShapeError(
            "metrics: y_pred must be an array of real numbers, (batch, ...), got "
            f"{y_pred.dtype} of the shape {y_pred.shape}."
        )
    if y_pred.ndim == 1:
        y_pred = y_pred[:, None]
    if y_true.shape == y_pred.shape[:-1] and y_pred.shape[-1] == 1:
        y_true = y_true[..., None]
    return y_true, y_pred


def same_outputs(metric: Metric, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
    """Return targets and predictions of equal shape, (batch, ..., outputs).

    Raises:
        ShapeError: there is not one target per output.
    """
    y_true, y_pred = with_outputs(y_true, y_pred)
    check_same_shape(metric, y_true, y_pred.shape)
    return y_true, y_pred


def float64_outputs(metric: Metric, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array]:
    """Return targets and predictions of equal shape, as float64; see :func:`same_outputs`."""
    t, p = same_outputs(metric, y_true, y_pred)
    return t.astype(np.float64, copy=False), p.astype(np.float64, copy=False)


def is_sparse(y_true: Array, y_pred: Array) -> bool:
    """Return whether the targets are class indices for several outputs."""
    return y_pred.shape[-1] > 1 and y_true.shape in (y_pred.shape[:-1], (*y_pred.shape[:-1], 1))


def class_indices(metric: Metric, y_true: Array, classes: int, argument: str = "y_true") -> Array:
    """Return class indices, (batch, ...) or (batch, ..., 1), as checked integers.

    Raises:
        DataError: one of them is not a valid class.
    """
    with np.errstate(invalid="ignore"):  # NaN and 1e300 become different integers
        indices = y_true.astype(np.intp, copy=False)
    wrong = (indices != y_true) | (indices < 0) | (indices >= classes)
    if wrong.any():
        raise DataError(
            f"metric {metric.name!r}: {argument} must be class indices from 0 to {classes - 1}, as "
            f"there are {classes} outputs, got {y_true[wrong].flat[0]}."
        )
    return indices


def drop_class(
    ignored: int, y_true: Array, y_pred: Array, sample_weight: Array | None, axis: int
) -> tuple[Array, Array, Array | None]:
    """Return targets, predictions and weights without the samples of a class.

    Args:
        ignored: the class.
        y_true: class indices, (batch, ...) or (batch, ..., 1).
        y_pred: (batch, ..., classes).
        sample_weight: one for each sample or for each target, or ``None``.
        axis: axis of the classes in ``y_pred``.

    Returns:
        Targets (m,), predictions (m, classes), and weights (m,) or ``None``.
    """
    if y_true.ndim == y_pred.ndim:
        y_true = y_true[..., 0]
    known: Array = np.not_equal(y_true, ignored)
    return _selected(known, y_true, np.moveaxis(y_pred, axis, -1), sample_weight)


def drop_unknown(
    y_true: Array, y_pred: Array, sample_weight: Array | None
) -> tuple[Array, Array, Array | None, Array | None]:
    """Return targets, predictions and weights without the targets that are NaN.

    Samples without a known target are left out; in others, unknown targets become 1, with the
    weight 0.

    Args:
        y_true: (batch, ...).
        y_pred: (batch, ..., outputs).
        sample_weight: one for each sample or for each target, or ``None``.

    Returns:
        Targets, predictions, the weights that leave unknown targets out, ``None`` if all are known
        now, and those times the sample weights, ``None`` if both are.
    """
    known = ~np.isnan(y_true)
    single = y_true.ndim < y_pred.ndim
    samples = np.asarray(known if single else known.any(axis=-1))
    if not samples.all():
        y_true, y_pred, sample_weight = _selected(samples, y_true, y_pred, sample_weight)
        known = known[samples]
    if single or known.all():
        return y_true, y_pred, None, sample_weight
    weight = known.astype(np.float64)
    y_true = np.where(known, y_true, 1)
    if sample_weight is None:
        return y_true, y_pred, weight, weight
    axes = (1,) * (weight.ndim - sample_weight.ndim)
    return y_true, y_pred, weight, weight * sample_weight.reshape(*sample_weight.shape, *axes)


def _selected(
    samples: Array, y_true: Array, y_pred: Array, weight: Array | None
) -> tuple[Array, Array, Array | None]:
    """Return the samples of a mask, (batch, ...), with the weights of samples or of targets."""
    if weight is not None:
        weight = weight.reshape(*weight.shape, *(1,) * (samples.ndim - weight.ndim))
        weight = np.broadcast_to(weight, (*samples.shape, *weight.shape[samples.ndim :]))[samples]
    return y_true[samples], y_pred[samples], weight


def labels(metric: Metric, y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Array, Array, bool]:
    """Return the boolean targets per output, the predictions, and whether classes are exclusive.

    Args:
        metric: the metric, named in error messages.
        y_true: 0 or 1 (or -1 or 1) per output or, for several outputs, the index of the positive
            one.
        y_pred: (batch, ..., outputs), or (batch,) for one output.

    Raises:
        ShapeError, DataError: ``y_true`` is neither.
    """
    y_true, y_pred = with_outputs(y_true, y_pred)
    if is_sparse(y_true, y_pred):
        indices = class_indices(metric, y_true, y_pred.shape[-1])
        column = indices.reshape(*y_pred.shape[:-1], 1)
        return column == np.arange(y_pred.shape[-1]), y_pred, True
    check_same_shape(metric, y_true, y_pred.shape)
    return positives(metric, y_true), y_pred, False


def positives(metric: Metric, y_true: Array) -> Array:
    """Return where targets are 1, if all are 0 or 1, or all -1 or 1.

    Raises:
        DataError: they are not.
    """
    positive: Array = y_true == 1
    if not ((positive | (y_true == 0)).all() or (positive | (y_true == -1)).all()):
        wrong = y_true[~positive & (y_true != 0)]
        raise DataError(
            f"metric {metric.name!r}: y_true must be 0 or 1 (or -1 or 1) for each output, got "
            f"{wrong.flat[0]:g}. Convert probabilities with y > 0.5; class indices need one output "
            "per class."
        )
    return positive


def scores_and_thresholds(
    y_pred: Array, thresholds: Array, from_logits: bool, exclusive: bool
) -> tuple[Array, Array]:
    """Return scores and thresholds to compare for the decision ``probability > threshold``.

    Logits are not converted to probabilities, many of which would round to 0 or 1:
    ``sigmoid(z) > c`` is decided by ``z > log(c / (1 - c))``, softmax outputs are compared on a
    logarithmic scale.

    Args:
        y_pred: (batch, ..., outputs).
        thresholds: thresholds of probabilities.
        from_logits: whether ``y_pred`` holds logits.
        exclusive: whether these belong to a softmax rather than to sigmoids.
    """
    if from_logits:
        with np.errstate(divide="ignore"):  # log(0) is -inf, as it should be
            log_c = np.log(np.clip(thresholds, 0, 1))
            thresholds = log_c if exclusive else log_c - np.log1p(-np.clip(thresholds, 0, 1))
        if exclusive:
            y_pred = log_softmax(y_pred)
    if y_pred.dtype.kind == "f":  # otherwise 0.1 in float32 would exceed 0.1
        thresholds = thresholds.astype(y_pred.dtype)
    return y_pred, thresholds


def log_softmax(z: Array) -> Array:
    """``z - max z - log Σ exp(z - max z)``, in float64."""
    shifted = np.subtract(z, z.max(axis=-1, keepdims=True), dtype=np.float64)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
