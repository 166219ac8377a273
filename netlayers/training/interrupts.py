"""Ctrl-C between two updates, never within one."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Self


class Interrupts:
    """While this context lasts, Ctrl-C waits for the end of an update that has begun.

    Set :attr:`busy` around an update, then call :meth:`release`. Outside the main thread, where
    Python delivers no signals, nothing happens.
    """

    def __init__(self) -> None:
        self.busy = False
        self._waiting: tuple[int, FrameType | None] | None = None
        self._previous: Any = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            if callable(previous):
                self._previous = previous
                signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self.release()

    def release(self) -> None:
        """Let a Ctrl-C that had to wait happen now."""
        self.busy = False
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._previous(*waiting)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.busy:
            self._waiting = (number, frame)
        else:
            self._previous(number, frame)
