"""Adam and AdamW."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from netlayers.checks import check_flag
from netlayers.errors import ConfigurationError
from netlayers.kernels.select import kernels
from netlayers.optimizers.moments import Moments
from netlayers.registry import register

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.optimizers.schedules.base import LearningRateSchedule


@register("optimizer")
class Adam(Moments):
    """Adam: ``w -= α m / (sqrt(v) + epsilon)``.

    ``m`` and ``v`` are running means of g and g²; ``α = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)``
    corrects the bias of their initialization at zero. As in Keras, epsilon is the paper's "epsilon
    hat"; in PyTorch it is added after the bias correction of v.

    Args:
        learning_rate: a number or a schedule.
        beta_1: decay of m, in [0, 1).
        beta_2: decay of v, in [0, 1).
        epsilon: small constant for numerical stability.
        amsgrad: use the maximum of all v so far.
        kwargs: see :class:`Optimizer`.

    Source:
        D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, algorithm 1 with
        the order of computation at the end of its section 2. AMSGrad: S. Reddi, S. Kale, S. Kumar,
        "On the convergence of Adam and beyond", ICLR 2018, algorithm 2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.Adam(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.9, 1.1], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, **kwargs)
        self.amsgrad = check_flag(type(self).__name__, "amsgrad", amsgrad)
        if self.amsgrad:
            self.state_names = ("m", "v", "v_max")

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [*Moments.examples(), {"amsgrad": True}]

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a block of weights; see the class."""
        t, root = self.iterations, math.sqrt(1 - self.beta_2)
        alpha = lr * math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        alpha, epsilon = alpha * (1 - self.beta_1) / root, self.epsilon / root
        m, v = state[:2]
        if not self.amsgrad:
            kernels.adam(w, g, m, v, self.beta_1, self.beta_2, alpha, epsilon, scratch)
            return
        self.update_moments(g, m, v, scratch)
        v_max = np.maximum(state[2], v, out=state[2])
        kernels.adaptive_step(w, m, v_max, alpha, epsilon, scratch)


@register("optimizer", "adamw")
class AdamW(Adam):
    """Adam with decoupled weight decay: ``w -= lr weight_decay w`` before each step.

    Args:
        learning_rate: a number or a schedule.
        weight_decay: factor of the decay, see above.
        beta_1: see :class:`Adam`.
        beta_2: see :class:`Adam`.
        epsilon: see :class:`Adam`.
        amsgrad: see :class:`Adam`.
        kwargs: see :class:`Optimizer`.

    Source:
        I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.AdamW(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.8996, 1.0996], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        if weight_decay is None:
            raise ConfigurationError(
                "AdamW: weight_decay must be a number, got None; for no decay use Adam."
            )
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs
        )
