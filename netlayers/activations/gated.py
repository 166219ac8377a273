"""Units that multiply their input with a smooth gate: GELU, SiLU, Mish."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.activations.base import ActivationLayer
from netlayers.activations.sigmoids import logistic, softplus
from netlayers.checks import check_flag
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples

_C = math.sqrt(2 / math.pi)
_D = 0.044715


@register("layer", "gelu")
class GELU(ActivationLayer):
    """Gaussian error linear unit, ``y = x Φ(x)``, with the normal distribution function Φ.

    Args:
        approximate: use ``Φ(x) ≈ (1 + tanh(sqrt(2/π) (x + 0.044715 x³))) / 2``.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        D. Hendrycks, K. Gimpel, "Gaussian error linear units", arXiv:1606.08415, section 2.
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
            # Beyond ±10 the gate is 0 or 1 to the last bit of float64, and x³ can not overflow.
            u, scratch = gate, self.buffer("scratch", x.shape, training)
            np.clip(x, -10, 10, out=u)
            np.multiply(u, u, out=scratch)
            scratch *= _D
            scratch += 1
            u *= scratch
            u *= _C
            np.tanh(u, out=gate)
            gate += 1
            gate *= 0.5
        else:
            from scipy.special import ndtr  # costs 0.1 s to import, and few need it

            ndtr(x, out=gate)
        if training:
            self.cache.gate = gate
        return np.multiply(x, gate, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy (Φ(x) + x Φ'(x))``; Φ' is the normal density, or from the tanh form."""
        dy, dx = self.start_backward(dy)
        x, gate = self.cache.x, self.cache.gate
        if self.approximate:  # Φ' = 2 Φ (1 - Φ) u', as tanh' = 1 - tanh²
            u = np.clip(x, -10, 10, out=dx)
            np.multiply(u, u, out=dx)
            dx *= 6 * _D * _C
            dx += 2 * _C
            dx *= gate
            dx *= np.subtract(1, gate, out=self.workspace("scratch", dy.shape, self._dtype))
        else:  # Φ' = exp(-x²/2) / sqrt(2π); beyond ±40 it is 0, and x² can not overflow
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
    """

    needs_input = True

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = x s`` with ``s = sigmoid(x)``."""
        x, y = self.start_forward(x, training, inplace)
        gate = logistic(x, out=self.buffer("gate", x.shape, training))
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


@register("layer", "mish")
class Mish(ActivationLayer):
    """``y = x tanh(softplus(x))``.

    Source:
        D. Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020, eq. 1.
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
        logistic(x, out=dx)
        np.multiply(gate, gate, out=scratch)
        dx *= np.subtract(1, scratch, out=scratch)
        dx *= x
        dx += gate
        return np.multiply(dx, dy, out=dx)
