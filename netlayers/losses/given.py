"""Checks of the arguments of losses: predictions, sample weights, the range of targets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.arrays.convert import as_array, as_float, check_finite
from netlayers.errors import DataError, ShapeError
from netlayers.kernels.select import kernels

if TYPE_CHECKING:
    from netlayers._typing import Array, ArrayLike, Dtype, Shape


def as_predictions(owner: str, y_pred: Any) -> Array:
    """Return predictions as an array of float32 or float64.

    Raises:
        ShapeError: there are no samples.
        DataError: they are not numeric.
    """
    array = as_array(owner, "y_pred", y_pred)
    is_float64 = array.dtype.char == "d" and isinstance(y_pred, np.ndarray)
    array = as_float(owner, "y_pred", array, np.dtype(np.float64 if is_float64 else np.float32))
    if not array.ndim or not len(array):
        raise ShapeError(
            f"{owner}: y_pred must hold at least one sample, got the shape {array.shape}."
        )
    return array


def as_weights(owner: str, sample_weight: ArrayLike, shape: tuple[int, ...], dtype: Dtype) -> Array:
    """Return sample weights in the shape of the losses; a number weighs every loss.

    Raises:
        ShapeError: their shape does not match.
        DataError: one is negative or not finite.
    """
    weight = as_float(owner, "sample_weight", sample_weight, dtype)
    if weight.shape == (*shape, 1):
        weight = weight[..., 0]
    expanded = expand_weights(weight, shape)
    if expanded is None:
        hint = ""
        if weight.ndim == len(shape) + 1:
            hint = " The loss has one value per sample: it cannot weigh single outputs."
        raise ShapeError(
            f"{owner}: sample_weight has the shape {weight.shape}, expected {shape[:1]}, one "
            f"weight per sample.{hint}"
        )
    check_weights(owner, weight)
    return expanded


def expand_weights(weight: Array, shape: Shape) -> Array | None:
    """Return weights as a view of the given shape, or ``None`` if they do not match it.

    The axes of the weights are its first ones; an axis of length 1 counts for all.
    """
    if weight.ndim > len(shape) or any(
        size not in (1, of) for size, of in zip(weight.shape, shape, strict=False)
    ):
        return None
    weight = weight.reshape(weight.shape + (1,) * (len(shape) - weight.ndim))
    return np.broadcast_to(weight, shape)  # type: ignore[arg-type]


def check_output_weights(owner: str, weight: Array, shape: Shape) -> Array:
    """Return weights of single outputs in the shape of the targets.

    Raises:
        ShapeError: their shape does not match.
        DataError: one is negative or not finite.
    """
    expanded = expand_weights(weight, shape)
    if expanded is None:
        raise ShapeError(
            f"{owner}: sample_weight has the shape {weight.shape}, expected {shape[:1]}, one "
            f"weight per sample, or {shape}, one per target."
        )
    check_weights(owner, weight)
    return expanded


def check_weights(owner: str, weight: Array) -> None:
    """Raise a DataError if a sample weight is negative or not finite."""
    check_finite(owner, "sample_weight", weight)
    if weight.size and weight.min() < 0:
        weight = np.atleast_1d(weight)
        raise DataError(
            f"{owner}: sample_weight must not be negative, got {weight.min()} (row "
            f"{int(np.argmin(weight.reshape(len(weight), -1).min(axis=1)))})."
        )


def check_range(
    owner: str, y_true: Array, low: float, high: float | None, expected: str, hint: str = ""
) -> None:
    """Raise a DataError unless all targets are within [``low``, ``high``]."""
    if not kernels.all_within(y_true, low, math.inf if high is None else high):
        raise DataError(
            f"{owner}: y_true must be {expected}, got values from {y_true.min():g} to "
            f"{y_true.max():g}. {hint}".rstrip()
        )
