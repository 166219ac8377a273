"""Prefetching: a thread reads the next batches while the network trains on the current one."""

from __future__ import annotations

import contextvars
import copy
import queue
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CLOSE_TIMEOUT = 1.0  # seconds that close() waits for the thread
_END = object()
_ONE_THREAD = (
    "The data are read ahead by a thread of netlayers. A source that works only in the thread that "
    "made it, such as an sqlite connection, needs read_ahead=0."
)


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class ReadAhead:
    """An iterator over ``source`` that reads ahead in a thread and keeps the order of the items.

    Before :meth:`go` is called, the thread reads one item only: sources that share a resource,
    such as an open file, are then not read at the same time.

    The items are copied, because a source may fill the same arrays again. An exception of the
    source is raised after the items before it, with its own traceback. One that mentions threads
    gets a note: the source may only work in the thread that created it.

    Args:
        source: the iterator to read; only the thread uses it.
        size: maximum number of items in the queue.
        abandon: called in the thread when it is closed before the source is exhausted.

    The thread ends with the source or with :meth:`close`. It cannot be interrupted inside the
    source's code: close() waits for at most one second if it is not given another time, and the
    thread, which is a daemon, ends as soon as the source returns.
    """

    def __init__(self, source: Iterator[Any], size: int, abandon: Callable[[], None]) -> None:
        self._source, self._abandon = source, abandon
        self._queue: queue.Queue[Any] = queue.Queue(size)
        self._closed, self._going = threading.Event(), threading.Event()
        self._late: BaseException | None = None
        self._over = False
        # With a copy of the context, np.errstate and the like also apply in the thread.
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
        self._thread.join()  # it has ended or is about to
        if isinstance(item, _Failure):
            raise item.error
        raise StopIteration

    def go(self) -> None:
        """Start to read ahead."""
        self._going.set()

    @property
    def alive(self) -> bool:
        """Whether the thread is running."""
        return self._thread.is_alive()

    def close(self, timeout: float | None = _CLOSE_TIMEOUT) -> None:
        """End the thread, and wait for it; raise the error of the source's cleanup, if any."""
        self._over = True
        self._closed.set()
        self._going.set()
        try:
            while True:  # a full queue blocks the thread
                self._queue.get_nowait()
        except queue.Empty:
            pass
        self._thread.join(timeout)
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
            if "thread" in str(error).lower():
                error.add_note(_ONE_THREAD)
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
    """Return a copy of a batch; tensors are detached from their graph."""
    if isinstance(item, (list, tuple)) and type(item) in (list, tuple):
        return type(item)(_copied(part) for part in item)
    if hasattr(item, "detach"):  # deepcopy refuses tensors that are part of a graph
        item = item.detach()
    return copy.deepcopy(item)
