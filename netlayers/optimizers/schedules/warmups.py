"""Schedules with a linear warm-up."""

from __future__ import annotations

from typing import Any

from netlayers.checks import check_integer, check_name, check_number
from netlayers.optimizers.schedules.base import LearningRateSchedule, check_rate, check_step
from netlayers.registry import register


@register("schedule")
class LinearWarmup(LearningRateSchedule):
    """Linear warm-up to a learning rate, followed by that rate or schedule.

    Args:
        learning_rate: a number or a schedule, which starts after the warm-up.
        warmup_steps: number of updates of the warm-up.
        initial_learning_rate: learning rate of the first update.
        name: name of the schedule.

    Source:
        P. Goyal et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour",
        arXiv:1706.02677 (2017), section 2.2 (gradual warm-up).

    Example:
        >>> from netlayers.optimizers.schedules import CosineDecay, LinearWarmup
        >>> rate = LinearWarmup(CosineDecay(0.5, decay_steps=100), warmup_steps=10)
        >>> rate(0), rate(5), rate(10), rate(110)
        (0.0, 0.25, 0.5, 0.0)
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule,
        warmup_steps: int,
        initial_learning_rate: float = 0.0,
        name: str = "LinearWarmup",
    ) -> None:
        owner = "LinearWarmup"
        self.learning_rate = check_rate(owner, learning_rate)
        self.warmup_steps = check_integer(owner, "warmup_steps", warmup_steps, minimum=0)
        self.initial_learning_rate = check_number(
            owner, "initial_learning_rate", initial_learning_rate, minimum=0
        )
        self.name = check_name(owner, name, owner)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        decay = {"class_name": "Noam", "config": {"d_model": 16}}
        return [
            {"learning_rate": 0.1, "warmup_steps": 4, "initial_learning_rate": 0.05},
            {"learning_rate": decay, "warmup_steps": 2},
        ]

    def __call__(self, step: int) -> float:
        """Return the learning rate of update ``step``."""
        step = check_step(self, step)
        after = max(0, step - self.warmup_steps)
        target = self.learning_rate
        if isinstance(target, LearningRateSchedule):
            place = f"the learning rate that {target!r} returns"
            target = check_number("LinearWarmup", place, target(after), minimum=0)
        if step >= self.warmup_steps:
            return target
        first = self.initial_learning_rate
        return first + (target - first) * step / self.warmup_steps


@register("schedule")
class Noam(LearningRateSchedule):
    """Schedule of the Transformer: linear warm-up, then decay with the inverse square root.

    ``scale d_model^(-1/2) min(t^(-1/2), t warmup_steps^(-3/2))``, where t is 1 for the first
    update. The maximum is at t = ``warmup_steps``.

    Args:
        d_model: width of the model, which scales the rate.
        warmup_steps: number of updates until the maximum.
        scale: factor of the rate, 1 in the paper.
        name: name of the schedule.

    Source:
        A. Vaswani et al., "Attention is all you need", NeurIPS 2017, eq. 3.

    Example:
        >>> import netlayers as nl
        >>> rate = nl.optimizers.schedules.Noam(d_model=64, warmup_steps=100)
        >>> round(rate(50), 5), round(rate(100), 5), round(rate(400), 5)
        (0.00638, 0.01244, 0.00624)
    """

    def __init__(
        self, d_model: int, warmup_steps: int = 4000, scale: float = 1.0, name: str = "Noam"
    ) -> None:
        self.d_model = check_integer("Noam", "d_model", d_model, minimum=1)
        self.warmup_steps = check_integer("Noam", "warmup_steps", warmup_steps, minimum=1)
        self.scale = check_number("Noam", "scale", scale, minimum=0)
        self.name = check_name("Noam", name, "Noam")

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        return [{"d_model": 16, "warmup_steps": 4, "scale": 0.5}]

    def __call__(self, step: int) -> float:
        """Return the learning rate of update ``step``."""
        step = check_step(self, step)
        t = step + 1
        return self.scale * self.d_model**-0.5 * min(t**-0.5, t * self.warmup_steps**-1.5)
