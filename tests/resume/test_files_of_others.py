"""Files that other runs or the user wrote stay as they are; those that cannot be written wait."""

import errno
import subprocess
import sys

import pytest

from netlayers import callbacks
from netlayers.callbacks import csv_logger, gradient_monitor
from tests.resume.scripts import Cut, Knife, X, Y, network


def run(folder, *more, knife=0, hooks=("on_epoch_end",), epochs=4, **backup):
    """Train with a table, a TensorBoard and backups, and be cut at a hook."""
    model = network()
    model.compile("sgd", "mse")
    chosen = [*more, Knife(knife, hooks), callbacks.BackupAndRestore(folder / "b", **backup)]
    try:
        model.fit(X, Y, batch_size=10, epochs=epochs, callbacks=chosen, verbose=0)
    except Cut:
        return None
    return model


def epochs_in(path):
    return [line.split(",")[0] for line in path.read_text().splitlines()[1:]]


# Tables -------------------------------------------------------------------------------------------


def test_a_table_that_another_run_has_continued_is_not_cut(tmp_path):
    path = tmp_path / "table.csv"
    table = callbacks.CSVLogger(path, append=True)
    run(tmp_path, table, knife=3)  # the line of the third epoch is written, its backup is not
    assert epochs_in(path) == ["0", "1", "2"]
    run(tmp_path / "other", callbacks.CSVLogger(path, append=True), epochs=2)
    shared = path.read_text()
    assert epochs_in(path) == ["0", "1", "2", "0", "1"]
    run(tmp_path, callbacks.CSVLogger(path, append=True))
    assert path.read_text().startswith(shared)
    assert epochs_in(path) == ["0", "1", "2", "0", "1", "3"]


def test_a_line_that_was_cut_is_written_whole(tmp_path):
    for name in ("whole", "cut"):
        path = tmp_path / name / "table.csv"
        path.parent.mkdir()
        if name == "cut":
            run(path.parent, callbacks.CSVLogger(path), knife=3)
            path.write_bytes(path.read_bytes()[:-5])
        run(path.parent, callbacks.CSVLogger(path))
    texts = [(tmp_path / name / "table.csv").read_bytes() for name in ("whole", "cut")]
    assert texts[0] == texts[1]


def test_a_time_in_a_line_does_not_write_it_twice(tmp_path):
    """It is another one when the epoch comes again; epoch and loss are those of this run."""
    path, clock = tmp_path / "table.csv", iter(range(100))
    for knife in (3, 0):
        times = callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: logs.update(time=next(clock))
        )
        run(tmp_path, times, callbacks.CSVLogger(path), knife=knife)
    assert epochs_in(path) == ["0", "1", "2", "3"]


def test_lines_that_differ_are_kept(tmp_path):
    """A line in the place of one that comes again, but with other numbers, is of another run."""
    path = tmp_path / "table.csv"
    run(tmp_path, callbacks.CSVLogger(path), knife=3)
    with open(path, "a") as file:
        file.write("3,0.125\r\n")
    run(tmp_path, callbacks.CSVLogger(path))
    assert epochs_in(path) == ["0", "1", "2", "3", "3"]


# Full disks ---------------------------------------------------------------------------------------


class Full:
    """A file on a disk that is full for a while."""

    def __init__(self, file, full):
        self.file, self.full = file, full

    def __getattr__(self, name):
        return getattr(self.file, name)

    def flush(self):
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.file.flush()

    def close(self):
        if self.full:
            self.file.close()
            raise OSError(errno.ENOSPC, "No space left on device")
        self.file.close()


@pytest.mark.parametrize("ends_full", [False, True])
@pytest.mark.parametrize("kind", ["table", "monitor"])
def test_a_full_disk_does_not_end_a_run(tmp_path, monkeypatch, kind, ends_full):
    path, full = tmp_path / "table.csv", []
    module = csv_logger if kind == "table" else gradient_monitor

    def on_the_disk(*args, **kwargs):
        return Full(open(*args, **kwargs), full)

    monkeypatch.setattr(module, "open", on_the_disk, raising=False)
    log = callbacks.CSVLogger(path) if kind == "table" else callbacks.GradientMonitor(csv=path)

    def fill(epoch, logs):
        if epoch == 1:
            full.append(1)
        elif epoch == 3 and not ends_full:
            full.clear()

    disk = callbacks.LambdaCallback(on_epoch_begin=fill)
    model = network()
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="No space left on device") as warned:
        history = model.fit(X, Y, epochs=5, callbacks=[disk, log], verbose=0)
    assert history.epoch == [0, 1, 2, 3, 4]
    texts = [str(w.message) for w in warned]
    assert "Training continues; it is tried again later." in texts[0]
    assert str(path) in texts[0]
    if ends_full:
        assert len(texts) == 2
        assert texts[1].endswith("its last lines are missing.")
    else:
        assert len(texts) == 1
        assert sorted(set(epochs_in(path))) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("kind", ["table", "monitor"])
def test_a_disk_that_is_full_from_the_start(tmp_path, monkeypatch, kind):
    path, full = tmp_path / "table.csv", [1]
    module = csv_logger if kind == "table" else gradient_monitor

    class Unbuffered(Full):
        def write(self, text):
            self.flush()  # raises
            return self.file.write(text)

    def on_the_disk(path, mode="r", **kwargs):
        file = open(path, mode, **kwargs)  # noqa: SIM115
        return file if mode == "r" else Unbuffered(file, full)

    monkeypatch.setattr(module, "open", on_the_disk, raising=False)
    log = callbacks.CSVLogger(path) if kind == "table" else callbacks.GradientMonitor(csv=path)
    model = network()
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="No space left on device"):
        history = model.fit(X, Y, epochs=3, callbacks=[log], verbose=0)
    assert history.epoch == [0, 1, 2]


# TensorBoard --------------------------------------------------------------------------------------


def board_values(folder, tag):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = reader.EventAccumulator(str(folder))
    accumulator.Reload()
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def test_runs_that_begin_at_once_have_files_of_their_own(tmp_path):
    pytest.importorskip("tensorboardX")
    for _ in range(3):
        run(tmp_path, callbacks.TensorBoard(tmp_path / "logs"), epochs=1)
    assert len(list((tmp_path / "logs" / "train").iterdir())) == 3


@pytest.mark.parametrize("freq", ["epoch", "batch"])
def test_a_resumed_run_writes_nothing_twice(tmp_path, freq):
    pytest.importorskip("tensorboardX")
    found = []
    for name in ("whole", "cut"):
        folder = tmp_path / name
        if name == "cut":
            board = callbacks.TensorBoard(folder / "logs", update_freq=freq, histogram_freq=1)
            run(folder, board, knife=3)
            board._flush()
        board = callbacks.TensorBoard(folder / "logs", update_freq=freq, histogram_freq=1)
        run(folder, board)
        tags = ["epoch_loss"] + ["batch_loss"] * (freq == "batch")
        found.append([board_values(folder / "logs" / "train", tag) for tag in tags])
    assert found[0] == found[1]
    assert len(found[0][0]) == 4


def test_a_full_disk_does_not_end_a_run_with_tensorboard(tmp_path, monkeypatch):
    """The writer of tensorboardX waits for ever here, for its thread that has ended."""
    files = pytest.importorskip("tensorboardX.event_file_writer")

    write = files.EventsWriter.write_event

    def full(self, event):
        if event.HasField("summary"):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, event)

    board = callbacks.TensorBoard(tmp_path / "logs")
    monkeypatch.setattr(files.EventsWriter, "write_event", full)
    with pytest.warns(UserWarning, match="TensorBoard: .*No space left") as warned:
        model = run(tmp_path, board)
    assert model.history.epoch == [0, 1, 2, 3]
    assert len(warned) == 1


def test_a_backup_names_only_files_of_its_own(tmp_path):
    pytest.importorskip("tensorboardX")
    board = callbacks.TensorBoard(tmp_path / "logs")
    board.set_model(network())
    board.set_params({"resumed": True})
    board.on_train_begin()
    others = [tmp_path / "events.mine", tmp_path / "logs" / "train" / "notes.txt"]
    (tmp_path / "logs" / "train").mkdir(parents=True)
    for path in others:
        path.write_text("mine")
    names = ["../events.mine", "train/notes.txt", "train/events.missing", str(others[0])]
    board.set_state({"batch": 3, "files": names, "sizes": [0, 0, 0, 0]})
    assert [path.read_text() for path in others] == ["mine", "mine"]
    assert board.get_state() == {"batch": 3, "id": board._id, "files": [], "sizes": []}


@pytest.mark.parametrize("freq", ["epoch", "batch"])
def test_files_of_a_process_that_no_backup_knows(tmp_path, freq):
    """It was resumed, wrote a row, and was killed before its first backup."""
    pytest.importorskip("tensorboardX")
    found = []
    for name, knives in (("whole", (0,)), ("cut", (2, 1, 1, 0))):
        folder = tmp_path / name
        for knife in knives:
            board = callbacks.TensorBoard(folder / "logs", update_freq=freq)
            run(folder, board, knife=knife)
            board._flush()
        tags = ["epoch_loss"] + ["batch_loss"] * (freq == "batch")
        found.append([board_values(folder / "logs" / "train", tag) for tag in tags])
    assert found[0] == found[1]


@pytest.mark.parametrize("identifier", ["", "out", "tfevents", "0" * 15, ".*", "f" * 16])
def test_a_backup_deletes_only_files_of_its_run(tmp_path, identifier):
    pytest.importorskip("tensorboardX")
    board = callbacks.TensorBoard(tmp_path / "logs")
    board.set_model(network())
    board.set_params({"resumed": True})
    board.on_train_begin()
    folder = tmp_path / "logs" / "train"
    folder.mkdir(parents=True)
    mine, own = folder / f"events.out.tfevents.17.vm.{'0' * 16}.1.1", "f" * 16
    for path in (mine, folder / f"events.out.tfevents.17.vm.{own}.1.1"):
        path.write_text("")
    board.set_state({"batch": 3, "id": identifier, "files": [], "sizes": []})
    assert len(list(folder.iterdir())) == 2 - (identifier == own)
    assert mine.exists()


# Folders of backups -------------------------------------------------------------------------------


@pytest.mark.parametrize("knife", [0, 2])
def test_a_folder_with_other_files_stays(tmp_path, knife):
    folder = tmp_path / "b"
    folder.mkdir()
    files = {"lock": "mine", "notes.txt": "mine too"}
    for name, text in files.items():
        (folder / name).write_text(text)
    if knife:
        run(tmp_path, knife=knife)
    run(tmp_path)
    assert {path.name: path.read_text() for path in folder.iterdir()} == files


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("knife", [0, 1, 2])
def test_a_folder_is_deleted_by_who_made_it(tmp_path, made, knife):
    folder = tmp_path / "b"
    if not made:
        folder.mkdir()
    if knife:
        run(tmp_path, knife=knife)
    run(tmp_path)
    assert folder.exists() != made


def test_a_folder_of_a_run_that_was_killed_within_its_first_backup(tmp_path):
    folder = tmp_path / "b"
    folder.mkdir()
    for name in (".netlayers-lock", f".backup.safetensors.{'0' * 16}.netlayers-tmp"):
        (folder / name).write_text("")
    run(tmp_path)
    assert not folder.exists()


# Signals ------------------------------------------------------------------------------------------

HANGS = """
import os, signal, sys, time
import numpy as np
import netlayers as nl

def hang(*_):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.2)
    print("first", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
    print("never", flush=True)

model = nl.Sequential([nl.layers.Dense(1)])
model.compile("sgd", "mse")
x = np.ones((4, 1))
model.fit(x, x, callbacks=[nl.callbacks.LambdaCallback(on_train_batch_end=hang)], verbose=0)
"""


def test_a_second_sigterm_ends_a_hook_that_hangs():
    done = subprocess.run(
        [sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stdout) == (-15, "first\n"), done.stderr
