"""Adamax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netlayers.optimizers.moments import Moments
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array


@register("optimizer")
class Adamax(Moments):
    """Adamax, Adam with the infinity norm: ``w -= lr / (1 - beta_1^t) m / (u + epsilon)``.

    ``m`` is the running mean of g, ``u = max(beta_2 u, |g|)``. The paper has no epsilon.

    Args:
        learning_rate: a number or a schedule.
        beta_1: decay of m, in [0, 1).
        beta_2: decay of u, in [0, 1).
        epsilon: small constant for numerical stability.
        kwargs: see :class:`Optimizer`.

    Source:
        D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.Adamax(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.9, 1.1], dtype=float32)
    """

    state_names = ("m", "u")
    _squares_gradients = False

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a block of weights; see the class."""
        m, u = state
        np.multiply(m, self.beta_1, out=m)
        np.add(m, g, out=m)
        np.multiply(u, self.beta_2, out=u)
        np.maximum(u, np.abs(g, out=scratch), out=u)
        np.add(u, self.epsilon, out=scratch)
        np.divide(m, scratch, out=scratch)
        np.multiply(
            scratch, lr * (1 - self.beta_1) / (1 - self.beta_1**self.iterations), out=scratch
        )
        np.subtract(w, scratch, out=w)
