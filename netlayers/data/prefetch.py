"""Reading ahead: the next batches are made while the network learns from this one."""

from __future__ import annotations

import contextvars
import copy
import queue
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATIENCE = 1.0  # seconds that close() waits for a source to come back
_END = object()


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class ReadAhead:
    """An iterator over another one, which a thread reads some items ahead; the order stays.

    At first one item is read; the others once :meth:`go` is called, so that two of these are not at
    work at once where their sources share something, such as an open file.

    The items are copied as they are read, for a source may fill the same arrays again and again.
    What the source raises is raised here, with its own traceback, in its place among the items.

    Args:
        source: what is read, from one thread alone.
        size: how many items may wait.
        abandon: called, in the thread, when it is closed before the source has ended.

    The thread ends when the source does, or with :meth:`close`. A thread can not be stopped from
    outside while it is within the code of the source: close() then waits for a second and no
    longer, and the thread, which keeps no process alive, ends as soon as the source comes back.
    """

    def __init__(self, source: Iterator[Any], size: int, abandon: Callable[[], None]) -> None:
        self._source, self._abandon = source, abandon
        self._queue: queue.Queue[Any] = queue.Queue(size)
        self._closed, self._going = threading.Event(), threading.Event()
        self._late: BaseException | None = None
        self._over = False
        # A copy of the context: np.errstate and the like hold there as they do here.
        run = contextvars.copy_context().run
        self._thread = threading.Thread(
            target=run, args=(self._read,), name="netlayers-read-ahead", daemon=True
        )
        self._thread.start()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        item = _END if self._over else self._queue.get()
        if item is not _END and not isinstance(item, _Failure):
            return item
        self._over = True
        self._thread.join()  # it has nothing more to do
        if isinstance(item, _Failure):
            raise item.error
        raise StopIteration

    def go(self) -> None:
        """Read ahead from now on."""
        self._going.set()

    @property
    def alive(self) -> bool:
        """Whether the thread is still at work."""
        return self._thread.is_alive()

    def close(self) -> None:
        """End the thread; an error of the source's own clean-up is raised here."""
        self._over = True
        self._closed.set()
        self._going.set()
        try:
            while True:  # a full queue holds the thread up
                self._queue.get_nowait()
        except queue.Empty:
            pass
        self._thread.join(_PATIENCE)
        late, self._late = self._late, None
        if late is not None:
            raise late

    def _read(self) -> None:
        try:
            for item in self._source:
                if not self._closed.is_set():
                    self._queue.put(_copied(item))
                    self._going.wait()
                if self._closed.is_set():
                    break
        except BaseException as error:
            last: Any = _Failure(error)
        else:
            last = _END
        if not self._closed.is_set():
            self._queue.put(last)
            return
        try:
            self._abandon()
        except BaseException as error:
            self._late = error


def _copied(item: Any) -> Any:
    """Return a copy of a batch; of a tensor that requires a gradient, one without it."""
    if isinstance(item, (list, tuple)) and type(item) in (list, tuple):
        return type(item)(_copied(part) for part in item)
    if hasattr(item, "detach"):  # a tensor that was computed can not be copied
        item = item.detach()
    return copy.deepcopy(item)
