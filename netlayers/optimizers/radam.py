"""RAdam."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from netlayers.optimizers.moments import Moments
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array


@register("optimizer", "radam")
class RAdam(Moments):
    """RAdam: Adam with a rectified variance of the adaptive learning rate.

    With ``ρ = 2 / (1 - beta_2) - 1`` and ``ρ_t = ρ - 2 t beta_2^t / (1 - beta_2^t)``: while
    ``ρ_t <= 4`` the step is ``w -= lr m̂``, afterwards ``w -= α r m / (sqrt(v) + epsilon)`` with
    Adam's α and ``r = sqrt((ρ_t - 4) (ρ_t - 2) ρ / ((ρ - 4) (ρ - 2) ρ_t))``. It replaces a
    warm-up.

    Args:
        learning_rate: a number or a schedule.
        beta_1: decay of m, in [0, 1).
        beta_2: decay of v, in [0, 1).
        epsilon: small constant for numerical stability, as in :class:`Adam`; not in the paper.
        kwargs: see :class:`Optimizer`.

    Source:
        L. Liu et al., "On the variance of the adaptive learning rate and beyond", ICLR 2020,
        algorithm 2. (PyTorch rectifies from ``ρ_t > 5`` on, one update later.)

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.RAdam(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.95, 1.01], dtype=float32)
    """

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a block of weights; see the class."""
        t, (m, v) = self.iterations, state
        self.update_moments(g, m, v, scratch)
        alpha = lr * (1 - self.beta_1) / (1 - self.beta_1**t)
        limit = 2 / (1 - self.beta_2) - 1
        rho = limit - 2 * t * self.beta_2**t / (1 - self.beta_2**t)
        if rho > 4:
            root = math.sqrt(1 - self.beta_2)
            alpha *= math.sqrt(1 - self.beta_2**t) / root
            alpha *= math.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
            np.sqrt(v, out=scratch)
            np.add(scratch, self.epsilon / root, out=scratch)
            np.divide(m, scratch, out=scratch)
            np.multiply(scratch, alpha, out=scratch)
        else:
            np.multiply(m, alpha, out=scratch)
        np.subtract(w, scratch, out=w)
