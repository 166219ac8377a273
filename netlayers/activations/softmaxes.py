"""Softmax and its logarithm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.activations.base import ActivationLayer
from netlayers.checks import check_integer
from netlayers.errors import ShapeError
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples


class _AlongAxis(ActivationLayer):
    """An activation that normalizes along an axis.

    Args:
        axis: that axis; negative counts from the end.
        kwargs: ``name``, ``trainable``, ``dtype``.
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = check_integer(type(self).__name__, "axis", axis)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, (4, 3)), ({"axis": 1}, (2, 4, 3)), ({"axis": -2}, (2, 3, 4))]

    def prepare(self, x: Any) -> Array:
        """Return ``x`` as an array of this layer's dtype.

        Raises:
            ShapeError: it has no axis ``axis``.
        """
        x = super().prepare(x)
        if not -x.ndim <= self.axis < x.ndim:
            raise ShapeError(
                f"{self.cache._owner} ({type(self).__name__}): axis={self.axis} does not exist in "
                f"an input of shape {x.shape}."
            )
        return x


@register("layer", "softmax")
class Softmax(_AlongAxis):
    """Positive numbers that sum to one along an axis: ``y = exp(x) / Σ exp(x)``.

    Args:
        axis: where they sum to one.
        kwargs: ``name``, ``trainable``, ``dtype``.

    As the last activation before a cross-entropy loss, a compiled model computes the two together
    from ``x``; this class is still the true derivative of the softmax alone.
    """

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = exp(x - max x) / Σ exp(x - max x)``."""
        x, y = self.start_forward(x, training, inplace)
        np.subtract(x, np.max(x, axis=self.axis, keepdims=True), out=y)
        np.exp(y, out=y)
        return np.divide(y, np.sum(y, axis=self.axis, keepdims=True), out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = y (dy - Σ dy y)``: the Jacobian is ``diag(y) - y yᵀ``."""
        dy, dx = self.start_backward(dy)
        y = self.cache.y
        np.multiply(dy, y, out=dx)
        np.subtract(dy, np.sum(dx, axis=self.axis, keepdims=True), out=dx)
        return np.multiply(dx, y, out=dx)


@register("layer", "log_softmax")
class LogSoftmax(_AlongAxis):
    """Logarithm of the softmax, exact also where the softmax rounds to zero.

    Args:
        axis: where the exponentials sum to one.
        kwargs: ``name``, ``trainable``, ``dtype``.
    """

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = x - max x - log Σ exp(x - max x)``."""
        x, y = self.start_forward(x, training, inplace)
        exp = self.buffer("exp", x.shape, training)
        np.subtract(x, np.max(x, axis=self.axis, keepdims=True), out=y)
        np.exp(y, out=exp)
        return np.subtract(y, np.log(np.sum(exp, axis=self.axis, keepdims=True)), out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy - exp(y) Σ dy``."""
        dy, dx = self.start_backward(dy)
        np.exp(self.cache.y, out=dx)
        dx *= np.sum(dy, axis=self.axis, keepdims=True)
        return np.subtract(dy, dx, out=dx)
