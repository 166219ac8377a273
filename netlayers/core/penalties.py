"""Penalties that layers add to the loss in the forward pass, such as those on activations."""

from __future__ import annotations

from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

# One list for each thread and task, so that models in several threads do not mix.
_collected: ContextVar[list[float] | None] = ContextVar("penalties", default=None)


def collect_penalties(function: Callable[..., Result], *args: Any) -> tuple[Result, list[float]]:
    """Call a function; return its result and the penalties that layers added during the call.

    The function runs in a copy of the context, which is discarded however the call ends, even by a
    KeyboardInterrupt.

    Example:
        >>> import numpy as np
        >>> from netlayers.core.penalties import collect_penalties
        >>> from netlayers.layers import ActivityRegularization
        >>> layer = ActivityRegularization(l1=0.5)
        >>> y, penalties = collect_penalties(layer.forward, np.ones((2, 3)))
        >>> sum(penalties)
        1.5
    """
    penalties: list[float] = []

    def collecting() -> Result:
        _collected.set(penalties)
        return function(*args)

    return copy_context().run(collecting), penalties


def add_penalty(value: float) -> None:
    """Add a penalty to the loss of the current forward pass, if penalties are collected."""
    penalties = _collected.get()
    if penalties is not None:
        penalties.append(value)


def penalties_wanted() -> bool:
    """Whether penalties are collected; a layer need not compute them otherwise."""
    return _collected.get() is not None
