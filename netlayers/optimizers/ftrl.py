"""FTRL-Proximal."""

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
class Ftrl(Optimizer):
    """FTRL-Proximal: ``w = (clip(z, -l1, l1) - z) / (n^p / lr + beta / lr + 2 l2)``.

    Here n is the sum of squared gradients and ``p = -learning_rate_power``. With the change of n^p
    by this gradient, ``σ = (n^p - n_before^p) / lr``, the sum z is
    ``z += g + 2 l2_shrinkage w - σ w``. It is for shallow models with many sparse features.

    The weights follow from z alone, which starts at 0: the first update forgets most of the initial
    weights, and a weight whose gradient is 0 becomes 0. An update with the learning rate 0 changes
    nothing.

    Args:
        learning_rate: a number or a schedule.
        learning_rate_power: -p, at most 0; 0 is a fixed learning rate.
        initial_accumulator_value: initial value of n, at least 0.
        l1_regularization_strength: l1, at least 0; weights with ``|z| <= l1`` are exactly 0.
        l2_regularization_strength: l2, at least 0.
        l2_shrinkage_regularization_strength: at least 0; the gradient of ``l2_shrinkage w²`` is
            added to g in z, but not in n.
        beta: β of the paper, at least 0.
        kwargs: see :class:`Optimizer`.

    Source:
        H. B. McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013, algorithm
        1, where p is 1/2 and α is lr. As in Keras, l2 is half of the paper's λ2.

    Example:
        >>> import numpy as np, netlayers as nl
        >>> layer = nl.layers.Dense(1, kernel_initializer="ones", use_bias=False)
        >>> layer.build((None, 2))
        >>> gradient = np.array([[0.5], [-0.1]])
        >>> nl.optimizers.Ftrl(0.1).apply([gradient], layer.trainable_variables)
        True
        >>> layer.kernel.ravel().round(4)
        array([0.381 , 0.0767], dtype=float32)
    """

    state_names = ("accumulator", "linear")
    scratch_rows = 2
    _squares_gradients = True

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.learning_rate_power = check_number(
            "Ftrl", "learning_rate_power", learning_rate_power, maximum=0
        )
        self.initial_accumulator_value = check_number(
            "Ftrl", "initial_accumulator_value", initial_accumulator_value, minimum=0
        )
        self.l1_regularization_strength = check_number(
            "Ftrl", "l1_regularization_strength", l1_regularization_strength, minimum=0
        )
        self.l2_regularization_strength = check_number(
            "Ftrl", "l2_regularization_strength", l2_regularization_strength, minimum=0
        )
        self.l2_shrinkage_regularization_strength = check_number(
            "Ftrl",
            "l2_shrinkage_regularization_strength",
            l2_shrinkage_regularization_strength,
            minimum=0,
        )
        self.beta = check_number("Ftrl", "beta", beta, minimum=0)
        self.state_start = {"accumulator": self.initial_accumulator_value}

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            {},
            {
                "learning_rate_power": -0.2,
                "initial_accumulator_value": 0.4,
                "l1_regularization_strength": 0.05,
                "l2_regularization_strength": 0.15,
                "l2_shrinkage_regularization_strength": 0.01,
                "beta": 0.3,
            },
        ]

    def update(
        self, w: Array, g: Array, lr: float, state: tuple[Array, ...], scratch: Array
    ) -> None:
        """Update a block of weights; see the class."""
        if lr == 0:
            return
        (n, z), (sigma, power) = state, scratch
        self._power(n, sigma)
        np.multiply(g, g, out=power)
        np.add(n, power, out=n)
        self._power(n, power)
        np.subtract(power, sigma, out=sigma)
        np.divide(sigma, lr, out=sigma)
        if self.l2_shrinkage_regularization_strength:
            np.subtract(sigma, 2 * self.l2_shrinkage_regularization_strength, out=sigma)
        np.multiply(sigma, w, out=sigma)
        np.subtract(z, sigma, out=z)
        np.add(z, g, out=z)
        np.divide(power, lr, out=power)
        np.add(power, self.beta / lr + 2 * self.l2_regularization_strength, out=power)
        np.maximum(power, np.finfo(w.dtype).tiny, out=power)  # 0 before the first gradient
        l1 = self.l1_regularization_strength
        np.clip(z, -l1, l1, out=sigma)
        np.subtract(sigma, z, out=sigma)
        np.divide(sigma, power, out=w)

    def _power(self, n: Array, out: Array) -> None:
        """Write ``n^p``."""
        if self.learning_rate_power == -0.5:
            np.sqrt(n, out=out)
        else:
            np.power(n, -self.learning_rate_power, out=out)
