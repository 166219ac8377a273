"""Delay Ctrl-C and SIGTERM until the end of a step."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Self


PATIENCE = 5.0  # seconds for a process to end by itself after a second signal
_entered: list[Interrupts] = []  # in this process, the innermost last


class Terminated(BaseException):
    """Raised on SIGTERM to leave ``fit``; the process then ends by the signal."""


class Interrupts:
    """Context manager that delays Ctrl-C and SIGTERM until the end of the current step.

    Set :attr:`busy` at the start of what must not be interrupted, and call :meth:`release` at its
    end. Otherwise, for example while waiting for data, a signal acts at once. A second one of the
    same kind, where a step or the hook of a callback hangs, only waits for the end of an update of
    the weights (:attr:`updating`).

    A signal has its usual effect: the previous handler is called. If SIGTERM has none,
    :class:`Terminated` is raised, and the process ends by the signal on exit. A run within a
    callback of another run ends first, then the outer run, whose hook is interrupted: it keeps its
    last backup. Outside the main thread, where Python delivers no signals, nothing happens. In a
    process that is forked during a run, signals act as they do without one.

    Of several processes that train together, each acts on a signal after the step in which all
    learn of it (:meth:`agree`): otherwise some would wait for the others for ever. Where that step
    does not come, because one of them hangs, a second signal ends a process: it has
    :data:`PATIENCE` seconds to end by itself, then it is killed, also while it waits for the others
    and runs no handler. The launcher then ends the others.

    Args:
        together: whether there are several.

    Attributes:
        delivered: whether a signal is being raised.
    """

    def __init__(self, together: bool = False) -> None:
        self._together, self._agreed = together, False
        self.busy = self.updating = self.delivered = False
        self._waiting: list[tuple[int, FrameType | None]] = []
        self._previous: dict[int, Any] = {}
        self._ends = False
        self._watch: _Watch | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                previous = signal.getsignal(number)
                default = number == signal.SIGTERM and previous is signal.SIG_DFL
                if default or callable(previous):
                    self._previous[number] = previous
                    signal.signal(number, self._handle)
            _entered.append(self)
            if self._together:
                self._watch = _Watch(set(self._previous))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._watch is not None:
            self._watch.close()
        if self in _entered:
            _entered.remove(self)
        self._restore()
        late = signal.SIGTERM in [number for number, _ in self._waiting]
        if self._ends or (late and self._handler(signal.SIGTERM) is signal.SIG_DFL):
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            signal.raise_signal(signal.SIGTERM)
        self._together = False  # no step follows in which the others could learn of it
        self.release()

    def _restore(self) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def _handler(self, number: int) -> Any:
        """Return the previous handler; a signal that only another process heeds ends this one."""
        return self._previous.get(number, signal.SIG_DFL)

    def release(self) -> None:
        """Deliver a delayed signal."""
        self.busy = self.updating = False
        if self._waiting and (self._agreed or not self._together):
            self._deliver(*self._waiting.pop(0))

    @property
    def pending(self) -> int | None:
        """The signal that waits, ``None`` if there is none."""
        return self._waiting[0][0] if self._waiting else None

    def agree(self, numbers: list[int]) -> None:
        """Act on signals after this step: those that wait in any of the processes."""
        if numbers:
            self._agreed = True
            if not self._waiting:
                self._waiting.append((max(numbers), None))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = any(n == number for n, _ in self._waiting)
        if self.updating or ((self.busy or self._together) and not again):
            self._waiting.append((number, frame))
        else:
            self._waiting.clear()
            self._deliver(number, frame)

    def _deliver(self, number: int, frame: FrameType | None) -> None:
        self.delivered = True
        previous = self._handler(number)
        if previous is signal.SIG_DFL:
            self._ends = True
            raise Terminated
        outer = getattr(previous, "__self__", None)
        if isinstance(outer, Interrupts):
            # A callback of the outer run started this one: waiting for the end of the outer step
            # would mean waiting for the end of this whole run.
            outer._deliver(number, frame)
        else:
            previous(number, frame)
        self.delivered = False  # that handler did not end the run


class _Watch:
    """A thread that kills this process if it does not end after a second signal.

    The system writes each signal to a socket at once, whatever the main thread does.

    Args:
        numbers: the signals.
    """

    def __init__(self, numbers: set[int]) -> None:
        self._numbers, self._closed = numbers, threading.Event()
        self._there, self._here = socket.socketpair()
        self._there.setblocking(False)
        descriptor = self._there.fileno()
        self._previous = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._run, name="signals", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        seen: set[int] = set()
        while number := self._here.recv(1):
            if number[0] not in seen:
                seen.add(number[0])
            elif number[0] in self._numbers and not self._closed.wait(PATIENCE):
                os.kill(os.getpid(), signal.SIGKILL)

    def close(self) -> None:
        """End the thread."""
        signal.set_wakeup_fd(self._previous)
        self._closed.set()
        self._there.shutdown(socket.SHUT_WR)  # closing is not enough where a fork has it open, too
        self._there.close()
        self._thread.join()
        self._here.close()


def _restore_in_child() -> None:
    """Put the handlers back in a forked process, whose signals the watch would otherwise see."""
    while _entered:
        its = _entered.pop()
        if its._watch is not None:
            its._watch = None
            signal.set_wakeup_fd(-1)
        its._restore()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restore_in_child)
