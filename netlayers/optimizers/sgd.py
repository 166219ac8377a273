"""Stochastic gradient descent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers._warn import warn
from netlayers.checks import check_flag, check_number
from netlayers.kernels.select import kernels
from netlayers.optimizers.base import Optimizer
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.optimizers.schedules.base import LearningRateSchedule


@register("optimizer")
class SGD(Optimizer):
    """Gradient descent: ``w -= lr g``; with momentum µ, ``m = µ m - lr g`` and ``w += m``.

    With Nesterov momentum, ``w += µ m - lr g`` with the new m. As in Keras, and unlike in PyTorch,
    the velocity m includes the learning rate.

    Args:
        learning_rate: a number or a schedule.
        momentum: µ, in [0, 1).
        nesterov: whether to use Nesterov momentum.
        kwargs: see :class:`Optimizer`.

    Source:
        I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and
        momentum in deep learning", ICML 2013, eq. 1 to 4; Nesterov momentum with the gradient at
        w: Y. Bengio, N. Boulanger-Lewandowski, R. Pascanu, "Advances in optimizing
        recurrent networks", ICASSP 2013, eq. 7.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.SGD(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.95, 1.01], dtype=float32)
    """

    by_rows = True

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum = check_number("SGD", "momentum", momentum, minimum=0, below=1)
        self.nesterov = check_flag("SGD", "nesterov", nesterov)
        if self.nesterov and not self.momentum:
            warn("SGD: nesterov=True has no effect without momentum; pass momentum=0.9, say.")
        if self.momentum:
            self.state_names = ("momentum",)
            self.by_rows = False  # the velocity moves weights without a gradient

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}]

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a block of weights; see the class."""
        if not self.momentum:
            kernels.gradient_step(w, g, lr, scratch)
            return
        (m,) = state
        if not self.nesterov:
            kernels.momentum_step(w, g, m, lr, self.momentum, scratch)
        else:
            step = np.multiply(g, -lr, out=scratch)
            np.multiply(m, self.momentum, out=m)
            np.add(m, step, out=m)
            np.add(w, step, out=w)
            np.add(w, np.multiply(m, self.momentum, out=scratch), out=w)
