"""Nadam."""

from __future__ import annotations

import functools
import math
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING

import numpy as np

from netlayers.optimizers.moments import Moments
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array


@register("optimizer")
class Nadam(Moments):
    """Nadam: Adam with Nesterov momentum and a momentum schedule.

    With ``µ_t = beta_1 (1 - 0.96^t / 2)`` and ``P_t = µ_1 ... µ_t``:
    ``w -= lr (µ_{t+1} m / (1 - P_{t+1}) + (1 - µ_t) g / (1 - P_t)) / (sqrt(v̂) + epsilon)``,
    where m and v are Adam's running means and ``v̂ = v / (1 - beta_2^t)``.

    Args:
        learning_rate: a number or a schedule.
        beta_1: limit of µ and decay of m, in [0, 1).
        beta_2: decay of v, in [0, 1).
        epsilon: small constant for numerical stability.
        kwargs: see :class:`Optimizer`.

    Source:
        T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop, algorithm 2. As
        in Keras, m decays with beta_1 instead of µ_t, and µ_t uses 0.96^t; PyTorch uses
        0.96^(0.004 t).

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.Nadam(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.8937, 1.1063], dtype=float32)
    """

    scratch_rows = 2

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a block of weights; see the class."""
        (m, v), (step, root) = state, scratch
        t = self.iterations
        correction = math.sqrt((1 - self.beta_2) / (1 - self.beta_2**t))
        mu, next_mu = self.beta_1 * _mu_factor(t), self.beta_1 * _mu_factor(t + 1)
        m_factor = next_mu * (1 - self.beta_1) / (1 - self.beta_1 ** (t + 1) * _product(t + 1))
        g_factor = (1 - mu) / (1 - self.beta_1**t * _product(t))
        self.update_moments(g, m, v, root)
        np.sqrt(v, out=root)
        np.add(root, self.epsilon / correction, out=root)
        np.multiply(m, m_factor / g_factor, out=step)
        np.add(step, g, out=step)
        np.divide(step, root, out=step)
        np.multiply(step, lr * g_factor / correction, out=step)
        np.subtract(w, step, out=w)


def _mu_factor(t: int) -> float:
    """Return ``µ_t / beta_1``."""
    return 1 - 0.5 * 0.96**t


@functools.cache
def _products() -> list[float]:
    # From t = 900 on, the factors equal 1 in float64.
    return list(accumulate((_mu_factor(t) for t in range(1, 901)), mul, initial=1.0))


def _product(t: int) -> float:
    """Return ``_mu_factor(1) ... _mu_factor(t)``."""
    return _products()[min(t, 900)]
