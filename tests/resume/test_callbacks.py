"""Callbacks that keep more than a counter resume with the run."""

from types import SimpleNamespace

import pytest

from netlayers import callbacks
from tests.resume.scripts import Cut, Knife, X, Y, network


def test_table(tmp_path):
    def run(folder, knife):
        model = network()
        model.compile("sgd", "mse")
        chosen = [
            callbacks.CSVLogger(folder / "table.csv"),
            Knife(knife, ["on_epoch_end"]),
            callbacks.BackupAndRestore(folder / "b"),
        ]
        model.fit(X, Y, epochs=4, callbacks=chosen, verbose=0)

    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    run(tmp_path / "one", 0)
    with pytest.raises(Cut):
        run(tmp_path / "other", 3)  # the line of the third epoch is written, its backup is not
    run(tmp_path / "other", 0)
    texts = [(tmp_path / name / "table.csv").read_text() for name in ("one", "other")]
    assert texts[0] == texts[1]
    assert len(texts[0].splitlines()) == 5

    with pytest.raises(Cut):
        run(tmp_path / "other", 3)
    (tmp_path / "other" / "table.csv").unlink()
    with pytest.warns(UserWarning, match="lines are missing"):
        run(tmp_path / "other", 0)
    assert len((tmp_path / "other" / "table.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("append", [False, True])
def test_a_table_of_a_run_that_is_cut_again_before_the_line_comes_again(tmp_path, append):
    """A backup in between does not take the line for one of an earlier epoch."""

    def run(folder, knife=(), freq="epoch"):
        folder.mkdir(exist_ok=True)
        model = network()
        model.compile("sgd", "mse")
        chosen = [callbacks.CSVLogger(folder / "table.csv", append=append), Knife(*knife)]
        chosen.append(callbacks.BackupAndRestore(folder / "b", freq))
        model.fit(X, Y, batch_size=10, epochs=5, callbacks=chosen, verbose=0)
        return (folder / "table.csv").read_text()

    whole = run(tmp_path / "one")
    other = tmp_path / "other"
    with pytest.raises(Cut):
        run(other, (3, ["on_epoch_end"]))  # its line is written, its backup is not
    for knife in ((3, ["on_train_batch_begin"]), (1, ["on_train_batch_begin"])):
        with pytest.raises(Cut):
            run(other, knife, freq=1)
    assert run(other, freq=1) == whole


def test_time_budget(tmp_path, monkeypatch):
    """The time before the cut counts; a larger budget goes on."""
    clock = [100.0]
    monkeypatch.setattr(
        "netlayers.callbacks.limits.time", SimpleNamespace(monotonic=lambda: clock[0])
    )

    def tick(*_):
        clock[0] += 1

    def run(seconds, knife=0):
        model = network()
        model.compile("sgd", "mse")
        budget = callbacks.TimeBudget(seconds, verbose=0)
        keep = callbacks.BackupAndRestore(tmp_path / "b", 1, delete_checkpoint=False)
        wait = callbacks.LambdaCallback(on_train_batch_begin=tick)
        chosen = [budget, wait, Knife(knife, ["on_train_batch_begin"]), keep]
        model.fit(X, Y, batch_size=37, epochs=50, callbacks=chosen, verbose=0)
        return len(model.history.epoch), budget

    with pytest.raises(Cut):
        run(20, knife=10)
    clock[0] += 1000  # between the processes
    count, budget = run(20)
    assert (count, budget.stopped) == (20, True)
    assert run(20)[0] == 20
    assert run(25)[0] == 25


def test_tensorboard_counts_on(tmp_path):
    pytest.importorskip("tensorboardX")

    def run(folder, knife):
        model = network()
        model.compile("sgd", "mse")
        board = callbacks.TensorBoard(folder / "logs", update_freq=1)
        chosen = [board, Knife(knife, ["on_train_batch_begin"])]
        chosen.append(callbacks.BackupAndRestore(folder / "b", save_freq=1))
        try:
            model.fit(X, Y, batch_size=10, epochs=3, callbacks=chosen, verbose=0)
        except Cut:
            return 0
        return board.get_state()["batch"]

    assert run(tmp_path, 7) == 0
    assert run(tmp_path, 0) == 12


def test_it_says_where_it_goes_on(tmp_path, capsys):
    for knife in (9, 0):
        model = network()
        model.compile("sgd", "mse")
        keep = callbacks.BackupAndRestore(tmp_path / "b", save_freq=1)
        chosen = [Knife(knife, ["on_train_batch_begin"]), keep]
        try:
            model.fit(X, Y, batch_size=10, epochs=3, callbacks=chosen, verbose=2)
        except Cut:
            assert "goes on" not in capsys.readouterr().out
    text = capsys.readouterr().out
    assert f"The run in {str(tmp_path / 'b')!r} resumes in epoch 2 after 4 batches\n" in text


def test_resumed_is_known_to_callbacks(tmp_path):
    seen = []

    class Look(callbacks.Callback):
        def on_train_begin(self, logs=None):
            seen.append(self.params.get("resumed", False))

        def on_epoch_begin(self, epoch, logs=None):
            seen.append(epoch)

        def on_epoch_end(self, epoch, logs=None):
            seen.append(-epoch)

    for knife in (6, 0):
        model = network()
        model.compile("sgd", "mse")
        chosen = [Look(), Knife(knife, ["on_train_batch_end"])]
        chosen.append(callbacks.BackupAndRestore(tmp_path / "b", save_freq=1))
        try:
            model.fit(X, Y, batch_size=10, epochs=3, callbacks=chosen, verbose=0)
        except Cut:
            assert seen == [False, 0, 0, 1]
    assert seen[4:] == [True, 1, -1, 2, -2]


def test_an_iterator_for_validation_where_a_run_is_cut_twice_in_an_epoch(tmp_path):
    """The batches that were read before the first cut are not read again after the second."""

    def validation():
        for i in range(100):
            yield X[:5] * (1 + i), Y[:5]

    def run(folder, *knives):
        for knife in (*knives, 0):
            model = network()
            model.compile("sgd", "mse")
            keep = callbacks.BackupAndRestore(folder, save_freq=1)
            chosen = [Knife(knife, ["on_train_batch_begin"]), keep]
            arguments = {"validation_data": validation(), "validation_steps": 2, "verbose": 0}
            try:
                model.fit(X, Y, batch_size=10, epochs=4, callbacks=chosen, **arguments)
            except Cut:
                continue
        return model.history.history

    with pytest.warns(UserWarning, match="it may end with other bits: validation_data"):
        whole, cut = run(tmp_path / "a"), run(tmp_path / "b", 6, 2)
    assert cut == whole
