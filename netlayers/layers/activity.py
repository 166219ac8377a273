"""A penalty on activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.core.layer import Layer
from netlayers.core.penalties import add_penalty, penalties_wanted
from netlayers.registry import register
from netlayers.regularizers import L1L2

if TYPE_CHECKING:
    from netlayers._typing import Array, Examples


@register("layer")
class ActivityRegularization(Layer):
    """``y = x``, and the loss grows by ``(l1 Σ|x| + l2 Σx²) / batch``: small or sparse activations.

    The penalty is part of ``loss`` in ``fit`` and ``evaluate``, and its gradient of what
    :meth:`backward` returns.

    Shapes: any; the output has the shape of the input.

    Args:
        l1: factor of the sum of absolute values.
        l2: factor of the sum of squares.
        kwargs: ``name``, ``trainable``, ``dtype``.

    Source:
        As a penalty on rectified activations: X. Glorot, A. Bordes, Y. Bengio, "Deep sparse
        rectifier neural networks", AISTATS 2011, section 3.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> model = nl.Sequential([nl.layers.ActivityRegularization(l1=0.5)])
        >>> model.compile("sgd", "mse")
        >>> x = np.ones((2, 3))
        >>> model.evaluate(x, x, verbose=0)
        1.5
    """

    supports_masking = True

    _adds_penalty = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._penalty = L1L2(l1, l2)
        self.l1, self.l2 = self._penalty.l1, self._penalty.l2

    @staticmethod
    def examples() -> Examples:
        """Return examples for the contract tests; see :meth:`Layer.examples`."""
        return [({"l1": 0.1}, (4, 3)), ({"l1": 0.1, "l2": 0.2}, (2, 3, 4)), ({}, (4, 3))]

    def forward(self, x: Array, training: bool = False) -> Array:
        """``y = x``; the loss grows by ``(l1 Σ|x| + l2 Σx²) / batch``."""
        x = self.prepare(x)
        if training:
            self.cache.x = x
        if penalties_wanted():
            add_penalty(self._penalty(x) / len(x))
        return x

    def backward(self, dy: Array) -> Array:
        """``dx = dy + (l1 sign(x) + 2 l2 x) / batch``."""
        x = self.cache.x
        dy = self.check_gradient(dy, x.shape)
        dx, scratch = (self.workspace(name, x.shape, self._dtype) for name in ("dx", "scratch"))
        dx[...] = 0
        self._penalty.add_gradient(x, dx, scratch)
        dx /= len(x)
        dx += dy
        return dx
