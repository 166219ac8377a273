"""Saturating activations (sigmoid, tanh, softsign) and the exponential."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.activations.base import ActivationLayer
from netlayers.kernels.select import kernels
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array


@register("layer", "sigmoid")
class Sigmoid(ActivationLayer):
    """Logistic function, ``y = 1 / (1 + exp(-x))``.

    Source:
        C. Bishop, "Pattern recognition and machine learning", 2006, eq. 4.59.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Sigmoid()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[0.119, 0.622, 0.881]], dtype=float32)
    """

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = 1 / (1 + exp(-x))``."""
        x, y = self.start_forward(x, training, inplace)
        kernels.sigmoid(x, y)
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy y (1 - y)``."""
        dy, dx = self.start_backward(dy)
        kernels.sigmoid_gradient(dy, self.cache.y, dx)
        return dx


@register("layer", "tanh")
class Tanh(ActivationLayer):
    """Hyperbolic tangent.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Tanh()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-0.964,  0.462,  0.964]], dtype=float32)
    """

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = tanh(x)``."""
        x, y = self.start_forward(x, training, inplace)
        kernels.tanh(x, y)
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy (1 - y²)``."""
        dy, dx = self.start_backward(dy)
        kernels.tanh_gradient(dy, self.cache.y, dx)
        return dx


@register("layer", "softsign")
class Softsign(ActivationLayer):
    """``y = x / (1 + |x|)``, which saturates more slowly than tanh.

    Source:
        J. Turian, J. Bergstra, Y. Bengio, "Quadratic features and deep architectures for chunking",
        NAACL 2009.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Softsign()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-0.667,  0.333,  0.667]], dtype=float32)
    """

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = x / (1 + |x|)``."""
        x, y = self.start_forward(x, training, inplace)
        scratch = self.buffer("scratch", x.shape, training)
        np.abs(x, out=scratch)
        np.add(scratch, 1, out=scratch)
        return np.divide(x, scratch, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy / (1 + |x|)² = dy (1 - |y|)²``."""
        dy, dx = self.start_backward(dy)
        np.abs(self.cache.y, out=dx)
        np.subtract(1, dx, out=dx)
        np.multiply(dx, dx, out=dx)
        return np.multiply(dx, dy, out=dx)


@register("layer", "exponential", "exp")
class Exponential(ActivationLayer):
    """``y = exp(x)``; above 88 (float32) or 709 (float64) the result is infinite.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Exponential()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[0.135, 1.649, 7.389]], dtype=float32)
    """

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = exp(x)``."""
        x, y = self.start_forward(x, training, inplace)
        with np.errstate(over="ignore"):
            return np.exp(x, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy y``."""
        dy, dx = self.start_backward(dy)
        return np.multiply(dy, self.cache.y, out=dx)
