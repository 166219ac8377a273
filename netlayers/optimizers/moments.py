"""Base class of Adam and its variants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlayers.checks import check_number
from netlayers.kernels.select import kernels
from netlayers.optimizers.base import Optimizer

if TYPE_CHECKING:
    from netlayers._typing import Array
    from netlayers.optimizers.schedules.base import LearningRateSchedule


class Moments(Optimizer):
    """Base class of rules that keep running means m and v of g and g².

    The state omits the factors 1 - beta, which saves two of twelve passes over memory: it holds the
    decaying sums m / (1 - beta_1) and v / (1 - beta_2). A rule includes the factors in its last
    multiplication and divides epsilon by the square root of that of v.

    Args:
        learning_rate: a number or a schedule.
        beta_1: decay of m, in [0, 1).
        beta_2: decay of v, in [0, 1).
        epsilon: small constant for numerical stability.
        kwargs: see :class:`Optimizer`.
    """

    state_names: tuple[str, ...] = ("m", "v")
    _squares_gradients = True

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        owner = type(self).__name__
        self.beta_1 = check_number(owner, "beta_1", beta_1, minimum=0, below=1)
        self.beta_2 = check_number(owner, "beta_2", beta_2, minimum=0, below=1)
        self.epsilon = check_number(owner, "epsilon", epsilon, above=0)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}]

    def update_moments(self, g: Array, m: Array, v: Array, scratch: Array) -> None:
        """Update m and v with the gradients."""
        kernels.update_moments(g, m, v, self.beta_1, self.beta_2, scratch)
