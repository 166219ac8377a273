"""Schedule-free AdamW."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_integer, check_number
from netlayers.optimizers.base import Optimizer
from netlayers.optimizers.rules import WEIGHTS
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlayers._typing import Array
    from netlayers.optimizers.schedules.base import LearningRateSchedule


@register("optimizer", "schedule_free_adamw")
class ScheduleFreeAdamW(Optimizer):
    """Schedule-free AdamW: ``w = (1 - beta_1) z + beta_1 x``, steps z and their average x.

    With the running mean v of g², ``v̂ = v / (1 - beta_2^t)`` and ``c = 1 / t``:
    ``z -= lr g / (sqrt(v̂) + epsilon)`` and ``x = (1 - c) x + c z``. Both start at the initial
    weights. The average takes the place of a schedule of the learning rate.

    Args:
        learning_rate: a number or a schedule.
        beta_1: weight of the average x in w, in (0, 1).
        beta_2: decay of v, in [0, 1).
        epsilon: small constant for numerical stability.
        warmup_steps: number of first updates with the rate ``lr t / warmup_steps``.
        kwargs: see :class:`Optimizer`.

    Source:
        A. Defazio et al., "The road less scheduled", NeurIPS 2024, algorithm 1. As in Keras, c is
        1 / t (in the paper, lr² divided by the sum of all lr²), the weight decay acts on w, and
        the network keeps w when the training ends, not x.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.ScheduleFreeAdamW(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.9, 1.1], dtype=float32)
    """

    state_names = ("momentum", "velocity")
    state_start: Mapping[str, float | str] = {"momentum": WEIGHTS}
    _squares_gradients = True

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        owner = "ScheduleFreeAdamW"
        self.beta_1 = check_number(owner, "beta_1", beta_1, above=0, below=1)
        self.beta_2 = check_number(owner, "beta_2", beta_2, minimum=0, below=1)
        self.epsilon = check_number(owner, "epsilon", epsilon, above=0)
        self.warmup_steps = check_integer(owner, "warmup_steps", warmup_steps, minimum=0)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3, "warmup_steps": 3}]

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a block of weights; see the class."""
        t, (z, v) = self.iterations, state
        if t < self.warmup_steps:
            lr *= t / self.warmup_steps
        np.multiply(g, g, out=scratch)
        np.subtract(scratch, v, out=scratch)
        np.multiply(scratch, 1 - self.beta_2, out=scratch)
        np.add(v, scratch, out=v)
        # beta_1 x = w - (1 - beta_1) z
        np.multiply(z, 1 - self.beta_1, out=scratch)
        np.subtract(w, scratch, out=w)
        np.multiply(w, 1 - 1 / t, out=w)
        root = math.sqrt(1 - self.beta_2**t)
        np.sqrt(v, out=scratch)
        np.add(scratch, self.epsilon * root, out=scratch)
        np.divide(g, scratch, out=scratch)
        np.multiply(scratch, lr * root, out=scratch)
        np.subtract(z, scratch, out=z)
        np.multiply(z, 1 - self.beta_1 + self.beta_1 / t, out=scratch)
        np.add(w, scratch, out=w)
