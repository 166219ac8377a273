"""Who trains or tests a model: one call at a time."""

from __future__ import annotations

import functools
import os
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from netlayers.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

Method = TypeVar("Method", bound="Callable[..., Any]")


class Turn:
    """A call that has the model for itself: of which method, in which thread and process."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.thread = threading.get_ident()
        self.process = os.getpid()


def one_at_a_time(method: Method) -> Method:
    """Make a method of a model raise if another thread trains or tests the model.

    What trains and what tests use the same loss, metrics, gradients and buffers: two at once would
    give wrong numbers without a word. A callback, which runs within such a call, may test and train
    on batches: the metrics of the call under way are set aside meanwhile.

    Raises:
        BusyError: the model is in use; or ``fit`` is called within another such call.
    """

    @functools.wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        turn = Turn(method.__name__)
        attributes = self.__dict__
        try:
            holder = attributes.setdefault("_turn", turn)  # one step that no thread can come into
            if holder.process != turn.process:  # a process that was made by fork within a turn
                attributes["_turn"] = holder = turn
            if holder is turn:
                return method(self, *args, **kwargs)
            _check_within(self, holder, turn)
            with nullcontext() if self._steps is None else self._steps.set_aside():
                return method(self, *args, **kwargs)
        finally:
            # Without a call, since Python lets a Ctrl-C in after each.
            if "_turn" in attributes and attributes["_turn"] is turn:
                del attributes["_turn"]

    return guarded  # type: ignore[return-value]


def _check_within(model: Any, holder: Turn, turn: Turn) -> None:
    """Check that a call may happen while ``holder`` has the model."""
    if holder.thread != turn.thread:
        raise BusyError(
            f"{model.owner}: {turn.method}() can not run now, because {holder.method}() is running "
            "in another thread. Both use the model's loss, metrics and gradients. Wait until it is "
            "done, or use a copy: copy.deepcopy(model). predict() may run at any time."
        )
    if turn.method.startswith("fit"):
        raise BusyError(
            f"{model.owner}: {turn.method}() was called within {holder.method}(), by a callback or "
            "the data. Call it afterwards, or train_on_batch() instead."
        )
