"""Softmax, its logarithm, and sparsemax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.activations.base import AxisActivation
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples

_BOOL = np.dtype(bool)
_FLOAT64 = np.dtype(np.float64)


@register("layer", "softmax")
class Softmax(AxisActivation):
    """Softmax: ``y = exp(x) / Σ exp(x)``, positive values that sum to one along an axis.

    Args:
        axis: axis along which the outputs sum to one, or a tuple of axes.
        kwargs: ``name``, ``trainable``, ``dtype``.

    A compiled model fuses a final softmax with a cross-entropy loss and computes both from ``x``;
    ``backward`` here is the derivative of the softmax alone.

    Source:
        C. Bishop, "Pattern recognition and machine learning", 2006, eq. 4.62.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Softmax()(np.array([[0.0, 1.0, 2.0]])).round(3)
        array([[0.09 , 0.245, 0.665]], dtype=float32)
    """

    _takes_axes = True

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [*AxisActivation.examples(), ({"axis": (1, 2)}, (2, 3, 4))]

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = exp(x - max x) / Σ exp(x - max x)``."""
        x, y = self.start_forward(x, training, inplace)
        largest = np.maximum.reduce(x, axis=self.axis, keepdims=True, initial=-np.inf)
        np.subtract(x, largest, out=y)
        np.exp(y, out=y)
        return np.divide(y, np.add.reduce(y, axis=self.axis, keepdims=True), out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = y (dy - Σ dy y)``: the Jacobian is ``diag(y) - y yᵀ``."""
        dy, dx = self.start_backward(dy)
        y = self.cache.y
        np.multiply(dy, y, out=dx)
        np.subtract(dy, np.sum(dx, axis=self.axis, keepdims=True), out=dx)
        return np.multiply(dx, y, out=dx)


@register("layer", "log_softmax")
class LogSoftmax(AxisActivation):
    """Logarithm of the softmax, accurate also where the softmax underflows to zero.

    Args:
        axis: axis along which the exponentials of the outputs sum to one, or a tuple of axes.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.LogSoftmax()(np.array([[0.0, 1.0, 2.0]])).round(3)
        array([[-2.408, -1.408, -0.408]], dtype=float32)
    """

    _takes_axes = True

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return Softmax.examples()

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = x - max x - log Σ exp(x - max x)``."""
        x, y = self.start_forward(x, training, inplace)
        if not x.size:
            return y
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


@register("layer", "sparsemax")
class Sparsemax(AxisActivation):
    """Projection onto the probability simplex: sums to one along an axis, with exact zeros.

    ``y = max(x - τ, 0)``, where the threshold τ is such that ``Σ y = 1``.

    Args:
        axis: axis along which the outputs sum to one.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        A. Martins, R. Astudillo, "From softmax to sparsemax: a sparse model of attention and
        multi-label classification", ICML 2016, eq. 2 and 3, algorithm 1. Keras 3.15 computes
        something else, a bug fixed since: https://github.com/keras-team/keras,
        pull request 23469.

    Example:
        >>> from netlayers import activations
        >>> activations.sparsemax([1.0, 0.5, 0.0, -3.0]).tolist()
        [0.75, 0.25, 0.0, 0.0]
    """

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = max(r - d, 0)`` with the gaps ``d = max x - x`` and ``r = max x - τ``.

        With the gaps in ascending order, ``r = min_k (1 + d_1 + ... + d_k) / k``: the quotient
        decreases as long as ``d_k`` is below it, which is the paper's condition for the support. As
        ``r <= 1`` (k = 1), gaps may be clipped at 1, and no sum overflows.
        """
        x, y = self.start_forward(x, training, inplace)
        if not x.size:
            return y
        axis, count = self.axis, x.shape[self.axis]
        np.subtract(np.max(x, axis=axis, keepdims=True), x, out=y)
        np.minimum(y, 1, out=y)
        gaps = self.buffer("gaps", x.shape, training)
        np.copyto(gaps, y)
        gaps.sort(axis=axis)
        quotients = self.buffer("quotients", x.shape, training, _FLOAT64)
        np.copyto(quotients, gaps)
        np.cumsum(quotients, axis=axis, out=quotients)
        quotients += 1
        sizes = np.arange(1, count + 1, dtype=_FLOAT64)
        quotients /= sizes.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])
        r = np.min(quotients, axis=axis, keepdims=True).astype(self._dtype)
        np.subtract(r, y, out=y)
        return np.maximum(y, 0, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy - mean dy`` where ``y > 0``, with the mean over these entries; else 0."""
        dy, dx = self.start_backward(dy)
        support = self.workspace("support", dy.shape, _BOOL)
        np.greater(self.cache.y, 0, out=support)
        np.multiply(dy, support, out=dx)
        size = np.sum(support, axis=self.axis, keepdims=True, dtype=self._dtype)
        mean = np.sum(dx, axis=self.axis, keepdims=True)
        mean /= np.maximum(size, 1)  # size is 0 only where x is NaN
        np.subtract(dy, mean, out=dx)
        return np.multiply(dx, support, out=dx)
