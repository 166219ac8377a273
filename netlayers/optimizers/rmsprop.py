"""RMSprop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_flag, check_number
from netlayers.optimizers.base import Optimizer
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.optimizers.schedules.base import LearningRateSchedule


@register("optimizer", "rmsprop")
class RMSprop(Optimizer):
    """RMSprop: ``w -= lr g / sqrt(v + epsilon)``.

    ``v = rho v + (1 - rho) g²``; if centered, the square of the running mean of g is subtracted
    from v. With momentum µ, ``m = µ m + lr g / sqrt(...)`` and ``w -= m``. As in Keras, epsilon is
    inside the root.

    Args:
        learning_rate: a number or a schedule.
        rho: decay of the running means, in [0, 1).
        momentum: µ, in [0, 1).
        epsilon: small constant for numerical stability.
        centered: divide by the running standard deviation of the gradient.
        kwargs: see :class:`Optimizer`.

    Source:
        T. Tieleman, G. Hinton, "Lecture 6.5: rmsprop", COURSERA 2012; the centered form is
        A. Graves, "Generating sequences with recurrent neural networks", arXiv:1308.0850,
        eq. 38 to 45.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.RMSprop(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.6838, 1.3162], dtype=float32)
    """

    _squares_gradients = True

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho = check_number("RMSprop", "rho", rho, minimum=0, below=1)
        self.momentum = check_number("RMSprop", "momentum", momentum, minimum=0, below=1)
        self.epsilon = check_number("RMSprop", "epsilon", epsilon, above=0)
        self.centered = check_flag("RMSprop", "centered", centered)
        self.state_names = ("velocity",)
        if self.momentum:
            self.state_names += ("momentum",)
        if self.centered:
            self.state_names += ("average_gradient",)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"rho": 0.5, "momentum": 0.5, "epsilon": 1e-3, "centered": True}]

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a block of weights; see the class."""
        v = state[0]
        np.multiply(g, g, out=scratch)
        scratch -= v
        scratch *= 1 - self.rho
        v += scratch
        if self.centered:
            mean = state[-1]
            np.subtract(g, mean, out=scratch)
            scratch *= 1 - self.rho
            mean += scratch
            np.multiply(mean, mean, out=scratch)
            np.subtract(v, scratch, out=scratch)
            np.maximum(scratch, 0, out=scratch)  # v >= mean² up to rounding
            scratch += self.epsilon
        else:
            np.add(v, self.epsilon, out=scratch)
        np.sqrt(scratch, out=scratch)
        np.divide(g, scratch, out=scratch)
        scratch *= lr
        if self.momentum:
            m = state[1]
            m *= self.momentum
            m += scratch
            w -= m
        else:
            w -= scratch
