"""Adadelta."""

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
class Adadelta(Optimizer):
    """Adadelta, ``w -= lr Δ``, whose steps have the unit of the weights.

    ``Δ = sqrt(d + epsilon) / sqrt(v + epsilon) g``, where v and d are running means of g² and Δ²:
    ``v = rho v + (1 - rho) g²`` before the step, ``d = rho d + (1 - rho) Δ²`` after it. The paper
    has no learning rate, which corresponds to ``learning_rate=1``. The default, 0.001, is Keras's.

    Args:
        learning_rate: a number or a schedule.
        rho: decay of the running means, in [0, 1).
        epsilon: small constant; it also sets the size of the first steps.
        kwargs: see :class:`Optimizer`.

    Source:
        M. Zeiler, "ADADELTA: an adaptive learning rate method", arXiv:1212.5701, algorithm 1.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.Adadelta(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.9999, 1.0001], dtype=float32)
    """

    state_names = ("squares", "steps")
    _squares_gradients = True
    scratch_rows = 2

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho = check_number("Adadelta", "rho", rho, minimum=0, below=1)
        self.epsilon = check_number("Adadelta", "epsilon", epsilon, above=0)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"rho": 0.5, "epsilon": 1e-3}]

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a block of weights; see the class."""
        # As in Adam, the state omits the factor 1 - rho; dividing epsilon by it too leaves the
        # quotient of the roots unchanged.
        (v, d), (delta, root) = state, scratch
        epsilon = self.epsilon / (1 - self.rho)
        np.multiply(v, self.rho, out=v)
        np.add(v, np.multiply(g, g, out=delta), out=v)
        np.add(d, epsilon, out=delta)
        np.divide(delta, np.add(v, epsilon, out=root), out=delta)
        np.sqrt(delta, out=delta)
        np.multiply(delta, g, out=delta)
        np.multiply(d, self.rho, out=d)
        np.add(d, np.multiply(delta, delta, out=root), out=d)
        np.multiply(delta, lr, out=delta)
        np.subtract(w, delta, out=w)
