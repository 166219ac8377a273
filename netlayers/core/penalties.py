"""Penalties that layers add to the loss while they compute, such as those on activations."""

from __future__ import annotations

from contextvars import ContextVar

# One list for each thread (and task), so models in several threads do not see each other's.
_collected: ContextVar[list[float] | None] = ContextVar("penalties", default=None)


class collected_penalties:
    """Collect what layers add in a forward pass within this context.

    Example:
        >>> import numpy as np
        >>> from netlayers.core.penalties import collected_penalties
        >>> from netlayers.layers import ActivityRegularization
        >>> with collected_penalties() as penalties:
        ...     y = ActivityRegularization(l1=0.5).forward(np.ones((2, 3)))
        >>> sum(penalties)
        1.5
    """

    def __enter__(self) -> list[float]:
        penalties: list[float] = []
        self._token = _collected.set(penalties)
        return penalties

    def __exit__(self, *_: object) -> None:
        _collected.reset(self._token)


def add_penalty(value: float) -> None:
    """Add a number to the loss of the forward pass that is under way, if anyone asks for it."""
    penalties = _collected.get()
    if penalties is not None:
        penalties.append(value)


def penalties_wanted() -> bool:
    """Whether anyone asks, so that a layer need not compute what nobody reads."""
    return _collected.get() is not None
