"""Adagrad."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_number
from netlayers.optimizers.base import Optimizer
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.optimizers.schedules.base import LearningRateSchedule


@register("optimizer")
class Adagrad(Optimizer):
    """Adagrad: ``w -= lr g / sqrt(v + epsilon)`` with the sum of squared gradients v.

    ``v = v + g²`` starts at ``initial_accumulator_value``. As in Keras, epsilon is inside the root;
    in PyTorch it is outside.

    Args:
        learning_rate: a number or a schedule.
        initial_accumulator_value: initial value of v.
        epsilon: small constant for numerical stability.
        kwargs: see :class:`Optimizer`.

    Source:
        J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and
        stochastic optimization", JMLR 12 (2011), figure 1 with the diagonal matrix of section 1.2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.Adagrad(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.9155, 1.0302], dtype=float32)
    """

    by_rows = True

    _squares_gradients = True

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value = check_number(
            "Adagrad", "initial_accumulator_value", initial_accumulator_value, minimum=0
        )
        self.epsilon = check_number("Adagrad", "epsilon", epsilon, above=0)
        # The state holds v + epsilon, which saves a pass over memory.
        self.state_names = ("accumulator",)
        self.state_start = {"accumulator": self.initial_accumulator_value + self.epsilon}

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"initial_accumulator_value": 0.5, "epsilon": 1e-3}]

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a block of weights; see the class."""
        (v,) = state
        np.multiply(g, g, out=scratch)
        np.add(v, scratch, out=v)
        np.sqrt(v, out=scratch)
        np.divide(g, scratch, out=scratch)
        np.multiply(scratch, lr, out=scratch)
        np.subtract(w, scratch, out=w)
