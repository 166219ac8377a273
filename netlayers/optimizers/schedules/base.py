"""Base class of learning rate schedules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from netlayers.checks import check_number, takes
from netlayers.registry import Configurable, must_define, resolve

if TYPE_CHECKING:
    from collections.abc import Callable


class LearningRateSchedule(Configurable):
    """Base class. Subclasses implement ``__call__``."""

    @must_define()
    def __call__(self, step: int) -> float:
        """Return the learning rate of update ``step``, counted from 0."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")


class _CalledRate(LearningRateSchedule):
    """The learning rate that a function without arguments returns at each update.

    Args:
        function: the function. A file stores the number that it returns then.
    """

    def __init__(self, function: Callable[[], float]) -> None:
        self.function = function

    def __call__(self, step: int) -> float:
        """Return what the function returns."""
        return self.function()


def check_step(schedule: LearningRateSchedule, step: Any) -> Any:
    """Return the number of an update, which may also lie between two.

    Raises:
        ConfigurationError: it is no number >= 0.
    """
    if type(step) is int and step >= 0:
        return step
    return check_number(type(schedule).__name__, "step", step, minimum=0)


def power(base: float, exponent: float) -> float:
    """Return ``base ** exponent``, infinite where it is too large for a float."""
    try:
        return base**exponent
    except OverflowError:
        return math.inf


def check_rate(owner: str, value: Any) -> float | LearningRateSchedule:
    """Return ``value`` as a learning rate: a number >= 0, a schedule or the configuration of one.

    A function without arguments becomes a :class:`_CalledRate`.

    Raises:
        ConfigurationError: it is none of these.
    """
    if isinstance(value, dict):
        value = resolve("schedule", value, LearningRateSchedule)
    if isinstance(value, LearningRateSchedule):
        return value
    if callable(value) and not isinstance(value, type) and takes(value, 0):
        return _CalledRate(value)
    return check_number(owner, "learning_rate", value, minimum=0)
