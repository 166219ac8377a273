"""Atomic writes: whatever happens, the old file or the new one exists."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be deleted: a lock by itself
    fcntl = None  # type: ignore[assignment]

_ENDING = ".netlayers-tmp"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.netlayers-tmp")


@contextlib.contextmanager
def replacing(path: str) -> Iterator[IO[bytes]]:
    """Context manager: write a file that atomically replaces ``path`` on success.

    The bytes go into a temporary file in the same folder, are flushed to the disk, and the file is
    renamed; then the folder is flushed too, so that the name outlives a loss of power. If anything
    is raised, the temporary file is deleted and ``path`` is what it was. A process that is killed
    leaves its temporary file, and the next call for this folder deletes it: a writer holds a lock
    on its file, which the system drops when the process ends, however it ends.

    A symbolic link is kept and its target replaced. A new file has the permissions of the one it
    replaces, otherwise those of the umask. A missing folder is created.

    Args:
        path: the file.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    _make(folder)
    remove_abandoned(folder)
    file, temporary = _create(folder, name)
    try:
        with file:
            yield file
            file.flush()
            if os.name == "posix":
                with contextlib.suppress(FileNotFoundError):
                    os.fchmod(file.fileno(), stat.S_IMODE(os.stat(path).st_mode))
            os.fsync(file.fileno())
            if os.name == "posix":  # before the lock goes with the file's closing
                os.replace(temporary, path)
        if os.name != "posix":
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _flush_folder(folder)


def _make(folder: str) -> None:
    """Create a folder and its missing parents, and flush their names to the disk."""
    if os.path.isdir(folder):
        return
    above = os.path.dirname(folder)
    _make(above)
    os.makedirs(folder, exist_ok=True)
    _flush_folder(above)


def remove_abandoned(folder: str) -> None:
    """Delete the temporary files in a folder whose writers have ended."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(_ENDING) and _TEMPORARY.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _remove_if_abandoned(entry.path)


def _remove_if_abandoned(path: str) -> None:
    if fcntl is None:
        os.unlink(path)
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises while a writer lives
        os.unlink(path)
    finally:
        os.close(descriptor)


def _create(folder: str, name: str) -> tuple[IO[bytes], str]:
    """Return a new locked temporary file and its path."""
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
    while True:
        # A name may have 255 bytes, and that of the file may use all of them.
        path = os.path.join(folder, f".{name[:50]}.{secrets.token_hex(8)}{_ENDING}")
        descriptor = os.open(path, flags, 0o666)
        try:
            if _locked(descriptor, path):
                return os.fdopen(descriptor, "wb"), path
        except BaseException:
            os.close(descriptor)
            os.unlink(path)
            raise
        os.close(descriptor)  # another process took it for abandoned before it was locked


def _locked(descriptor: int, path: str) -> bool:
    """Lock a new file; return whether it still exists."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where nothing is ever taken for abandoned
        return True
    return os.path.exists(path)


def _flush_folder(folder: str) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
