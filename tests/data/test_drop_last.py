"""``fit(drop_last=True)`` trains on whole batches alone."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import BackupAndRestore, Callback
from netlayers.errors import ConfigurationError

X = np.arange(22.0, dtype=np.float32).reshape(11, 2)
Y = X.sum(axis=1) / 22


class Spy(nl.layers.Layer):
    """Hands on its input; notes the first number of each row of each training batch."""

    def forward(self, x, training=False):
        x = self.prepare(x)
        if training:
            SEEN.append((x[:, 0] / 2).astype(int).tolist())
        return x

    def backward(self, dy):
        return dy


SEEN = []


def fit(model=None, **options):
    SEEN.clear()
    if model is None:
        model = nl.Sequential([Spy(), nl.layers.Dense(1)], seed=0)
        model.compile(nl.optimizers.SGD(1e-4), "mse")
    model.fit(X, Y, verbose=0, **{"batch_size": 4, **options})
    return model


def test_rows_that_fill_no_batch_are_left_out():
    fit(shuffle=False, drop_last=True, epochs=2)
    assert SEEN == [[0, 1, 2, 3], [4, 5, 6, 7]] * 2
    fit(shuffle=False)
    assert [len(rows) for rows in SEEN] == [4, 4, 3]


def test_a_shuffle_leaves_other_rows_out_each_time():
    fit(drop_last=True, epochs=20)
    passes = [set(a + b) for a, b in zip(SEEN[::2], SEEN[1::2], strict=True)]
    assert all(len(rows) == 8 for rows in passes)
    assert set().union(*passes) == set(range(11))


@pytest.mark.parametrize("rows", [8, 11])
def test_bits_are_those_of_the_first_rows(rows):
    one = fit(shuffle=False, drop_last=True, epochs=3)
    other = nl.Sequential([nl.layers.Dense(1)], seed=0)
    other.compile(nl.optimizers.SGD(1e-4), "mse")
    other.fit(X[:8], Y[:8], batch_size=4, epochs=3, shuffle=False, verbose=0)
    same = fit(shuffle=False, drop_last=True, epochs=3)
    np.testing.assert_array_equal(one.parameters.values, same.parameters.values)
    assert one.history.history == other.history.history


def test_the_validation_is_whole():
    model = fit(drop_last=True, validation_data=(X, Y), validation_batch_size=4)
    expected = model.evaluate(X, Y, verbose=0)
    np.testing.assert_allclose(model.history.history["val_loss"], [expected], rtol=1e-6)


def test_the_split_comes_first():
    fit(shuffle=False, drop_last=True, validation_split=4 / 11)
    assert SEEN == [[0, 1, 2, 3]]


def test_with_stratify_the_rows_to_train_on_count():
    model = nl.Sequential([Spy(), nl.layers.Dense(2, "softmax")], seed=0)
    model.compile(nl.optimizers.SGD(1e-4), "sparse_categorical_crossentropy")
    SEEN.clear()
    options = {"validation_split": 0.2, "stratify": True, "shuffle": False, "verbose": 0}
    model.fit(X, np.arange(11) % 2, batch_size=4, drop_last=True, **options)
    assert SEEN == [[0, 1, 2, 3], [4, 5, 6, 7]]  # of 9 rows, without 9 and 10


def test_with_steps_an_epoch_goes_on_in_the_next_pass():
    model = fit(shuffle=False, drop_last=True, steps_per_epoch=3, epochs=2)
    assert SEEN == [[0, 1, 2, 3], [4, 5, 6, 7]] * 3
    assert model.optimizer.iterations == 6


class Steps(Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.steps = self.params["steps"]


def test_the_number_of_steps_is_known():
    spy = Steps()
    fit(drop_last=True, callbacks=spy)
    assert spy.steps == 2


def test_no_whole_batch_is_an_error():
    with pytest.raises(ConfigurationError, match=r"11 rows to train on.*batch_size of at most 11"):
        fit(drop_last=True, batch_size=12)
    assert len(fit(drop_last=True, batch_size=11).history.history["loss"]) == 1


def test_data_in_batches_refuse_it():
    model = fit()
    with pytest.raises(ConfigurationError, match="drop_last cannot be used with data"):
        model.fit([(X, Y)], drop_last=True, verbose=0)
    with pytest.raises(ConfigurationError, match="drop_last must be"):
        fit(drop_last="yes")


class Stop(Exception):
    pass


class StopIn(Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == 3:
            raise Stop


def test_a_cut_run_goes_on(tmp_path):
    whole = fit(drop_last=True, epochs=4)
    backup = BackupAndRestore(str(tmp_path), save_freq=1)
    with pytest.raises(Stop):
        fit(drop_last=True, epochs=4, callbacks=[StopIn(), backup])
    with pytest.raises(ConfigurationError, match="drop_last"):
        fit(epochs=4, callbacks=[Callback(), BackupAndRestore(str(tmp_path), save_freq=1)])
    again = BackupAndRestore(str(tmp_path), save_freq=1)
    model = fit(drop_last=True, epochs=4, callbacks=[Idle(), again])
    np.testing.assert_array_equal(model.parameters.values, whole.parameters.values)


class Idle(Callback):
    pass


Idle.__name__ = "StopIn"  # stands for the callback of the run that was cut
