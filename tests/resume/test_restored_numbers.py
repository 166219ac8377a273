"""What a run shows after it went on is what it shows without a cut: sums, counters, data."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers import losses
from netlayers.callbacks import BackupAndRestore, Callback, LambdaCallback
from netlayers.errors import ConfigurationError, FileError
from tests.data.kinds import Lazy

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 3)).astype("f4"), RNG.normal(size=(30, 3)).astype("f4")


class Cut(Exception):
    """Ends a run in the middle of an epoch."""


class Knife(Callback):
    """Cuts in a batch of an epoch; keeps the logs of every batch."""

    def __init__(self, at=None):
        self.at, self.logs = at, []

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.logs.append(dict(logs))
        if (self._epoch, batch) == self.at:
            raise Cut

    def get_state(self):
        return {}  # what it keeps is of this process alone


def run(folder, loss, x=X, at=None, more=(), **compiled):
    model = nl.Sequential([nl.layers.Dense(3, "tanh"), nl.layers.Dense(3)], seed=0)
    model.compile(nl.optimizers.SGD(0.1, **compiled), copy.deepcopy(loss), metrics=["mae"])
    knife = Knife(at)
    backup = BackupAndRestore(folder, save_freq=1)
    try:
        model.fit(x, Y, batch_size=8, epochs=2, callbacks=[*more, backup, knife], verbose=0)
    except Cut:
        return model, knife.logs
    return model, knife.logs, model.history.history


SPLIT = losses.SplitLoss(["mse", "mae"], [1, 2], [0.5, 2.0])
NESTED = losses.SplitLoss([losses.SplitLoss(["mse", "huber"], [1, 1]), "log_cosh"], [2, 1], [3, 1])


@pytest.mark.parametrize("at", [(0, 0), (0, 2), (1, 1)])
@pytest.mark.parametrize(
    "loss",
    [
        SPLIT,
        NESTED,
        losses.Huber(reduction="mean_with_sample_weight"),
        losses.MeanSquaredError("sum"),
    ],
)
def test_sums_of_a_loss(tmp_path, loss, at):
    whole, logs, history = run(tmp_path / "whole", loss)
    run(tmp_path / "cut", loss, at=at)
    again, its_logs, its_history = run(tmp_path / "cut", loss)
    assert its_history == history
    assert its_logs == logs[len(logs) - len(its_logs) :]
    assert len(its_logs) == 8 - (4 * at[0] + at[1])
    np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)


def test_the_norms_of_gradients(tmp_path):
    _, logs, history = run(tmp_path / "whole", losses.MeanSquaredError(), global_clipnorm=0.1)
    run(tmp_path / "cut", losses.MeanSquaredError(), at=(1, 2), global_clipnorm=0.1)
    _, its_logs, its_history = run(tmp_path / "cut", losses.MeanSquaredError(), global_clipnorm=0.1)
    assert history["grad_norm"] == its_history["grad_norm"]
    assert its_logs == logs[-2:]


@pytest.mark.parametrize("by_rows", [False, True])
def test_data_outside_of_the_memory(tmp_path, by_rows):
    whole, *_ = run(tmp_path / "whole", losses.MeanSquaredError(), Lazy(X, by_rows))
    run(tmp_path / "cut", losses.MeanSquaredError(), Lazy(X, by_rows), at=(1, 1))
    other = X.copy()
    other[0, 0] += 1
    with pytest.raises(ConfigurationError, match="checksum"):
        run(tmp_path / "cut", losses.MeanSquaredError(), Lazy(other, by_rows))
    again, *_ = run(tmp_path / "cut", losses.MeanSquaredError(), Lazy(X, by_rows))
    np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)


def test_updates_that_were_left_out_before_the_cut(tmp_path):
    """TerminateOnNaN counts from what was left out before the run, not before the process."""

    def callbacks():
        stop = nl.callbacks.TerminateOnNaN()
        note = LambdaCallback(on_train_batch_begin=lambda batch, logs: seen.append(stop._skipped))
        return [stop, note]

    seen = []
    run(tmp_path, losses.MeanSquaredError(), at=(0, 1), more=callbacks())
    run(tmp_path, losses.MeanSquaredError(), more=callbacks())
    assert set(seen) == {0}


def test_an_error_of_a_file_goes_to_another_process():
    error = FileError("a/b", "header", "5 bytes", "3 bytes.", "Try again.")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is FileError
    assert str(again) == str(error) == "a/b: header: expected 5 bytes, got 3 bytes. Try again."
    assert (again.path, again.place, again.expected, again.got, again.hint) == (
        "a/b",
        "header",
        "5 bytes",
        "3 bytes.",
        "Try again.",
    )
    assert str(FileError("a", "b", 1, 2)) == "a: b: expected 1, got 2."
