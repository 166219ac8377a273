"""What an epoch is, what is held out, and what a class weighs."""

import inspect
from itertools import chain

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import progress
from netlayers.data.class_weights import class_weights, stratified_rows
from netlayers.errors import ConfigurationError, DataError, NetlayersError

# The outputs need not be probabilities here.
pytestmark = pytest.mark.filterwarnings("ignore:.* takes probabilities:UserWarning")

RNG = np.random.default_rng(0)

# Read from Keras 3.15.1 by inspect, without self.
KERAS = {
    "fit": "x=None, y=None, batch_size=None, epochs=1, verbose='auto', callbacks=None, "
    "validation_split=0.0, validation_data=None, shuffle=True, class_weight=None, "
    "sample_weight=None, initial_epoch=0, steps_per_epoch=None, validation_steps=None, "
    "validation_batch_size=None, validation_freq=1",
    "evaluate": "x=None, y=None, batch_size=None, verbose='auto', sample_weight=None, steps=None, "
    "callbacks=None, return_dict=False",
    "predict": "x, batch_size=None, verbose='auto', steps=None, callbacks=None",
    "train_on_batch": "x, y=None, sample_weight=None, class_weight=None, return_dict=False",
    "test_on_batch": "x, y=None, sample_weight=None, return_dict=False",
    "predict_on_batch": "x",
}


@pytest.mark.parametrize("method", KERAS)
def test_arguments_stand_in_the_order_of_keras(method):
    parameters = list(inspect.signature(getattr(nl.Sequential, method)).parameters.values())[1:]
    ordered = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    shown = [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in ordered]
    assert ", ".join(shown) == KERAS[method]


class Seen(nl.layers.Layer):
    """Notes the first feature of every row it sees."""

    def forward(self, x, training=False):
        x = self.prepare(x)
        self.__dict__.setdefault("rows", []).append((training, x[:, 0].astype(int).tolist()))
        return x

    def backward(self, dy):
        return dy


X = np.arange(10.0)[:, None]


def rows_of(training=True, y=X, x=X, loss="mse", **options):
    seen = Seen()
    model = nl.Sequential([seen, nl.layers.Dense(1)], seed=0)
    model.compile("sgd", loss)
    model.fit(x, y, verbose=0, **options)
    return [rows for train, rows in seen.rows if train is training]


# Steps --------------------------------------------------------------------------------------


def test_an_epoch_of_steps_goes_on_where_the_last_one_ended():
    got = rows_of(batch_size=4, epochs=3, steps_per_epoch=2, shuffle=False)
    whole = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert got == [*whole, *whole]
    shuffled = rows_of(batch_size=4, epochs=3, steps_per_epoch=2)
    assert shuffled == rows_of(batch_size=4, epochs=2)


def test_more_steps_than_batches_begin_the_data_again():
    got = rows_of(batch_size=4, steps_per_epoch=7, shuffle=False)
    assert [len(rows) for rows in got] == [4, 4, 2, 4, 4, 2, 4]


def test_steps_without_a_batch_size_make_one_pass():
    """As Keras 3.15.1: 10 rows in 2 steps are batches of 5, in 3 steps of 4, 4 and 2."""
    assert [len(r) for r in rows_of(steps_per_epoch=2, epochs=2)] == [5, 5, 5, 5]
    assert [len(r) for r in rows_of(steps_per_epoch=3, epochs=2)] == [4, 4, 2] * 2


def test_steps_of_a_validation_begin_with_the_first_row():
    options = {"validation_data": (X, X), "validation_batch_size": 3, "validation_steps": 2}
    assert rows_of(False, epochs=2, **options) == [[0, 1, 2], [3, 4, 5]] * 2
    options["validation_steps"] = 9  # all there are
    assert [len(r) for r in rows_of(False, **options)] == [3, 3, 3, 1]


def test_steps_of_a_validation_without_a_size():
    """As Keras 3.15.1: all the rows in so many steps, or batches of the training's size."""
    options = {"validation_data": (X, X), "validation_steps": 2}
    assert [len(r) for r in rows_of(False, **options)] == [5, 5]
    assert [len(r) for r in rows_of(False, batch_size=3, **options)] == [3, 3]
    split = {"validation_split": 0.6, "validation_steps": 2}
    assert [len(r) for r in rows_of(False, **split)] == [3, 3]
    y = np.repeat([0, 1], 5)
    held = rows_of(False, y=y, loss="bce", stratify=True, **split)
    assert held == [[2, 3, 4], [7, 8, 9]]


def test_steps_of_evaluate_and_predict():
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    part = model.evaluate(X[:6], X[:6], verbose=0)
    assert model.evaluate(X, X, batch_size=3, steps=2, verbose=0) == pytest.approx(part)
    assert model.predict(X, batch_size=3, steps=2).tobytes() == model.predict(X[:6]).tobytes()
    assert model.predict(X, steps=3).shape == (10, 1)  # in batches of 4, 4 and 2, as Keras
    assert model.predict(X[:0], steps=3).shape == (0, 1)
    whole = model.evaluate(X, X, verbose=0)
    assert model.evaluate(X, X, steps=3, verbose=0) == pytest.approx(whole)
    for bad in (0, -1, 1.5, "2"):
        with pytest.raises(ConfigurationError, match="steps"):
            model.predict(X, steps=bad)
        with pytest.raises(ConfigurationError, match="steps"):
            model.evaluate(X, X, steps=bad)


# The progress bar ---------------------------------------------------------------------------


class Terminal:
    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_the_bar_learns_the_number_of_steps(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(progress.sys, "stdout", terminal)
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    monkeypatch.setattr(progress, "INTERVAL", 0)
    model.fit(lambda: ((X[i : i + 5], X[i : i + 5]) for i in (0, 5)), epochs=2, verbose=1)
    shown = [line.split() for line in terminal.text.split("\r") if "Epoch" in line]
    assert "2" in [words[2] for words in shown if len(words) > 2]  # in the first epoch
    assert "2/2" in [words[3] for words in shown if len(words) > 3]


# Classes ------------------------------------------------------------------------------------


def test_balanced_weights():
    # By hand: 8 samples, 3 classes: 8 / (3 * 4), 8 / (3 * 3), 8 / (3 * 1).
    labels = np.array([0, 5, 0, 2, 5, 0, 5, 0])
    by_class = {0: 8 / 12, 5: 8 / 9, 2: 8 / 3}
    expected = [by_class[c] for c in labels]
    one_hot = np.eye(6, dtype=np.float32)[labels]
    for y in (labels, labels[:, None], labels.astype(np.float32), one_hot):
        np.testing.assert_allclose(class_weights("fit", "balanced", y), expected, rtol=1e-15)


def test_balanced_weights_are_those_of_scikit_learn():
    utils = pytest.importorskip("sklearn.utils.class_weight")
    labels = RNG.integers(0, 5, 97) ** 2
    expected = utils.compute_sample_weight("balanced", labels)
    np.testing.assert_allclose(class_weights("fit", "balanced", labels), expected, rtol=1e-14)


def classifier(units=3):
    model = nl.Sequential([nl.layers.Dense(units, activation="softmax")], seed=0)
    model.compile(nl.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


def test_balanced_counts_the_rows_that_are_trained_on():
    y = np.array([0, 0, 0, 1, 0, 1, 1, 1, 1, 1])
    for options in ({}, {"stratify": True}):
        model, expected = classifier(), classifier()
        history = model.fit(
            X, y, class_weight="balanced", validation_split=0.3, shuffle=False, verbose=0, **options
        ).history
        train = np.arange(7) if not options else stratified_rows("fit", y, 0.3)[0]
        held = np.setdiff1d(np.arange(10), train)
        weights = class_weights("fit", "balanced", y[train])
        plain = expected.fit(
            X[train],
            y[train],
            sample_weight=weights,
            validation_data=(X[held], y[held]),
            shuffle=False,
            verbose=0,
        ).history
        assert model.parameters.values.tobytes() == expected.parameters.values.tobytes()
        assert history == plain  # also val_loss: a validation is not weighted


def test_balanced_on_a_batch():
    y = np.array([0, 0, 0, 1, 0, 1, 1, 1, 1, 2])
    a, b = classifier(), classifier()
    a.train_on_batch(X, y, class_weight="balanced")
    b.train_on_batch(X, y, class_weights("fit", "balanced", y))
    assert a.parameters.values.tobytes() == b.parameters.values.tobytes()


def test_stratified_rows():
    y = np.array([0, 1, 0, 1, 0, 0, 2, 0, 0, 3, 3, 0, 0, 0])
    train, held = stratified_rows("fit", y, 0.25)
    # 9 of class 0: round(2.25) = 2, its last; 2 of class 1 and of class 3: one; 1 of class 2: none.
    assert held.tolist() == [3, 10, 12, 13]
    assert sorted([*train, *held]) == list(range(14))
    assert train.tolist() == sorted(train)
    one_hot = np.eye(4)[y]
    for other in (y[:, None], y.astype(float), one_hot):
        np.testing.assert_array_equal(stratified_rows("fit", other, 0.25)[1], held)
    binary = np.array([0.0, 1.0, 1.0, 0.0])[:, None]
    assert [r.tolist() for r in stratified_rows("fit", binary, 0.9)] == [[0, 1], [2, 3]]


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.77, 0.99])
def test_every_class_of_two_is_in_both_parts(share):
    y = np.repeat(np.arange(20), RNG.integers(2, 30, 20))
    RNG.shuffle(y)
    train, held = stratified_rows("fit", y, share)
    assert set(y[train]) == set(y[held]) == set(range(20))
    for c in range(20):
        exact = share * np.sum(y == c)
        assert abs(np.sum(y[held] == c) - exact) <= 1


def test_fit_with_a_stratified_split():
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    options = {"validation_split": 0.3, "stratify": True, "y": y, "loss": "bce"}
    assert [*chain(*rows_of(False, **options))] == [3, 8, 9]
    assert [*chain(*rows_of(shuffle=False, **options))] == [0, 1, 2, 4, 5, 6, 7]
    epochs = rows_of(epochs=2, batch_size=7, **options)
    assert [sorted(e) for e in epochs] == [[0, 1, 2, 4, 5, 6, 7]] * 2
    assert epochs[0] != epochs[1]
    stepped = rows_of(epochs=2, batch_size=7, steps_per_epoch=1, **options)
    assert stepped == epochs


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"stratify": True}, "stratify=True needs a validation_split"),
        ({"stratify": 1, "validation_split": 0.2}, "stratify must be True or False"),
        ({"stratify": True, "validation_data": (X, X)}, "stratify=True needs"),
        ({"class_weight": "balance"}, "class_weight must be a dict"),
        ({"steps_per_epoch": 0}, "steps_per_epoch"),
        ({"validation_steps": 1}, "validation_steps needs"),
        ({"validation_split": 0.2, "validation_data": (X, X)}, "not both"),
        ({"validation_split": 0.2, "validation_steps": 1.5}, "validation_steps"),
    ],
)
def test_arguments_that_contradict(options, part):
    model = nl.Sequential([nl.layers.Dense(1)], seed=0)
    model.compile("sgd", "mse")
    with pytest.raises(ConfigurationError) as raised:
        model.fit(X, X, verbose=0, **options)
    assert part in str(raised.value)
    assert not model.built


@pytest.mark.parametrize("option", [{"class_weight": "balanced"}, {"stratify": True}])
def test_what_has_no_classes(option):
    if "stratify" in option:
        option = option | {"validation_split": 0.2}
    for y, part in [
        (X + 0.5, "class indices, but y contains 0.5"),
        (np.ones((10, 2)), "not all one-hot"),
        (np.full((10, 2), 0.5), "not all one-hot"),
    ]:
        model = nl.Sequential([nl.layers.Dense(y.shape[1])], seed=0)
        model.compile("sgd", "mse")
        with pytest.raises(DataError, match=part):
            model.fit(X, y, verbose=0, **option)
        assert not model.built
    with pytest.raises(ConfigurationError, match="10 classes of one sample each"):
        rows_of(stratify=True, validation_split=0.3)


def test_class_weight_needs_numbers_of_classes():
    with pytest.raises(NetlayersError, match="one class for each sample"):
        class_weights("fit", "balanced", np.ones((3, 2, 2)))


@pytest.mark.parametrize(("first", "validations"), [(0, 2), (3, 1)])
def test_epochs_to_validate_after(first, validations):  # as in Keras, the first one is 1
    model, epochs = nl.Sequential([nl.layers.Dense(1)], seed=0), []
    model.compile("sgd", "mse")
    log = nl.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epochs.append(epoch) if "val_loss" in logs else None
    )
    given = {"validation_data": iter([(X, X)] * validations), "validation_steps": 1}
    model.fit(
        X, X, epochs=6, initial_epoch=first, validation_freq=[6, 2, 6, 9], callbacks=log, verbose=0,
        **given,
    )  # fmt: skip
    assert epochs == [1, 5][-validations:]
