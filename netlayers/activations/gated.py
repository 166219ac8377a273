"""Gated activations: GELU, SiLU and its hard form, Mish, GLU."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._optional import scipy
from netlayers.activations.base import ActivationLayer, AxisActivation
from netlayers.activations.softpluses import softplus
from netlayers.checks import check_flag
from netlayers.errors import ShapeError
from netlayers.kernels.select import kernels
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples, Shape

_SQRT_2_OVER_PI = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


@register("layer", "gelu")
class GELU(ActivationLayer):
    """Gaussian error linear unit, ``y = x Φ(x)``, where Φ is the standard normal CDF.

    Args:
        approximate: use ``Φ(x) ≈ (1 + tanh(sqrt(2/π) (x + 0.044715 x³))) / 2``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        D. Hendrycks, K. Gimpel, "Gaussian error linear units", arXiv:1606.08415, section 2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.GELU()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-0.046,  0.346,  1.954]], dtype=float32)
    """

    needs_input = True

    def __init__(self, approximate: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.approximate = check_flag("GELU", "approximate", approximate)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, (4, 3)), ({"approximate": True}, (4, 3))]

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = x Φ(x)``."""
        x, y = self.start_forward(x, training, inplace)
        gate = self.buffer("gate", x.shape, training)
        if self.approximate:
            # (1 + tanh u) / 2 is sigmoid(2 u), which does not cancel for negative u. Beyond ±25 the
            # gate is exactly 0 or 1 in float64, and x³ cannot overflow.
            u, scratch = gate, self.buffer("scratch", x.shape, training)
            np.clip(x, -25, 25, out=u)
            np.multiply(u, u, out=scratch)
            scratch *= _CUBIC
            scratch += 1
            u *= scratch
            u *= 2 * _SQRT_2_OVER_PI
            kernels.sigmoid(u, gate)
        else:
            scipy("GELU (exact; approximate=True does not need it)", "special").ndtr(x, out=gate)
        if training:
            self.cache.gate = gate
        return np.multiply(x, gate, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy (Φ(x) + x Φ'(x))``; Φ' is the normal density or that of the tanh form."""
        dy, dx = self.start_backward(dy)
        x, gate = self.cache.x, self.cache.gate
        if self.approximate:  # Φ' = 2 Φ (1 - Φ) u', as tanh' = 1 - tanh²
            u = np.clip(x, -25, 25, out=dx)
            np.multiply(u, u, out=dx)
            dx *= 6 * _CUBIC * _SQRT_2_OVER_PI
            dx += 2 * _SQRT_2_OVER_PI
            dx *= gate
            dx *= np.subtract(1, gate, out=self.workspace("scratch", dy.shape, self._dtype))
        else:  # Φ' = exp(-x²/2) / sqrt(2π); beyond ±40 it is 0, and x² cannot overflow
            np.clip(x, -40, 40, out=dx)
            np.multiply(dx, dx, out=dx)
            dx *= -0.5
            np.exp(dx, out=dx)
            dx *= 1 / math.sqrt(2 * math.pi)
        dx *= x
        dx += gate
        return np.multiply(dx, dy, out=dx)


@register("layer", "silu", "swish")
class SiLU(ActivationLayer):
    """Sigmoid linear unit, also called swish: ``y = x sigmoid(x)``.

    Source:
        S. Elfwing, E. Uchibe, K. Doya, "Sigmoid-weighted linear units for neural network function
        approximation in reinforcement learning", Neural Networks 107 (2018), eq. 4 and 5.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.SiLU()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-0.238,  0.311,  1.762]], dtype=float32)
    """

    needs_input = True

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = x s`` with ``s = sigmoid(x)``."""
        x, y = self.start_forward(x, training, inplace)
        gate = self.buffer("gate", x.shape, training)
        kernels.sigmoid(x, gate)
        if training:
            self.cache.gate = gate
        return np.multiply(x, gate, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy (s + x s (1 - s)) = dy s (1 + x (1 - s))``."""
        dy, dx = self.start_backward(dy)
        gate = self.cache.gate
        np.subtract(1, gate, out=dx)
        dx *= self.cache.x
        dx += 1
        dx *= gate
        return np.multiply(dx, dy, out=dx)


@register("layer", "hard_silu", "hard_swish")
class HardSiLU(ActivationLayer):
    """SiLU with a hard sigmoid, also called hard swish: ``y = x min(max(x / 6 + 1/2, 0), 1)``.

    The derivative at the kinks is taken as 0 at x = -3 and as 1 at x = 3.

    Source:
        A. Howard et al., "Searching for MobileNetV3", ICCV 2019, section 5.2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.HardSiLU()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-0.333,  0.292,  1.667]], dtype=float32)
    """

    needs_input = True

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = x g`` with ``g = clip(x / 6 + 1/2, 0, 1)``."""
        x, y = self.start_forward(x, training, inplace)
        gate = self.buffer("gate", x.shape, training)
        np.divide(x, 6, out=gate)
        gate += 0.5
        np.clip(gate, 0, 1, out=gate)
        if training:
            self.cache.gate = gate
        return np.multiply(x, gate, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy (g + x / 6)`` where ``0 < g < 1``, else ``dy g``."""
        dy, dx = self.start_backward(dy)
        gate, mask = self.cache.gate, self.workspace("mask", dy.shape, np.dtype(bool))
        np.divide(self.cache.x, 6, out=dx)
        dx *= np.greater(gate, 0, out=mask)
        dx *= np.less(gate, 1, out=mask)
        dx += gate
        return np.multiply(dx, dy, out=dx)


@register("layer", "mish")
class Mish(ActivationLayer):
    """``y = x tanh(softplus(x))``.

    Source:
        D. Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020, eq. 1.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Mish()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-0.253,  0.375,  1.944]], dtype=float32)
    """

    needs_input = True

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = x t`` with ``t = tanh(log(1 + exp(x)))``."""
        x, y = self.start_forward(x, training, inplace)
        gate = self.buffer("gate", x.shape, training)
        softplus(x, out=gate, scratch=self.buffer("scratch", x.shape, training))
        np.tanh(gate, out=gate)
        if training:
            self.cache.gate = gate
        return np.multiply(x, gate, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy (t + x (1 - t²) sigmoid(x))``."""
        dy, dx = self.start_backward(dy)
        x, gate = self.cache.x, self.cache.gate
        scratch = self.workspace("scratch", dy.shape, self._dtype)
        kernels.sigmoid(x, dx)
        np.multiply(gate, gate, out=scratch)
        dx *= np.subtract(1, scratch, out=scratch)
        dx *= x
        dx += gate
        return np.multiply(dx, dy, out=dx)


@register("layer", "glu")
class GLU(AxisActivation):
    """Gated linear unit: ``y = a sigmoid(b)`` for the two halves a and b of an axis.

    Shapes: the output has half the input's length along ``axis``; ``Dense(8, activation="glu")``
    has 4 outputs.

    Args:
        axis: the axis to halve; not the batch axis.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        Y. Dauphin, A. Fan, M. Auli, D. Grangier, "Language modeling with gated convolutional
        networks", ICML 2017, eq. 1.

    Example:
        >>> import netlayers as nl
        >>> layer = nl.layers.Dense(8, activation="glu")
        >>> layer.build((None, 3))
        >>> layer.kernel.shape, layer.output_shape
        ((3, 8), (None, 4))
    """

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, (4, 6)), ({"axis": 1}, (2, 4, 3)), ({"axis": -2}, (2, 3, 6, 2))]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """Return the input's shape with half its length along ``axis``.

        Raises:
            ShapeError: the axis does not exist, is the batch axis, or has an odd length.
        """
        self._check_axis(input_shape)
        axis = self.axis % len(input_shape)
        size = input_shape[axis]
        if axis == 0 and size is None:
            raise ShapeError(
                f"{self.cache._owner} (GLU): axis={self.axis} of an input of shape {input_shape} "
                "is the batch axis, which cannot be halved; choose another axis."
            )
        if size is not None and size % 2:
            raise ShapeError(
                f"{self.cache._owner} (GLU): halves axis {self.axis}, which needs an even "
                f"length, got the shape {input_shape}. Use an even number of features."
            )
        half = None if size is None else size // 2
        return (*input_shape[:axis], half, *input_shape[axis + 1 :])

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = a s`` with ``s = sigmoid(b)``; never in place, as y is smaller than x."""
        x = self.prepare(x)
        y = self.buffer("y", self.compute_output_shape(x.shape), training)  # type: ignore[arg-type]
        a, gate = (self.buffer(name, y.shape, training) for name in ("a", "gate"))
        for half, copy in zip(self._halves(x), (a, gate), strict=True):
            np.copyto(copy, half)  # faster on contiguous arrays, and without temporaries
        kernels.sigmoid(gate, gate)
        if training:
            self.cache.a, self.cache.gate, self.cache.x_shape = a, gate, x.shape
        return np.multiply(a, gate, out=y)

    def backward(self, dy: Array) -> Array:
        """``da = dy s`` and ``db = dy a s (1 - s) = da a (1 - s)``, the two halves of dx."""
        a, gate = self.cache.a, self.cache.gate
        dy = self.check_gradient(dy, gate.shape)
        da, db = (self.workspace(name, dy.shape, self._dtype) for name in ("da", "db"))
        np.multiply(dy, gate, out=da)
        np.subtract(1, gate, out=db)
        db *= a
        db *= da
        dx = self.workspace("dx", self.cache.x_shape, self._dtype)
        for half, gradient in zip(self._halves(dx), (da, db), strict=True):
            np.copyto(half, gradient)
        return dx

    def _halves(self, x: Array) -> tuple[Array, Array]:
        """Return the two halves along the axis, as views."""
        before = (slice(None),) * (self.axis % x.ndim)
        half = x.shape[self.axis] // 2
        return x[(*before, slice(half))], x[(*before, slice(half, None))]
