"""Whatever happens while a file is written, the old one or the new one is there, and no litter."""

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import netlayers as nl
from netlayers.saving import atomic

ROOT = Path(nl.__file__).parent.parent
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions, locks and limits")


def model_of(value, units=3):
    model = nl.Sequential([nl.layers.Dense(units, kernel_initializer="ones")], seed=0)
    model.build((None, 2))
    model.layers[0].kernel[...] = value
    return model


def value_in(path):
    return nl.load_model(path).layers[0].kernel[0, 0]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    model_of(1).save(path)
    return path


def test_a_file_is_replaced(path):
    model_of(2).save(path)
    assert value_in(path) == 2
    assert os.listdir(path.parent) == [path.name]


def test_overwrite(path):
    with pytest.raises(nl.errors.FileError, match="overwrite=True"):
        model_of(2).save(path, overwrite=False)
    with pytest.raises(nl.errors.FileError, match="overwrite=True"):
        model_of(2).save_weights(path, overwrite=False)
    assert value_in(path) == 1
    model_of(2).save(path.with_name("other"), overwrite=False)
    with pytest.raises(nl.errors.FileError, match="folder"):
        model_of(2).save(path.parent)
    with pytest.raises(nl.errors.ConfigurationError, match="path"):
        model_of(2).save(3)


def test_a_missing_folder_is_made(tmp_path, monkeypatch):
    path = tmp_path / "a" / "b" / "model"
    flushed, real = [], atomic._flush_folder
    monkeypatch.setattr(atomic, "_flush_folder", lambda f: (flushed.append(f), real(f)))
    model_of(5).save(str(path))
    assert value_in(path) == 5
    assert flushed == [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a" / "b")]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite(path, bad):
    model = model_of(bad)
    for save in (model.save, model.save_weights):
        with pytest.raises(nl.errors.FileError, match=r"dense/kernel.*6 of 6.*allow_nonfinite"):
            save(path)
        assert value_in(path) == 1
        save(path.with_name("other"), overwrite=True)  # no file is lost by that
        path.with_name("other").unlink()
    model.save(path, allow_nonfinite=True)
    assert not np.isfinite(value_in(path))


def test_statistics_that_are_not_finite(tmp_path):
    model = nl.Sequential([nl.layers.BatchNormalization()])
    model.build((None, 2))
    model.save(tmp_path / "model")
    model.layers[0].moving_mean[0] = np.inf
    with pytest.raises(nl.errors.FileError, match="batch_normalization/moving_mean"):
        model.save(tmp_path / "model")


# The order of things ----------------------------------------------------------------------------


def test_flush_rename_flush(path, monkeypatch):
    """Fsync the file before the rename, and the folder after it."""
    calls = []

    def note(name):
        real = getattr(os, name)

        def noted(target, *rest):
            folder = name == "fsync" and stat.S_ISDIR(os.fstat(target).st_mode)
            calls.append(f"{name} folder" if folder else name)
            return real(target, *rest)

        monkeypatch.setattr(os, name, noted)

    note("fsync")
    note("replace")
    model_of(2).save(path)
    assert calls == ["fsync", "replace", "fsync folder"]


@pytest.mark.parametrize("call", ["fsync", "replace", "fchmod"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_whole(path, monkeypatch, call, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(error)):
        model_of(2).save(path)
    monkeypatch.undo()
    assert value_in(path) == 1
    assert os.listdir(path.parent) == [path.name]


@posix
@pytest.mark.parametrize("room", [0, 100, 5000])
def test_a_full_disk(path, room):
    """A limit on the size of files stands for it: write fails in the middle."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        with pytest.raises(OSError, match="too large"):
            model_of(2, units=10_000).save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    assert value_in(path) == 1
    assert os.listdir(path.parent) == [path.name]


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(path):
    path.parent.chmod(0o555)
    try:
        with pytest.raises(PermissionError):
            model_of(2).save(path)
    finally:
        path.parent.chmod(0o755)
    assert value_in(path) == 1


def test_a_folder_that_can_not_be_written_to(path, monkeypatch):
    real = os.open

    def refuse(name, flags, *rest):
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "read-only", str(name))
        return real(name, flags, *rest)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionError):
        model_of(2).save(path)
    monkeypatch.undo()
    assert value_in(path) == 1
    assert os.listdir(path.parent) == [path.name]


@posix
def test_permissions(path):
    old = os.umask(0o027)
    try:
        model_of(2).save(path.with_name("new"))
        assert stat.S_IMODE(path.with_name("new").stat().st_mode) == 0o640
        path.chmod(0o604)
        model_of(2).save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(old)


@posix
def test_a_link_stays_a_link(path):
    link = path.with_name("latest")
    link.symlink_to(path.name)
    model_of(2).save(link)
    assert link.is_symlink()
    assert value_in(path) == 2


def test_a_name_of_full_length(tmp_path):
    path = tmp_path / ("n" * 255)
    model_of(2).save(path)
    model_of(3).save(path)
    assert value_in(path) == 3


# Killed writers ----------------------------------------------------------------------------------

WRITER = """
import sys, netlayers as nl
model = nl.Sequential([nl.layers.Dense(200_000)], seed=0)
model.build((None, 8))
value = 2
print("ready", flush=True)
while True:
    model.parameters.values[...] = value
    model.save(sys.argv[1])
    value += 1
"""


@posix
def test_a_kill_at_any_moment_leaves_a_whole_file(path):
    """Killed 12 times at random moments while it writes without a pause."""
    rng, seen = np.random.default_rng(0), set()
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        with process:
            process.stdout.readline()
            time.sleep(rng.uniform(0, 0.05))
            process.kill()
        assert process.returncode == -signal.SIGKILL
        kernel = nl.load_model(path).layers[0].kernel
        assert (kernel == kernel[0, 0]).all()
        seen.add(len(os.listdir(path.parent)))
        assert len(os.listdir(path.parent)) <= 2  # the next writer cleans up
    model_of(1).save(path)
    assert os.listdir(path.parent) == [path.name]


def test_abandoned_files_are_removed_and_no_others(path):
    folder = path.parent
    kept = [".model.tmp", ".x.0123.netlayers-tmp", "x.0123456789abcdef.netlayers-tmp"]
    for name in [*kept, ".other.0123456789abcdef.netlayers-tmp"]:
        (folder / name).write_bytes(b"")
    model_of(2).save(path)
    assert sorted(os.listdir(folder)) == sorted([*kept, path.name])


def test_a_file_that_is_being_written_is_left_alone(path):
    with atomic.replacing(str(path.with_name("slow"))) as file:
        file.write(b"first half, ")
        model_of(2).save(path)
        assert len(os.listdir(path.parent)) == 2
        file.write(b"second half")
    assert path.with_name("slow").read_bytes() == b"first half, second half"
    assert sorted(os.listdir(path.parent)) == [path.name, "slow"]


@posix
def test_a_file_that_is_taken_before_it_is_locked_is_made_again(path, monkeypatch):
    real, losses = atomic.fcntl.flock, []

    def lose(descriptor, how):
        if len(losses) < 2:
            losses.append(descriptor)
            if len(losses) == 1:
                raise BlockingIOError
            atomic.remove_abandoned(str(path.parent))  # as another process would
            return None
        return real(descriptor, how)

    monkeypatch.setattr(atomic.fcntl, "flock", lose)
    model_of(2).save(path)
    assert value_in(path) == 2


def test_writers_side_by_side(tmp_path):
    """Threads that replace one file: each load in between gives a whole model."""
    from concurrent.futures import ThreadPoolExecutor

    path = tmp_path / "model"
    models = [model_of(i, units=1000) for i in range(4)]
    models[0].save(path)

    def work(model):
        for _ in range(10):
            model.save(path)
            kernel = nl.load_model(path).layers[0].kernel
            assert (kernel == kernel[0, 0]).all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, models))
    assert os.listdir(tmp_path) == ["model"]
