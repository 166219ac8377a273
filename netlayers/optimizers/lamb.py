"""Lamb."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from netlayers.optimizers.clipping import norm
from netlayers.optimizers.moments import Moments
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array


@register("optimizer")
class Lamb(Moments):
    """LAMB, Adam with layer-wise scaling for large batches: ``w -= lr |w| / |r| r``.

    ``r = m̂ / (sqrt(v̂) + epsilon)`` with ``m̂ = m / (1 - beta_1^t)`` and ``v̂ = v / (1 - beta_2^t)``.
    The quotient of the norms is 1 if one of them is 0.

    Args:
        learning_rate: a number or a schedule.
        beta_1: decay of m, in [0, 1).
        beta_2: decay of v, in [0, 1).
        epsilon: small constant for numerical stability.
        kwargs: see :class:`Optimizer`.

    Source:
        Y. You et al., "Large batch optimization for deep learning: training BERT in 76 minutes",
        ICLR 2020, algorithm 2 with φ(z) = z. As in Keras, the weight decay is separate; the
        paper adds ``weight_decay * w`` to r before computing its norm.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.Lamb(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.9, 1.1], dtype=float32)
    """

    by_parameter = True

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a parameter; see the class."""
        t, (m, v) = self.iterations, state
        correction = math.sqrt((1 - self.beta_2) / (1 - self.beta_2**t))
        self.update_moments(g, m, v, scratch)
        np.sqrt(v, out=scratch)
        np.add(scratch, self.epsilon / correction, out=scratch)
        np.divide(m, scratch, out=scratch)
        step_norm, w_norm = norm([scratch]), norm([w]).value
        if step_norm.value > 0 and w_norm > 0:
            if step_norm.largest != 1:  # the quotient alone may overflow
                np.divide(scratch, step_norm.largest, out=scratch)
            factor = w_norm / step_norm.relative
        else:
            factor = (1 - self.beta_1) / (1 - self.beta_1**t) / correction
        np.multiply(scratch, lr * factor, out=scratch)
        np.subtract(w, scratch, out=w)
