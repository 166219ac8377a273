"""Base classes of losses with an ``axis`` argument and of losses of one-hot targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.checks import check_integer
from netlayers.errors import ShapeError
from netlayers.losses.base import Loss
from netlayers.losses.given import check_range

if TYPE_CHECKING:
    from netlayers._typing import Array, Dtype, Shape


class AxisLoss(Loss):
    """Base class of losses with an ``axis``, which is moved to the end and for the computation."""

    def __init__(
        self, axis: int, reduction: str | None, name: str | None, dtype: str | None
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.axis = check_integer(type(self).__name__, "axis", axis)
        self.moves_axis = self.axis != -1

    def _to_last_axis(self, y_pred: Array) -> Array:
        """Return predictions with the outputs on the last axis."""
        self.cache.moved = self.axis != y_pred.ndim - 1
        if not self.cache.moved:
            return y_pred
        if not -y_pred.ndim <= self.axis < y_pred.ndim or self.axis % y_pred.ndim == 0:
            raise ShapeError(
                f"loss {self.name!r}: axis={self.axis} is not an output axis of predictions of "
                f"shape {y_pred.shape}."
            )
        moved = np.moveaxis(y_pred, self.axis, -1)
        self.cache.shape = moved.shape
        return moved

    def _from_last_axis(self, dy: Array) -> Array:
        """Return a gradient with the outputs on the axis that they have in the predictions."""
        return np.moveaxis(dy, -1, self.axis) if self.cache.moved else dy

    def targets(self, y_true: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the checked targets, (batch, ..., outputs), with the output axis last."""
        if self.axis not in (-1, len(shape) - 1) and np.ndim(y_true) == len(shape):
            y_true = np.moveaxis(np.asarray(y_true), self.axis, -1)
        return super().targets(y_true, shape, dtype)

    def _outputs_last(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape with the output axis last."""
        if not -len(shape) <= self.axis < len(shape):
            return shape
        sizes = list(shape)
        sizes.append(sizes.pop(self.axis))
        return tuple(sizes)


class OneHotTargets(Loss):
    """Base class of losses whose targets are one-hot rows or probabilities."""

    target_kind = "one-hot"

    def targets(self, y_true: Any, shape: tuple[int, ...], dtype: Dtype) -> Array:
        """Return the checked targets, (batch, ..., classes)."""
        t = super().targets(y_true, shape, dtype)
        check_range(f"loss {self.name!r}", t, 0, None, "one-hot rows or probabilities")
        return t

    def _warn_of_targets(self, t: Array) -> None:
        """Warn about rows that do not sum to 1."""
        sums = t.sum(axis=-1)
        if np.any(np.abs(sums - 1) > 1e-3):
            warn(
                f"loss {self.name!r}: rows of y sum to {sums.min():g} up to {sums.max():g}, where "
                "one-hot rows and probabilities sum to 1. For several labels of a sample use "
                "BinaryCrossentropy; to leave samples out, sample_weight."
            )

    def _shape_hint(self, got: tuple[int, ...], shape: Shape) -> str:
        if got in (shape[:-1], (*shape[:-1], 1)):
            return (
                "These look like class indices: use SparseCategoricalCrossentropy, or one-hot "
                "targets, np.eye(classes)[y]."
            )
        return super()._shape_hint(got, shape)
