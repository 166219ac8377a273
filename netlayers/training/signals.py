"""Delay Ctrl-C and SIGTERM until the end of a step."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Self


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
    last backup. Outside the main thread, where Python delivers no signals, nothing happens.

    Of several processes that train together, each acts on a signal after the step in which all
    learn of it (:meth:`agree`): otherwise some would wait for the others for ever.

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

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                previous = signal.getsignal(number)
                default = number == signal.SIGTERM and previous is signal.SIG_DFL
                if default or callable(previous):
                    self._previous[number] = previous
                    signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)
        late = signal.SIGTERM in [number for number, _ in self._waiting]
        if self._ends or (late and self._previous[signal.SIGTERM] is signal.SIG_DFL):
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            signal.raise_signal(signal.SIGTERM)
        self.release()

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
        if self._previous[number] is signal.SIG_DFL:
            self._ends = True
            raise Terminated
        previous = self._previous[number]
        outer = getattr(previous, "__self__", None)
        if isinstance(outer, Interrupts):
            # A callback of the outer run started this one: waiting for the end of the outer step
            # would mean waiting for the end of this whole run.
            outer._deliver(number, frame)
        else:
            previous(number, frame)
        self.delivered = False  # that handler did not end the run
