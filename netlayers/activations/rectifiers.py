"""Rectified and exponential linear units: linear, ReLU, leaky ReLU, ELU, SELU, CELU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.activations.base import ActivationLayer
from netlayers.checks import check_number
from netlayers.kernels.memory import constant
from netlayers.kernels.select import kernels
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples

_BOOL = np.dtype(bool)
_SMALL = 4096  # entries


@register("layer", "Identity", "identity")
class Linear(ActivationLayer):
    """Identity, ``y = x``, without computation or copy.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Identity()(np.array([[-2.0, 0.5, 2.0]]))
        array([[-2. ,  0.5,  2. ]], dtype=float32)
    """

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = x``."""
        y = x if inplace else self.prepare(x)
        if training:
            self.cache.y = y
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy``."""
        return self.check_gradient(dy, self.cache.y.shape)


@register("layer", "relu")
class ReLU(ActivationLayer):
    """Rectified linear unit, ``y = max(x, 0)``, with Keras's three extensions.

    In full: ``y = min(x, max_value)`` where ``x > threshold``, else
    ``y = negative_slope (x - threshold)``.

    The derivative at the threshold is the slope to its left (0 for the plain ReLU at 0). Where the
    output reaches ``max_value`` it is 0.

    Args:
        max_value: upper limit of the output, ``None`` for none.
        negative_slope: slope below the threshold.
        threshold: inputs up to it count as negative.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        V. Nair, G. Hinton, "Rectified linear units improve restricted Boltzmann machines",
        ICML 2010.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.ReLU()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[0. , 0.5, 2. ]], dtype=float32)
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if max_value is not None:
            max_value = check_number("ReLU", "max_value", max_value, minimum=0)
        self.max_value = max_value
        self.negative_slope = check_number("ReLU", "negative_slope", negative_slope, minimum=0)
        self.threshold = check_number("ReLU", "threshold", threshold, minimum=0)
        self._plain = max_value is None and not self.negative_slope and not self.threshold
        self.needs_input = not self._plain

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        shape = (4, 3)
        return [
            ({}, shape),
            ({"max_value": 0.5}, shape),
            ({"negative_slope": 0.25}, shape),
            ({"threshold": 0.5}, shape),
            ({"max_value": 1.0, "negative_slope": 0.25, "threshold": 0.25}, (2, 3, 4)),
        ]

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = max(x, 0)``."""
        x, y = self.start_forward(x, training, inplace)
        if self._plain:
            if x.size > _SMALL:
                kernels.relu(x, y)
                return y
            return np.maximum(x, constant(0, x.shape[-1:], x.dtype), out=y)
        low = np.less_equal(x, self.threshold, out=self.buffer("mask", x.shape, training, _BOOL))
        below: Any = 0
        if self.negative_slope:
            below = self.buffer("below", x.shape, training)
            np.minimum(x, self.threshold, out=below)
            below -= self.threshold
            below *= self.negative_slope
        np.minimum(x, np.inf if self.max_value is None else self.max_value, out=y)
        np.copyto(y, below, where=low)
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy`` where ``y > 0``, else 0."""
        dy, dx = self.start_backward(dy)
        if self._plain and dx.size > _SMALL:
            kernels.relu_gradient(dy, self.cache.y, dx)
            return dx
        mask = self.buffer("mask", dy.shape, dtype=_BOOL)
        if self._plain:
            return np.multiply(dy, np.greater(self.cache.y, 0, out=mask), out=dx)
        x = self.cache.x
        np.multiply(dy, self.negative_slope, out=dx)
        np.copyto(dx, dy, where=np.greater(x, self.threshold, out=mask))
        if self.max_value is not None:
            top = max(self.max_value, self.threshold)
            np.copyto(dx, 0, where=np.greater_equal(x, top, out=mask))
        return dx


@register("layer", "leaky_relu")
class LeakyReLU(ActivationLayer):
    """``y = x`` where ``x > 0``, else ``negative_slope x``; avoids units with zero gradient.

    Args:
        negative_slope: slope for negative inputs. As in Keras, the default is 0.3 for the layer and
            0.2 for the name ``"leaky_relu"``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        A. Maas, A. Hannun, A. Ng, "Rectifier nonlinearities improve neural network acoustic
        models", ICML 2013, eq. 3.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.LeakyReLU()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-0.6,  0.5,  2. ]], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = check_number("LeakyReLU", "negative_slope", negative_slope, minimum=0)
        self.needs_input = self.negative_slope == 0

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, (4, 3)), ({"negative_slope": 0.0}, (4, 3)), ({"negative_slope": 1.5}, (4, 3))]

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = max(x, 0) + negative_slope min(x, 0)``."""
        x, y = self.start_forward(x, training, inplace)
        negative = self.buffer("negative", x.shape, training)
        np.minimum(x, 0, out=negative)
        negative *= self.negative_slope
        np.maximum(x, 0, out=y)
        y += negative
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy`` where ``x > 0``, else ``negative_slope dy``; x and y have the same sign."""
        dy, dx = self.start_backward(dy)
        slope = self.workspace("slope", dy.shape, self._dtype)
        np.greater(self.cache.x if self.needs_input else self.cache.y, 0, out=slope)
        slope *= 1 - self.negative_slope
        slope += self.negative_slope
        return np.multiply(dy, slope, out=dx)


@register("layer", "elu")
class ELU(ActivationLayer):
    """Exponential linear unit: ``y = x`` where ``x > 0``, else ``alpha (exp(x) - 1)``.

    Args:
        alpha: the output tends to ``-alpha`` for very negative inputs.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        D.-A. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep network learning by
        exponential linear units", ICLR 2016, eq. 15.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.ELU()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-0.865,  0.5  ,  2.   ]], dtype=float32)
    """

    _scale = 1.0

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = check_number("ELU", "alpha", alpha, above=0)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, (4, 3)), ({"alpha": 0.5}, (4, 3))]

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = scale (max(x, 0) + alpha expm1(min(x, 0)))``; the scale is 1 for ELU."""
        x, y = self.start_forward(x, training, inplace)
        negative = self.buffer("negative", x.shape, training)
        np.minimum(x, 0, out=negative)  # keeps expm1 from overflowing
        np.expm1(negative, out=negative)
        negative *= self.alpha * self._scale
        np.maximum(x, 0, out=y)
        if self._scale != 1:
            y *= self._scale
        y += negative
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy scale`` where ``x > 0``, else ``dy (y + scale alpha)``."""
        dy, dx = self.start_backward(dy)
        np.minimum(self.cache.y, 0, out=dx)
        dx += self.alpha * self._scale
        if self.alpha != 1:
            step = self.workspace("step", dy.shape, self._dtype)
            np.greater(self.cache.y, 0, out=step)
            step *= (1 - self.alpha) * self._scale
            dx += step
        return np.multiply(dx, dy, out=dx)


@register("layer", "selu")
class SELU(ELU):
    """Scaled ELU, whose two constants preserve mean 0 and variance 1 from layer to layer.

    Args:
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        G. Klambauer, T. Unterthiner, A. Mayr, S. Hochreiter, "Self-normalizing neural networks",
        NeurIPS 2017, eq. 2; the constants are those of its eq. 14.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.SELU()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-1.52 ,  0.525,  2.101]], dtype=float32)
    """

    _scale = 1.0507009873554805

    def __init__(
        self, *, name: str | None = None, trainable: bool = True, dtype: str | None = None
    ) -> None:
        super().__init__(alpha=1.6732632423543772, name=name, trainable=trainable, dtype=dtype)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, (4, 3))]


@register("layer", "celu")
class CELU(ActivationLayer):
    """Continuously differentiable ELU: ``y = max(x, 0) + alpha expm1(min(x, 0) / alpha)``.

    Args:
        alpha: the output tends to ``-alpha`` for very negative inputs; the slope at 0 is always 1.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        J. Barron, "Continuously differentiable exponential linear units", arXiv:1704.07483.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.CELU()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-0.865,  0.5  ,  2.   ]], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = check_number("CELU", "alpha", alpha, above=0)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, (4, 3)), ({"alpha": 0.5}, (4, 3))]

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = max(x, 0) + alpha expm1(min(x, 0) / alpha)``."""
        x, y = self.start_forward(x, training, inplace)
        negative = self.buffer("negative", x.shape, training)
        np.minimum(x, 0, out=negative)  # keeps expm1 from overflowing
        with np.errstate(over="ignore"):  # x / alpha may; expm1(-inf) is -1, as it should be
            negative /= self.alpha
        np.expm1(negative, out=negative)
        negative *= self.alpha
        np.maximum(x, 0, out=y)
        y += negative
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy`` where ``x > 0``, else ``dy exp(x / alpha) = dy (y / alpha + 1)``."""
        dy, dx = self.start_backward(dy)
        np.minimum(self.cache.y, 0, out=dx)
        dx /= self.alpha
        dx += 1
        return np.multiply(dx, dy, out=dx)
