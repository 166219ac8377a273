"""Smooth approximations of ReLU, and the logarithm of the sigmoid, a reflected softplus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.activations.base import ActivationLayer
from netlayers.checks import check_number
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples


def softplus(x: Array, out: Array, scratch: Array) -> Array:
    """Write ``log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|))`` into ``out``, which may be ``x``."""
    np.abs(x, out=scratch)
    np.negative(scratch, out=scratch)
    np.exp(scratch, out=scratch)
    np.log1p(scratch, out=scratch)
    np.maximum(x, 0, out=out)
    return np.add(out, scratch, out=out)


@register("layer", "softplus")
class Softplus(ActivationLayer):
    """Smooth ReLU, ``y = log(1 + exp(x))``.

    Source:
        C. Dugas et al., "Incorporating second-order functional knowledge for better option
        pricing", NeurIPS 2000, eq. 3.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Softplus()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[0.127, 0.974, 2.127]], dtype=float32)
    """

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = max(x, 0) + log1p(exp(-|x|))``, which never overflows."""
        x, y = self.start_forward(x, training, inplace)
        return softplus(x, out=y, scratch=self.buffer("scratch", x.shape, training))

    def backward(self, dy: Array) -> Array:
        """``dx = dy sigmoid(x) = dy (1 - exp(-y))``."""
        dy, dx = self.start_backward(dy)
        np.negative(self.cache.y, out=dx)
        np.expm1(dx, out=dx)
        np.negative(dx, out=dx)
        return np.multiply(dx, dy, out=dx)


@register("layer", "log_sigmoid")
class LogSigmoid(ActivationLayer):
    """Logarithm of the sigmoid, ``y = -log(1 + exp(-x))``, accurate for all x.

    Source:
        I. Goodfellow, Y. Bengio, A. Courville, "Deep learning", 2016, section 3.10.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.LogSigmoid()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[-2.127, -0.474, -0.127]], dtype=float32)
    """

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = -softplus(-x)``."""
        x, y = self.start_forward(x, training, inplace)
        np.negative(x, out=y)
        softplus(y, out=y, scratch=self.buffer("scratch", x.shape, training))
        return np.negative(y, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy sigmoid(-x) = dy (1 - exp(y))``."""
        dy, dx = self.start_backward(dy)
        np.expm1(self.cache.y, out=dx)
        np.negative(dx, out=dx)
        return np.multiply(dx, dy, out=dx)


@register("layer", "squareplus")
class Squareplus(ActivationLayer):
    """Smooth ReLU without an exponential, ``y = (x + sqrt(x² + b)) / 2``.

    Args:
        b: smoothness; 0 gives ReLU, with the derivative 0 at 0.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        J. Barron, "Squareplus: a softplus-like algebraic rectifier", arXiv:2112.11687, eq. 1.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.Squareplus()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[0.414, 1.281, 2.414]], dtype=float32)
    """

    def __init__(self, b: float = 4.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.b = check_number("Squareplus", "b", b, minimum=0)

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({}, (4, 3)), ({"b": 0.5}, (2, 3, 4)), ({"b": 0.0}, (4, 3))]

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = max(x, 0) + (b/4) / (r + |x|/2)`` with ``r = sqrt((x/2)² + b/4)``.

        Equal to ``x/2 + r``, which suffers from cancellation for negative x.
        """
        x, y = self.start_forward(x, training, inplace)
        half = self.buffer("half", x.shape, training)
        root = self.buffer("root", x.shape, training)
        np.abs(x, out=half)
        half *= 0.5
        np.minimum(half, 1e18, out=root)  # its square does not overflow; beyond it, r is |x|/2
        root *= root
        root += max(self.b / 4, np.finfo(self._dtype).tiny)  # with b = 0: no 0/0 at x = 0
        np.sqrt(root, out=root)
        np.maximum(root, half, out=root)
        if training:
            self.cache.root = root
        half += root
        np.divide(self.b / 4, half, out=half)
        np.maximum(x, 0, out=y)
        y += half
        return y

    def backward(self, dy: Array) -> Array:
        """``dx = dy (1 + x / sqrt(x² + b)) / 2 = dy y / (2 r)``."""
        dy, dx = self.start_backward(dy)
        if not self.b:  # the quotient would be wrong for an x whose square is 0
            np.sign(self.cache.y, out=dx)
            return np.multiply(dx, dy, out=dx)
        np.divide(self.cache.y, self.cache.root, out=dx)
        dx *= 0.5
        return np.multiply(dx, dy, out=dx)


@register("layer", "sparse_plus")
class SparsePlus(ActivationLayer):
    """Sparsemax counterpart of softplus: 0 up to -1, x from 1 on, ``(x + 1)² / 4`` in between.

    Its derivative is :class:`SparseSigmoid`.

    Source:
        M. Blondel, A. Martins, V. Niculae, "Learning with Fenchel-Young losses", Journal of
        Machine Learning Research 21 (2020).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> nl.layers.SparsePlus()(np.array([[-2.0, 0.5, 2.0]])).round(3)
        array([[0.   , 0.562, 2.   ]], dtype=float32)
    """

    def forward(self, x: Array, training: bool = False, inplace: bool = False) -> Array:
        """``y = max((c + 1)² / 4, x)`` with ``c = clip(x, -1, 1)``; the parabola touches x at 1."""
        x, y = self.start_forward(x, training, inplace)
        parabola = self.buffer("parabola", x.shape, training)
        np.clip(x, -1, 1, out=parabola)
        parabola += 1
        parabola *= 0.5
        np.multiply(parabola, parabola, out=parabola)
        return np.maximum(parabola, x, out=y)

    def backward(self, dy: Array) -> Array:
        """``dx = dy clip((x + 1) / 2, 0, 1) = dy min(sqrt(y), 1)``."""
        dy, dx = self.start_backward(dy)
        np.sqrt(self.cache.y, out=dx)
        np.minimum(dx, 1, out=dx)
        return np.multiply(dx, dy, out=dx)
