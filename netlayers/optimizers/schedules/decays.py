"""Exponential, inverse time, piecewise constant and polynomial decay."""

from __future__ import annotations

import bisect
import math
from typing import TYPE_CHECKING, Any

from netlayers.checks import check_flag, check_integer, check_list, check_name, check_number
from netlayers.errors import ConfigurationError
from netlayers.optimizers.schedules.base import LearningRateSchedule, check_step, power
from netlayers.registry import register

if TYPE_CHECKING:
    from collections.abc import Sequence


@register("schedule")
class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate decay_rate^(step / decay_steps)``.

    Args:
        initial_learning_rate: learning rate of the first update.
        decay_steps: number of updates in which the rate changes by the factor ``decay_rate``.
        decay_rate: the factor.
        staircase: use the integer quotient ``step // decay_steps``.
        name: name of the schedule.

    Source:
        A. Senior et al., "An empirical study of learning rates in deep neural networks for speech
        recognition", ICASSP 2013 (exponential scheduling).

    Example:
        >>> from netlayers.optimizers.schedules import ExponentialDecay
        >>> ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)(200)
        0.025
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        owner = "ExponentialDecay"
        self.initial_learning_rate = check_number(
            owner, "initial_learning_rate", initial_learning_rate, minimum=0
        )
        self.decay_steps = check_integer(owner, "decay_steps", decay_steps, minimum=1)
        self.decay_rate = check_number(owner, "decay_rate", decay_rate, above=0)
        self.staircase = check_flag(owner, "staircase", staircase)
        self.name = check_name(owner, name, owner)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            {
                "initial_learning_rate": 0.1,
                "decay_steps": 10,
                "decay_rate": 0.5,
                "staircase": staircase,
            }
            for staircase in (False, True)
        ]

    def __call__(self, step: int) -> float:
        """Return the learning rate of update ``step``."""
        step = check_step(self, step)
        exponent = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate * power(self.decay_rate, exponent)


@register("schedule")
class InverseTimeDecay(LearningRateSchedule):
    """``initial_learning_rate / (1 + decay_rate step / decay_steps)``.

    Args:
        initial_learning_rate: learning rate of the first update.
        decay_steps: number of updates per unit of the decay.
        decay_rate: increase of the divisor per unit.
        staircase: use the integer quotient ``step // decay_steps``.
        name: name of the schedule.

    Source:
        C. Darken, J. Moody, "Note on learning rate schedules for stochastic optimization", NIPS
        1990.

    Example:
        >>> from netlayers.optimizers.schedules import InverseTimeDecay
        >>> InverseTimeDecay(0.5, decay_steps=10, decay_rate=2.0)(20)
        0.1
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        owner = "InverseTimeDecay"
        self.initial_learning_rate = check_number(
            owner, "initial_learning_rate", initial_learning_rate, minimum=0
        )
        self.decay_steps = check_integer(owner, "decay_steps", decay_steps, minimum=1)
        self.decay_rate = check_number(owner, "decay_rate", decay_rate, minimum=0)
        self.staircase = check_flag(owner, "staircase", staircase)
        self.name = check_name(owner, name, owner)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [
            {
                "initial_learning_rate": 0.1,
                "decay_steps": 10,
                "decay_rate": 0.5,
                "staircase": staircase,
            }
            for staircase in (False, True)
        ]

    def __call__(self, step: int) -> float:
        """Return the learning rate of update ``step``."""
        step = check_step(self, step)
        units = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate / (1 + self.decay_rate * units)


@register("schedule")
class PiecewiseConstantDecay(LearningRateSchedule):
    """Piecewise constant schedule: one rate up to and including each boundary.

    Args:
        boundaries: numbers of updates, increasing.
        values: the rates, one more than boundaries.
        name: name of the schedule.

    Raises:
        ConfigurationError: the lengths do not match, or the boundaries do not increase.

    Example:
        >>> from netlayers.optimizers.schedules import PiecewiseConstantDecay
        >>> rate = PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
        >>> rate(0), rate(100), rate(101), rate(500)
        (0.1, 0.1, 0.01, 0.001)
    """

    def __init__(
        self,
        boundaries: Sequence[int],
        values: Sequence[float],
        name: str = "PiecewiseConstant",
    ) -> None:
        owner = "PiecewiseConstantDecay"
        steps = check_list(owner, "boundaries", boundaries, "integers")
        self.boundaries = [check_integer(owner, "each boundary", b, minimum=0) for b in steps]
        rates = check_list(owner, "values", values, "numbers")
        self.values = [check_number(owner, "each value", v, minimum=0) for v in rates]
        self.name = check_name(owner, name, owner)
        if len(self.values) != len(self.boundaries) + 1:
            raise ConfigurationError(
                f"{owner}: there must be one more value than boundaries, got {len(self.values)} "
                f"values and {len(self.boundaries)} boundaries."
            )
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ConfigurationError(f"{owner}: boundaries must increase, got {self.boundaries!r}.")

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{"boundaries": [2, 5], "values": [0.5, 0.25, 0.125]}]

    def __call__(self, step: int) -> float:
        """Return the learning rate of update ``step``."""
        step = check_step(self, step)
        return self.values[bisect.bisect_left(self.boundaries, step)]


@register("schedule")
class PolynomialDecay(LearningRateSchedule):
    """``(initial_learning_rate - end_learning_rate) (1 - step / decay_steps)^power + end``.

    Args:
        initial_learning_rate: learning rate of the first update.
        decay_steps: number of updates of the decay.
        end_learning_rate: final rate.
        power: exponent; 1 gives a linear decay.
        cycle: restart after the end, with the decay extended to the next multiple of
            ``decay_steps``. Otherwise the rate stays constant.
        name: name of the schedule.

    Source:
        L.-C. Chen et al., "DeepLab: semantic image segmentation with deep convolutional nets,
        atrous convolution, and fully connected CRFs", IEEE TPAMI 40 (2018), the policy "poly".

    Example:
        >>> from netlayers.optimizers.schedules import PolynomialDecay
        >>> rate = PolynomialDecay(0.1, decay_steps=100, end_learning_rate=0.0)
        >>> round(rate(0), 4), round(rate(50), 4), round(rate(100), 4)
        (0.1, 0.05, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        owner = "PolynomialDecay"
        self.initial_learning_rate = check_number(
            owner, "initial_learning_rate", initial_learning_rate, minimum=0
        )
        self.decay_steps = check_integer(owner, "decay_steps", decay_steps, minimum=1)
        self.end_learning_rate = check_number(
            owner, "end_learning_rate", end_learning_rate, minimum=0
        )
        self.power = check_number(owner, "power", power, minimum=0)
        self.cycle = check_flag(owner, "cycle", cycle)
        self.name = check_name(owner, name, owner)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        decay = {"initial_learning_rate": 0.1, "decay_steps": 4}
        return [decay, {**decay, "end_learning_rate": 0.05, "power": 2.0, "cycle": True}]

    def __call__(self, step: int) -> float:
        """Return the learning rate of update ``step``."""
        step = check_step(self, step)
        length = self.decay_steps
        if self.cycle:
            length *= max(1, math.ceil(step / length))
        remaining = 1 - min(step, length) / length
        span = self.initial_learning_rate - self.end_learning_rate
        return span * remaining**self.power + self.end_learning_rate
