"""Thresholds of metrics: checks of arguments, and even spacing."""

from __future__ import annotations

from typing import Any

from netlayers.checks import check_integer, check_number
from netlayers.errors import ConfigurationError

_MAX_THRESHOLDS = 1_000_000  # each takes memory


def check_thresholds(owner: str, thresholds: Any) -> float | list[float] | None:
    """Return ``None``, a float or a list of floats, all in [0, 1]."""
    if thresholds is None:
        return None
    if isinstance(thresholds, (list, tuple)) and thresholds:
        return [
            check_number(owner, "each of thresholds", t, minimum=0, maximum=1) for t in thresholds
        ]
    return check_number(owner, "thresholds", thresholds, minimum=0, maximum=1)


def check_num_thresholds(owner: str, count: Any, minimum: int, hint: str = "") -> int:
    """Return a number of thresholds.

    Raises:
        ConfigurationError: it is not an integer, too small, or too large; ``hint`` says what to do.
    """
    count = check_integer(owner, "num_thresholds", count, minimum=minimum)
    if count > _MAX_THRESHOLDS:
        raise ConfigurationError(
            f"{owner}: num_thresholds must be at most {_MAX_THRESHOLDS}, got {count}.{hint}"
        )
    return count


def even_thresholds(count: int) -> list[float]:
    """Return ``count`` thresholds, evenly spaced in [0, 1]; 0.5 for a single one."""
    return [0.5] if count == 1 else [i / (count - 1) for i in range(count)]
