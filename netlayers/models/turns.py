"""Who trains or tests a model: one call at a time."""

from __future__ import annotations

import functools
from contextlib import nullcontext
from os import getpid
from threading import get_ident
from typing import TYPE_CHECKING, Any, TypeVar

from netlayers.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

Method = TypeVar("Method", bound="Callable[..., Any]")


# A call that has the model for itself: its method, thread and process. A new tuple for each call,
# told from others by its identity; it costs a third of what an object of a class would.
Turn = tuple[str, int, int]


def one_at_a_time(method: Method) -> Method:
    """Make a method of a model raise if another thread trains or tests the model.

    What trains and what tests use the same loss, metrics, gradients and buffers: two at once would
    give wrong numbers without a word. A callback, which runs within such a call, may test and train
    on batches: the metrics of the call under way are set aside meanwhile.

    Raises:
        BusyError: the model is in use; or ``fit`` is called within another such call.
    """
    name = method.__name__

    @functools.wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        turn: Turn = (name, get_ident(), getpid())
        attributes = self.__dict__
        try:
            holder = attributes.setdefault("_turn", turn)  # one step that no thread can come into
            if holder is turn:
                return method(self, *args, **kwargs)
            if holder[2] != turn[2]:  # this process was made by fork within a turn
                attributes["_turn"] = turn
                return method(self, *args, **kwargs)
            _check_within(self, holder, turn)
            with nullcontext() if self._steps is None else self._steps.set_aside():
                return method(self, *args, **kwargs)
        finally:
            # Without a call, since Python lets a Ctrl-C in after each.
            if "_turn" in attributes and attributes["_turn"] is turn:
                del attributes["_turn"]

    return guarded  # type: ignore[return-value]


def refuse_elsewhere(model: Any, wanted: str) -> None:
    """Check that no other thread trains or tests the model; a callback of its own may go on.

    Raises:
        BusyError: one does.
    """
    holder = model.__dict__.get("_turn")
    if holder is not None and holder[2] == getpid() and holder[1] != get_ident():
        _check_within(model, holder, (wanted, get_ident(), getpid()))


def _check_within(model: Any, holder: Turn, turn: Turn) -> None:
    """Check that a call may happen while ``holder`` has the model."""
    (running, thread, _), (wanted, this_thread, _) = holder, turn
    if thread != this_thread:
        raise BusyError(
            f"{model.owner}: {wanted}() can not run now, because {running}() is running in another "
            "thread. Both use the model's loss, metrics and gradients. Wait until it is done, or "
            "use a copy: copy.deepcopy(model). predict() may run at any time."
        )
    if wanted.startswith("fit"):
        raise BusyError(
            f"{model.owner}: {wanted}() was called within {running}(), by a callback or the data. "
            "Call it afterwards, or train_on_batch() instead."
        )
