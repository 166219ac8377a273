"""The lock of a model: only one call at a time trains or tests it."""

from __future__ import annotations

import functools
import os
from contextlib import AbstractContextManager, nullcontext
from threading import RLock, get_ident
from typing import TYPE_CHECKING, Any, TypeVar

from netlayers.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlayers.core.layer import Layer

_NEVER_WITHIN = ("compile", "add", "pop")  # what they replace is in use
Method = TypeVar("Method", bound="Callable[..., Any]")


# The call that holds the lock: its method, thread and process. Each call makes a new tuple and is
# recognized by its identity; an object of a class would cost three times as much.
Holder = tuple[str, int, object]


class _Process:
    """Identifies this process: a process made by fork gets a new identity."""

    this = object()

    @classmethod
    def renew(cls) -> None:
        cls.this = object()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Process.renew)


def one_at_a_time(method: Method) -> Method:
    """Make a method of a model raise if another thread trains or tests the model.

    Training and testing share the loss, metrics, gradients and buffers: two concurrent calls would
    silently give wrong results. A callback, which runs within such a call, may test and train on
    batches: the metrics of the outer call are saved and restored.

    Raises:
        BusyError: the model is in use, or ``fit`` is called within another such call.
    """
    name = method.__name__

    @functools.wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        mine: Holder = (name, get_ident(), _Process.this)
        # A dict entry, not an attribute: adding and deleting attributes slows down method look-up.
        lock = self._lock
        try:
            holder = lock.setdefault("now", mine)  # atomic
            if holder is mine:
                return method(self, *args, **kwargs)
            if holder[2] is not mine[2]:  # this process was made by fork within such a call
                lock["now"], lock.whole = mine, RLock()
                return method(self, *args, **kwargs)
            _check_within(self, holder, mine)
            with nullcontext() if self._steps is None else self._steps.keep_sums():
                return method(self, *args, **kwargs)
        finally:
            # No function call here: Ctrl-C may interrupt after each call.
            if "now" in lock and lock["now"] is mine:
                del lock["now"]

    return guarded  # type: ignore[return-value]


def run_locked(model: Layer, name: str, run: Callable[..., Any], *arguments: Any) -> Any:
    """Return ``run(*arguments)``, as a method of this name that :func:`one_at_a_time` guards."""
    return _guarded_call(name)(model, run, *arguments)


@functools.cache
def _guarded_call(name: str) -> Callable[..., Any]:
    def method(_: Any, run: Callable[..., Any], *arguments: Any) -> Any:
        return run(*arguments)

    method.__name__ = name
    return one_at_a_time(method)


def check_not_busy(model: Layer, wanted: str) -> None:
    """Check that no other thread trains or tests a model; its own callbacks may, but not compile.

    Args:
        model: a model; a plain layer is never busy.
        wanted: the method that is called.

    Raises:
        BusyError: another thread trains or tests it, or this one does and ``wanted`` would replace
            what the run uses.
    """
    holder = getattr(model, "_lock", {}).get("now")
    if holder is None or holder[2] is not _Process.this:
        return
    if holder[1] != get_ident() or wanted in _NEVER_WITHIN:
        _check_within(model, holder, (wanted, get_ident(), _Process.this))


def between_steps(model: Any) -> AbstractContextManager[Any]:
    """Return a context manager that waits for the end of a step, and holds up the next one.

    Args:
        model: a model; a plain layer is never trained by another thread.
    """
    users = getattr(model, "_lock", None)
    if users is None:
        return nullcontext()
    holder = users.get("now")
    if holder is not None and holder[2] is not _Process.this:
        return nullcontext()  # the thread that held the lock does not exist in this process
    whole: AbstractContextManager[Any] = users.whole
    return whole


def _check_within(model: Layer, holder: Holder, turn: Holder) -> None:
    """Check that a call is allowed while ``holder`` has the lock."""
    (running, thread, _), (wanted, this_thread, _) = holder, turn
    if thread != this_thread:
        raise BusyError(
            f"{model.owner}: {wanted}() cannot run now, because {running}() is running in another "
            "thread. Both use the model's loss, metrics and gradients. Wait until it is done, or "
            "use a copy: copy.deepcopy(model). predict() may run at any time."
        )
    if wanted.startswith("fit") or wanted in _NEVER_WITHIN:
        raise BusyError(
            f"{model.owner}: {wanted}() was called within {running}(), by a callback or the data. "
            f"Call it afterwards{', or train_on_batch() instead' * wanted.startswith('fit')}."
        )
