"""Learning rates that change with the number of updates."""

from __future__ import annotations

import math

from netlayers.checks import check_flag, check_integer, check_number
from netlayers.registry import Configurable, register

__all__ = ["CosineDecay", "ExponentialDecay", "LearningRateSchedule"]


class LearningRateSchedule(Configurable):
    """Base class. A subclass writes ``__call__``."""

    def __call__(self, step: int) -> float:
        """Return the learning rate of an update; the first has the number 0."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")


@register("schedule")
class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate decay_rate^(step / decay_steps)``.

    Args:
        initial_learning_rate: rate of the first update.
        decay_steps: updates until the rate is multiplied by ``decay_rate``.
        decay_rate: that factor.
        staircase: in whole steps: ``step // decay_steps``.
        name: what it is called.

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
        self.name = name

    def __call__(self, step: int) -> float:
        """Return the rate of update ``step``."""
        exponent = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate * self.decay_rate**exponent


@register("schedule")
class CosineDecay(LearningRateSchedule):
    """Half a cosine wave from the initial rate down to ``alpha`` times it, after a linear warm-up.

    With ``warmup_target`` the rate first rises from ``initial_learning_rate`` to it within
    ``warmup_steps``, then decays from it within ``decay_steps``.

    Args:
        initial_learning_rate: rate of the first update.
        decay_steps: length of the decay; after it the rate stays.
        alpha: final rate, as a share of the highest.
        name: what it is called.
        warmup_target: highest rate, ``None`` for no warm-up.
        warmup_steps: length of the warm-up.

    Source:
        I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts",
        ICLR 2017, eq. 5, without the restarts.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: int,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        owner = "CosineDecay"
        self.initial_learning_rate = check_number(
            owner, "initial_learning_rate", initial_learning_rate, minimum=0
        )
        self.decay_steps = check_integer(owner, "decay_steps", decay_steps, minimum=1)
        self.alpha = check_number(owner, "alpha", alpha, minimum=0)
        self.name = name
        if warmup_target is not None:
            warmup_target = check_number(owner, "warmup_target", warmup_target, minimum=0)
        self.warmup_target = warmup_target
        self.warmup_steps = check_integer(owner, "warmup_steps", warmup_steps, minimum=0)

    def __call__(self, step: int) -> float:
        """Return the rate of update ``step``."""
        highest = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return highest + (self.warmup_target - highest) * step / self.warmup_steps
            highest, step = self.warmup_target, step - self.warmup_steps
        cosine = 0.5 * (1 + math.cos(math.pi * min(step, self.decay_steps) / self.decay_steps))
        return highest * ((1 - self.alpha) * cosine + self.alpha)
