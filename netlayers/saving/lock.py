"""A lock on a folder, for one process at a time."""

from __future__ import annotations

import contextlib
import os
import weakref

from netlayers.errors import BusyError
from netlayers.saving.atomic import remove_abandoned

try:
    import fcntl
except ImportError:  # Windows, where folders are not locked
    fcntl = None  # type: ignore[assignment]

_NAME = ".netlayers-lock"  # a plain name could be that of a file of the user
_TRIES = 100  # each of them ends only if another process took or deleted the file in between
_held: weakref.WeakSet[FolderLock] = weakref.WeakSet()


class FolderLock:
    """Holds a folder for this process, by a lock on a file ``.netlayers-lock`` in it.

    The system drops the lock when the process ends, however it ends; a child that it forked does
    not hold it on. Where nothing can be locked (a folder that is only read, a file system without
    locks, Windows), the lock is held without one.

    Args:
        owner: the caller, for messages.
        folder: the folder; created if missing.

    Attributes:
        made: whether the folder was created for the lock, so that :meth:`release` deletes it where
            it is empty.

    Raises:
        BusyError: another process holds it, or another run of this one.
    """

    def __init__(self, owner: str, folder: str) -> None:
        self.folder = folder
        self._path = os.path.join(folder, _NAME)
        self._descriptor: int | None = None
        self.made = True
        with contextlib.suppress(OSError):  # the folder is missing
            # A process that was killed may have left nothing but its lock, and half of a file.
            remove_abandoned(folder)
            self.made = os.listdir(folder) == [_NAME]
        _held.add(self)
        if fcntl is not None:
            with contextlib.suppress(OSError):
                self._take(owner)

    def _take(self, owner: str) -> None:
        for _ in range(_TRIES):
            os.makedirs(self.folder, exist_ok=True)
            try:
                descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)
            except FileNotFoundError:  # the folder went with another process's lock
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_there(descriptor):
                    os.ftruncate(descriptor, 0)
                    self._descriptor = descriptor
                    os.write(descriptor, b"%d\n" % os.getpid())
                    return
            except BlockingIOError:
                raise self._busy(owner, os.pread(descriptor, 20, 0)) from None
            finally:
                if self._descriptor is None:
                    os.close(descriptor)

    def _is_there(self, descriptor: int) -> bool:
        """Whether the name is still that of the locked file: its last holder deleted it."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _busy(self, owner: str, holder: bytes) -> BusyError:
        number = holder.strip().decode("ascii", "replace")
        process = f"process {number}" if number.isdigit() else "another process"
        if number == str(os.getpid()):
            process += " (this one)"
        return BusyError(
            f"{owner}: the folder {self.folder!r} is in use: a run of {process} keeps its backups "
            "there. Wait until that has ended, or end it; or give this run a folder of its own."
        )

    def release(self) -> None:
        """Delete the file, and the folder if it was created for it and is empty."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            os.unlink(self._path)  # while it is locked, so that it belongs to no other process
        self.close()
        if self.made:
            with contextlib.suppress(OSError):  # the folder is not empty
                os.rmdir(self.folder)

    def close(self) -> None:
        """Let go of the file alone: in a child, while the parent holds the lock."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _close_in_child() -> None:
    for lock in list(_held):
        lock.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
