"""Learning rates that follow a cosine: once, again and again, or up and down."""

from __future__ import annotations

import math
from typing import Any

from netlayers.checks import check_integer, check_number
from netlayers.optimizers.schedules.base import LearningRateSchedule
from netlayers.registry import register


def _half_wave(progress: float) -> float:
    """Fall from 1 to 0 along half a cosine wave, as progress goes from 0 to 1."""
    return 0.5 * (1 + math.cos(math.pi * progress))


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

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        decay = {"initial_learning_rate": 0.1, "decay_steps": 10}
        return [{**decay, "alpha": 0.25}, {**decay, "warmup_target": 0.5, "warmup_steps": 3}]

    def __call__(self, step: int) -> float:
        """Return the rate of update ``step``."""
        highest = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return highest + (self.warmup_target - highest) * step / self.warmup_steps
            highest, step = self.warmup_target, step - self.warmup_steps
        wave = _half_wave(min(step, self.decay_steps) / self.decay_steps)
        return highest * ((1 - self.alpha) * wave + self.alpha)


@register("schedule")
class CosineDecayRestarts(LearningRateSchedule):
    """Half a cosine wave down to ``alpha`` times the initial rate, over and over.

    Args:
        initial_learning_rate: rate of the first update.
        first_decay_steps: length of the first decay.
        t_mul: each decay is this times as long as the one before, at least 1.
        m_mul: each decay starts from this times the rate that the one before started from.
        alpha: lowest rate, as a share of the initial one.
        name: what it is called.

    Source:
        I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts",
        ICLR 2017, eq. 5.
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
        self.name = name

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        decay = {"initial_learning_rate": 0.1, "first_decay_steps": 3}
        return [decay, {**decay, "t_mul": 1.5, "m_mul": 0.5, "alpha": 0.25}]

    def __call__(self, step: int) -> float:
        """Return the rate of update ``step``."""
        restarts, done = self._period(step / self.first_decay_steps)
        wave = self.m_mul**restarts * _half_wave(done)
        return self.initial_learning_rate * ((1 - self.alpha) * wave + self.alpha)

    def _period(self, passed: float) -> tuple[int, float]:
        """Return the restarts so far and the share of the present decay that is done.

        ``passed`` counts in lengths of the first decay.
        """
        t = self.t_mul
        if t == 1:
            return int(passed), passed % 1

        def start(n: int) -> float:
            return (t**n - 1) / (t - 1)

        # Where a restart falls on a whole step the logarithm may miss it by rounding:
        # log(243) / log(3) is 4.999... The sum of the lengths decides.
        restarts = int(math.log(1 + passed * (t - 1)) / math.log(t))
        if passed < start(restarts):
            restarts -= 1
        elif passed >= start(restarts + 1):
            restarts += 1
        return restarts, (passed - start(restarts)) / t**restarts


@register("schedule")
class OneCycle(LearningRateSchedule):
    """Up to the highest rate and down again to nearly nothing, each along half a cosine wave.

    The rate starts at ``max_learning_rate / div_factor``, is at its highest when ``pct_start`` of
    the steps are done, and ends at ``final_div_factor`` times below where it started; there it
    stays. Names and defaults are those of PyTorch's ``OneCycleLR`` but for ``max_lr``; a momentum
    that moves the other way is not part of it.

    Args:
        max_learning_rate: highest rate.
        total_steps: updates of the whole run.
        pct_start: share of them in which the rate rises, in [0, 1].
        div_factor: highest over initial rate.
        final_div_factor: initial over final rate.
        name: what it is called.

    Source:
        L. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large
        learning rates", arXiv:1708.07120 (2018), section 3, with half waves in place of lines.
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
        self.name = name

    @staticmethod
    def examples() -> list[dict[str, Any]]:
        """Return what ``netlayers.testing`` tries the class on."""
        cycle = {"max_learning_rate": 0.1, "total_steps": 10}
        return [cycle, {**cycle, "pct_start": 0.5, "div_factor": 5.0, "final_div_factor": 100.0}]

    def __call__(self, step: int) -> float:
        """Return the rate of update ``step``."""
        highest = self.max_learning_rate
        first = highest / self.div_factor
        last = first / self.final_div_factor
        top, end = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if step < top:
            return highest + (first - highest) * _half_wave(step / top)
        if step < end:
            return last + (highest - last) * _half_wave((step - top) / (end - top))
        return last
