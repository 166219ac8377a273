"""Adafactor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_flag, check_number
from netlayers.optimizers.base import Optimizer
from netlayers.optimizers.clipping import norm
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.optimizers.schedules.base import LearningRateSchedule


@register("optimizer")
class Adafactor(Optimizer):
    """Adafactor: ``w -= α u / max(1, RMS(u) / clip_threshold)``, ``u = g / sqrt(V)``.

    The step is relative to the root mean square RMS of the weights:
    ``α = max(epsilon_2, RMS(w)) min(lr, 1 / sqrt(t))``. With ``β = 1 - t^beta_2_decay`` and
    ``s = g² + epsilon_1``, ``V = β V + (1 - β) s`` for a weight of less than two axes. For a
    matrix, only means are kept: ``R = β R + (1 - β) mean(s, axis=-1)``,
    ``C = β C + (1 - β) mean(s, axis=-2)`` and ``V = R C / mean(R)``; of more axes, the last two are
    the matrix.

    Args:
        learning_rate: a number or a schedule; limited to 1 / sqrt(t).
        beta_2_decay: exponent of t in β, at most 0.
        epsilon_1: small constant in s.
        epsilon_2: lower bound of the size of the weights.
        clip_threshold: upper bound of RMS(u).
        relative_step: accepted as in Keras, which limits the rate to 1 / sqrt(t) in either case.
        kwargs: see :class:`Optimizer`.

    Source:
        N. Shazeer, M. Stern, "Adafactor: adaptive learning rates with sublinear memory cost", ICML
        2018, algorithms 4 and 5, with the step sizes of its section 8. As in Keras, the last two
        axes are the matrix.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.Adafactor(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.9, 1.1], dtype=float32)
    """

    state_names = ("v",)  # R and C of a matrix lie at its beginning
    by_parameter = True
    arguments_without_effect = ("relative_step",)
    _epsilon = "epsilon_1"
    _shaped = True
    _squares_gradients = True

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_2_decay = check_number("Adafactor", "beta_2_decay", beta_2_decay, maximum=0)
        self.epsilon_1 = check_number("Adafactor", "epsilon_1", epsilon_1, above=0)
        self.epsilon_2 = check_number("Adafactor", "epsilon_2", epsilon_2, minimum=0)
        self.clip_threshold = check_number("Adafactor", "clip_threshold", clip_threshold, above=0)
        self.relative_step = check_flag("Adafactor", "relative_step", relative_step)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        others = {"beta_2_decay": -0.5, "epsilon_1": 1e-3, "epsilon_2": 10.0}
        return [{}, {**others, "clip_threshold": 0.5}]

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a parameter; see the class."""
        t, (v,) = self.iterations, state
        new = t**self.beta_2_decay  # 1 - β
        u = scratch.reshape(w.shape)
        np.multiply(g, g, out=u)
        np.add(u, self.epsilon_1, out=u)
        if w.ndim < 2 or min(w.shape[-2:]) == 1:  # V = R C / mean(R) is then one of them
            np.multiply(v, 1 - new, out=v)
            np.multiply(u, new, out=u)
            np.add(v, u, out=v)
            np.sqrt(v, out=u)
            np.divide(g, u, out=u)
        else:
            rows, columns = _factors(v)
            # In float64, as the sum of large squares would overflow.
            for factor, axis in ((rows, -1), (columns, -2)):
                mean = np.mean(u, axis=axis, dtype=np.float64, keepdims=True)
                factor *= 1 - new
                factor += new * mean
            relative = rows / np.mean(rows, axis=-2, dtype=np.float64, keepdims=True)
            np.multiply(g, (1 / np.sqrt(relative)).astype(w.dtype), out=u)
            np.divide(u, np.sqrt(columns), out=u)
        size = norm([w.reshape(-1)]).value / math.sqrt(w.size)
        step = max(self.epsilon_2, size) * min(lr, 1 / math.sqrt(t))
        step /= max(1.0, norm([scratch]).value / math.sqrt(w.size) / self.clip_threshold)
        np.multiply(u, step, out=u)
        np.subtract(w, u, out=w)


def _factors(v: Array) -> tuple[Array, Array]:
    """Return R of shape (..., m, 1) and C of shape (..., 1, n), views of the state (..., m, n)."""
    *outer, m, n = v.shape
    flat = v.reshape(*outer, m * n)
    return flat[..., :m, np.newaxis], flat[..., np.newaxis, m : m + n]
