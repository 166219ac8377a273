"""Cosine schedules: decay, decay with warm restarts, and one cycle."""

from __future__ import annotations

import math
from typing import Any

from netlayers.checks import check_integer, check_name, check_number
from netlayers.optimizers.schedules.base import LearningRateSchedule, check_step, power
from netlayers.registry import register


def _half_wave(progress: float) -> float:
    """Return the value of half a cosine wave from 1 to 0, for ``progress`` from 0 to 1."""
    return 0.5 * (1 + math.cos(math.pi * progress))


@register("schedule")
class CosineDecay(LearningRateSchedule):
    """Cosine decay from the initial learning rate to ``alpha`` times it, with an optional warm-up.

    With ``warmup_target``, the rate first rises linearly from ``initial_learning_rate`` to it
    within ``warmup_steps``, then decays from it within ``decay_steps``.

    Args:
        initial_learning_rate: learning rate of the first update.
        decay_steps: number of updates of the decay; afterwards the rate is constant.
        alpha: final rate as a fraction of the highest.
        name: name of the schedule.
        warmup_target: rate after the warm-up; ``None`` for no warm-up.
        warmup_steps: number of updates of the warm-up.

    Source:
        I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts",
        ICLR 2017, eq. 5, without the restarts.

    Example:
        >>> import netlayers as nl
        >>> rate = nl.optimizers.schedules.CosineDecay(0.1, decay_steps=100)
        >>> round(rate(0), 4), round(rate(50), 4), round(rate(100), 4)
        (0.1, 0.05, 0.0)
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
        self.name = check_name(owner, name, owner)
        if warmup_target is not None:
            warmup_target = check_number(owner, "warmup_target", warmup_target, minimum=0)
        self.warmup_target = warmup_target
        self.warmup_steps = check_integer(owner, "warmup_steps", warmup_steps, minimum=0)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        decay = {"initial_learning_rate": 0.1, "decay_steps": 10}
        return [{**decay, "alpha": 0.25}, {**decay, "warmup_target": 0.5, "warmup_steps": 3}]

    def __call__(self, step: int) -> float:
        """Return the learning rate of update ``step``."""
        step = check_step(self, step)
        highest = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return highest + (self.warmup_target - highest) * step / self.warmup_steps
            highest, step = self.warmup_target, step - self.warmup_steps
        wave = _half_wave(min(step, self.decay_steps) / self.decay_steps)
        return highest * ((1 - self.alpha) * wave + self.alpha)


@register("schedule")
class CosineDecayRestarts(LearningRateSchedule):
    """Cosine decay to ``alpha`` times the initial learning rate, with warm restarts.

    Args:
        initial_learning_rate: learning rate of the first update.
        first_decay_steps: number of updates of the first decay.
        t_mul: factor of the length of each decay relative to the previous one, at least 1.
        m_mul: factor of the initial rate of each decay relative to the previous one.
        alpha: lowest rate as a fraction of the initial one.
        name: name of the schedule.

    Source:
        I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts",
        ICLR 2017, eq. 5.

    Example:
        >>> import netlayers as nl
        >>> rate = nl.optimizers.schedules.CosineDecayRestarts(0.1, first_decay_steps=100)
        >>> round(rate(0), 4), round(rate(50), 4), round(rate(100), 4)
        (0.1, 0.05, 0.1)
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: int,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        owner = "CosineDecayRestarts"
        self.initial_learning_rate = check_number(
            owner, "initial_learning_rate", initial_learning_rate, minimum=0
        )
        self.first_decay_steps = check_integer(
            owner, "first_decay_steps", first_decay_steps, minimum=1
        )
        self.t_mul = check_number(owner, "t_mul", t_mul, minimum=1)
        self.m_mul = check_number(owner, "m_mul", m_mul, minimum=0)
        self.alpha = check_number(owner, "alpha", alpha, minimum=0)
        self.name = check_name(owner, name, owner)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        decay = {"initial_learning_rate": 0.1, "first_decay_steps": 3}
        return [decay, {**decay, "t_mul": 1.5, "m_mul": 0.5, "alpha": 0.25}]

    def __call__(self, step: int) -> float:
        """Return the learning rate of update ``step``."""
        step = check_step(self, step)
        restarts, progress = self._period(step / self.first_decay_steps)
        wave = power(self.m_mul, restarts) * _half_wave(progress)
        return self.initial_learning_rate * ((1 - self.alpha) * wave + self.alpha)

    def _period(self, elapsed: float) -> tuple[int, float]:
        """Return the number of restarts and the completed fraction of the current decay.

        ``elapsed`` is measured in lengths of the first decay.
        """
        t = self.t_mul
        if t == 1:
            return int(elapsed), elapsed % 1

        def start(n: int) -> float:
            return (power(t, n) - 1) / (t - 1)

        # Rounding of the logarithm may miss a restart at a whole step: log(243) / log(3) is
        # 4.999... The sum of the lengths decides.
        restarts = int(math.log(1 + elapsed * (t - 1)) / math.log(t))
        if elapsed < start(restarts):
            restarts -= 1
        elif elapsed >= start(restarts + 1):
            restarts += 1
        return restarts, (elapsed - start(restarts)) / t**restarts


@register("schedule")
class OneCycle(LearningRateSchedule):
    """One-cycle schedule: a rise to the highest rate, then a decay, both half cosine waves.

    The rate starts at ``max_learning_rate / div_factor``, reaches its maximum after the fraction
    ``pct_start`` of the steps, and ends at the initial rate divided by ``final_div_factor``, where
    it stays. Names and defaults are those of PyTorch's ``OneCycleLR`` except for ``max_lr``; the
    momentum is not cycled.

    Args:
        max_learning_rate: highest rate.
        total_steps: number of updates of the run.
        pct_start: fraction of them in which the rate rises, in [0, 1].
        div_factor: ratio of the highest to the initial rate.
        final_div_factor: ratio of the initial to the final rate.
        name: name of the schedule.

    Source:
        L. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large
        learning rates", arXiv:1708.07120 (2018), section 3, with half cosine waves, not lines.

    Example:
        >>> import netlayers as nl
        >>> rate = nl.optimizers.schedules.OneCycle(0.1, total_steps=100)
        >>> round(rate(0), 4), round(rate(30), 4), round(rate(100), 6)
        (0.004, 0.0999, 0.0)
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        pct_start: float = 0.3,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        name: str = "OneCycle",
    ) -> None:
        owner = "OneCycle"
        self.max_learning_rate = check_number(
            owner, "max_learning_rate", max_learning_rate, minimum=0
        )
        self.total_steps = check_integer(owner, "total_steps", total_steps, minimum=1)
        self.pct_start = check_number(owner, "pct_start", pct_start, minimum=0, maximum=1)
        self.div_factor = check_number(owner, "div_factor", div_factor, above=0)
        self.final_div_factor = check_number(owner, "final_div_factor", final_div_factor, above=0)
        self.name = check_name(owner, name, owner)

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        cycle = {"max_learning_rate": 0.1, "total_steps": 10}
        return [cycle, {**cycle, "pct_start": 0.5, "div_factor": 5.0, "final_div_factor": 100.0}]

    def __call__(self, step: int) -> float:
        """Return the learning rate of update ``step``."""
        step = check_step(self, step)
        highest = self.max_learning_rate
        first = highest / self.div_factor
        last = first / self.final_div_factor
        top, end = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if step < top:
            return highest + (first - highest) * _half_wave(step / top)
        if step < end:
            return last + (highest - last) * _half_wave((step - top) / (end - top))
        return last
