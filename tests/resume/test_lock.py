"""A folder of backups is of one run at a time."""

import os
import signal
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

import netlayers as nl
from netlayers import callbacks
from netlayers.errors import BusyError
from netlayers.saving.lock import FolderLock

pytestmark = pytest.mark.skipif(os.name != "posix", reason="folders are locked on POSIX")
X = np.linspace(-1, 1, 16)[:, None]

HOLD = """
import os, sys, time
from netlayers.saving.lock import FolderLock
lock = FolderLock("Other", sys.argv[1])
if not sys.argv[2:] or os.fork() == 0:  # the child runs, and outlives its parent
    print("held", flush=True)
time.sleep(60)
"""


def fit(folder, *more, **arguments):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    keep = callbacks.BackupAndRestore(folder)
    model.fit(X, X, callbacks=[*more, keep], verbose=0, **arguments)
    return model


def hold(folder, *more):
    command = [sys.executable, "-c", HOLD, str(folder), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout.readline() == "held\n"
    return process


def end(process):
    """End a process and the children that it left."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_two_processes(tmp_path):
    folder = tmp_path / "b"
    process = hold(folder)
    try:
        with pytest.raises(BusyError, match=rf"'{folder}' is in use.*process {process.pid} .*own"):
            fit(folder)
    finally:
        end(process)
    # A process that is killed leaves it, and it holds nobody.
    assert (folder / ".netlayers-lock").exists()
    assert fit(folder).history.epoch == [0]
    assert not folder.exists()


def test_a_child_does_not_hold_it_on(tmp_path):
    process = hold(tmp_path, "fork")
    try:
        with pytest.raises(BusyError):
            FolderLock("Mine", str(tmp_path))
        process.kill()
        process.wait()
        FolderLock("Mine", str(tmp_path)).release()
    finally:
        end(process)


def test_a_run_within_a_run(tmp_path):
    """The inner one is refused, and does not take the lock away from the outer one."""
    keep = callbacks.BackupAndRestore(tmp_path / "b")
    seen = []

    def inner(epoch, logs):
        model = nl.Sequential([nl.layers.Dense(1)], seed=0)
        model.compile("sgd", "mse")
        with pytest.raises(BusyError, match=r"\(this one\)"):
            model.fit(X, X, callbacks=[keep], verbose=0)
        seen.append((tmp_path / "b" / ".netlayers-lock").exists())

    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    hook = callbacks.LambdaCallback(on_epoch_end=inner)
    model.fit(X, X, epochs=2, callbacks=[hook, keep], verbose=0)
    assert seen == [True, True]
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_end", "on_train_end"])
def test_an_error_lets_go_of_it(tmp_path, hook):
    def fail(*_):
        raise ZeroDivisionError

    class Power(callbacks.LambdaCallback):
        pass

    folder = tmp_path / "b"
    with pytest.raises(ZeroDivisionError):
        fit(folder, Power(**{hook: fail}))
    assert not (folder / ".netlayers-lock").exists()
    assert folder.exists() == (hook == "on_train_end")  # there is a backup then
    fit(folder, Power())


def test_a_file_that_was_deleted_holds_nobody(tmp_path, monkeypatch):
    """Its last holder deleted it between this process's opening and locking."""
    first = FolderLock("One", str(tmp_path))
    lock, calls = __import__("fcntl").flock, []

    def slow(descriptor, how):
        calls.append(descriptor)
        if len(calls) == 1:
            first.release()
        lock(descriptor, how)

    monkeypatch.setattr("netlayers.saving.lock.fcntl.flock", slow)
    second = FolderLock("Other", str(tmp_path))
    assert len(calls) == 2
    assert (tmp_path / ".netlayers-lock").read_text() == f"{os.getpid()}\n"
    with pytest.raises(BusyError):
        FolderLock("Third", str(tmp_path))
    second.release()
    assert not (tmp_path / ".netlayers-lock").exists()


def test_where_nothing_can_be_locked(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "refused")

    for name in ("netlayers.saving.lock.os.open", "netlayers.saving.lock.fcntl.flock"):
        with monkeypatch.context() as patch:
            patch.setattr(name, refuse)
            lock = FolderLock("Mine", str(tmp_path))
            lock.release()
    (tmp_path / "file").touch()
    FolderLock("Mine", str(tmp_path / "file")).release()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_only_read(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.warns(UserWarning, match="no backup was written"):
            assert fit(tmp_path).history.epoch == [0]
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_many_at_once(tmp_path):
    """Whoever holds it holds it alone, also while others delete the file and the folder."""
    inside, most, wins = [0], [0], [0]
    guard = threading.Lock()

    def work():
        for _ in range(200):
            try:
                lock = FolderLock("Thread", str(tmp_path / "b"))
            except BusyError:
                continue
            if lock._descriptor is None:
                continue
            with guard:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                wins[0] += 1
            with guard:
                inside[0] -= 1
            lock.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    assert wins[0]
