"""Lion."""

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
class Lion(Optimizer):
    """Lion: ``w -= lr sign(beta_1 m + (1 - beta_1) g)``.

    Then ``m = beta_2 m + (1 - beta_2) g``. As steps are larger than Adam's, the learning rate is
    usually 3 to 10 times smaller and the weight decay larger by the same factor.

    Args:
        learning_rate: a number or a schedule.
        beta_1: weight of m in the step, in (0, 1).
        beta_2: decay of m, in [0, 1).
        kwargs: see :class:`Optimizer`.

    Source:
        X. Chen et al., "Symbolic discovery of optimization algorithms", NeurIPS 2023, algorithm 2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.Lion(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.9, 1.1], dtype=float32)
    """

    state_names = ("m",)
    scratch_rows = 2

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = check_number("Lion", "beta_1", beta_1, above=0, below=1)
        self.beta_2 = check_number("Lion", "beta_2", beta_2, minimum=0, below=1)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"beta_1": 0.5, "beta_2": 0.8}]

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a block of weights; see the class."""
        # The state omits the factor 1 - beta_2 of m, and the sign needs no common factor, which
        # saves two of nine passes over memory. In place, np.sign takes ten times as long.
        (m,), (direction, step) = state, scratch
        np.multiply(m, self.beta_1 * (1 - self.beta_2) / (1 - self.beta_1), out=direction)
        np.add(direction, g, out=direction)
        np.sign(direction, out=step)
        np.multiply(step, lr, out=step)
        np.subtract(w, step, out=w)
        np.multiply(m, self.beta_2, out=m)
        np.add(m, g, out=m)
