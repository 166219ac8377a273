"""Base class of learning rate schedules."""

from __future__ import annotations

from typing import Any

from netlayers.checks import check_number
from netlayers.registry import Configurable, must_define, resolve


class LearningRateSchedule(Configurable):
    """Base class. Subclasses implement ``__call__``."""

    @must_define()
    def __call__(self, step: int) -> float:
        """Return the learning rate of update ``step``, counted from 0."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step)")


def check_rate(owner: str, value: Any) -> float | LearningRateSchedule:
    """Return ``value`` as a learning rate: a number >= 0, a schedule or the configuration of one.

    Raises:
        ConfigurationError: it is none of these.
    """
    if isinstance(value, dict):
        value = resolve("schedule", value, LearningRateSchedule)
    if isinstance(value, LearningRateSchedule):
        return value
    return check_number(owner, "learning_rate", value, minimum=0)
