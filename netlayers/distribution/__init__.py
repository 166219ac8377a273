"""Training in several processes: the same bits for any number of them."""

from __future__ import annotations

from netlayers.distribution.data_parallel import DataParallel
from netlayers.errors import ConfigurationError

__all__ = ["DataParallel", "distribution", "set_distribution"]

_current: list[DataParallel] = []  # at most one


def set_distribution(value: DataParallel | None) -> None:
    """Let models that are compiled from now on be trained in this way; ``None`` ends that.

    Args:
        value: the distribution, or ``None``.

    Raises:
        ConfigurationError: it is no :class:`DataParallel`.
    """
    if value is not None:
        checked(value, "set_distribution")
    _current[:] = [] if value is None else [value]


def distribution() -> DataParallel | None:
    """Return what :func:`set_distribution` set; ``None`` by default."""
    return _current[0] if _current else None


def checked(
    value: DataParallel | None, owner: str = "compile: distribution"
) -> DataParallel | None:
    """Return a distribution, by default the one that :func:`set_distribution` set.

    Raises:
        ConfigurationError: it is no :class:`DataParallel`.
    """
    if value is None:
        return distribution()
    if not isinstance(value, DataParallel):
        raise ConfigurationError(
            f"{owner}: expected a netlayers.distribution.DataParallel, got {value!r}."
        )
    return value
