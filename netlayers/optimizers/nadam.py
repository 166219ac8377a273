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
    """Adam with Nesterov's look ahead, and a momentum that rises.

    With ``µ_t = beta_1 (1 - 0.96^t / 2)`` and ``P_t = µ_1 ... µ_t``:
    ``w -= lr (µ_{t+1} m / (1 - P_{t+1}) + (1 - µ_t) g / (1 - P_t)) / (sqrt(v̂) + epsilon)``,
    where m and v are Adam's running means and ``v̂ = v / (1 - beta_2^t)``.

    Args:
        learning_rate: a number, or a schedule.
        beta_1: limit of µ and decay of m, in [0, 1).
        beta_2: decay of v, in [0, 1).
        epsilon: keeps the quotient finite.
        kwargs: see :class:`Optimizer`.

    Source:
        T. Dozat, "Incorporating Nesterov momentum into Adam", ICLR 2016 workshop, algorithm 2. As
        in Keras m decays by beta_1, where the algorithm has µ_t; and µ_t rises with 0.96^t, where
        PyTorch has 0.96^(0.004 t).
    """

    scratch_rows = 2

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a block; see the class."""
        (m, v), (step, root) = state, scratch
        t = self.iterations
        correction = math.sqrt((1 - self.beta_2) / (1 - self.beta_2**t))
        now, ahead = self.beta_1 * _warming(t), self.beta_1 * _warming(t + 1)
        of_m = ahead * (1 - self.beta_1) / (1 - self.beta_1 ** (t + 1) * _product(t + 1))
        of_g = (1 - now) / (1 - self.beta_1**t * _product(t))
        self.update_moments(g, m, v, root)
        np.sqrt(v, out=root)
        np.add(root, self.epsilon / correction, out=root)
        np.multiply(m, of_m / of_g, out=step)
        np.add(step, g, out=step)
        np.divide(step, root, out=step)
        np.multiply(step, lr * of_g / correction, out=step)
        np.subtract(w, step, out=w)


def _warming(t: int) -> float:
    """Return the share of beta_1 that is the momentum of update t."""
    return 1 - 0.5 * 0.96**t


@functools.cache
def _products() -> list[float]:
    # From t = 900 on the factors are 1 to the last bit of a float64.
    return list(accumulate((_warming(t) for t in range(1, 901)), mul, initial=1.0))


def _product(t: int) -> float:
    """Return ``_warming(1) ... _warming(t)``."""
    return _products()[min(t, 900)]
