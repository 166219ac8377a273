"""Validations and checkpoints with the averages of the weights."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.callbacks import (
    BackupAndRestore,
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    SwapEMAWeights,
)
from netlayers.errors import ConfigurationError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(24, 3)), RNG.normal(size=(24, 1))


def network(use_ema=True, **options):
    layers = [nl.layers.Dense(4, "tanh"), nl.layers.BatchNormalization(), nl.layers.Dense(1)]
    layers[0].trainable = options.pop("trainable", True)
    model = nl.Sequential(layers, seed=0, dtype="float64")
    model.compile(nl.optimizers.Adam(0.1, use_ema=use_ema, **options), "mse")
    return model


def fit(model, *callbacks, epochs=3, **options):
    options = {"validation_data": (X, Y), "batch_size": 8, "verbose": 0, **options}
    return model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), **options).history


class Weights(Callback):
    """Notes weights and averages at the ends of epochs."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        average = self.model.optimizer.state["average"]
        self.seen.append((self.model.parameters.values.copy(), average.copy()))


def test_validation_uses_the_averages_and_training_does_not_notice():
    with_it, without = network(), network()
    logs = fit(with_it, SwapEMAWeights())
    plain = fit(without)
    assert logs["loss"] == plain["loss"]
    assert logs["val_loss"][0] != plain["val_loss"][0]
    assert logs["val_loss"][-1] == with_it.evaluate(X, Y, verbose=0)
    np.testing.assert_array_equal(with_it.parameters.values, without.parameters.values)
    for name, vector in with_it.optimizer.state.items():
        np.testing.assert_array_equal(vector, without.optimizer.state[name])


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_what_callbacks_behind_it_see(swap_on_epoch, tmp_path):
    model, notes = network(), Weights()
    path = tmp_path / "{epoch}.safetensors"
    keep = ModelCheckpoint(path, keep_last=5)
    history = fit(model, SwapEMAWeights(swap_on_epoch), keep, notes)
    for weights, average in notes.seen:
        assert np.array_equal(weights, average) == swap_on_epoch
    again = nl.load_model(tmp_path / "3.safetensors")
    assert (again.evaluate(X, Y, verbose=0) == history["val_loss"][-1]) == swap_on_epoch
    assert model.evaluate(X, Y, verbose=0) == history["val_loss"][-1]
    plain = network()
    fit(plain)
    np.testing.assert_array_equal(model.parameters.values, plain.parameters.values)


def test_frozen_weights_and_those_of_other_models_stay():
    model = network(trainable=False)
    notes = Weights()
    fit(model, SwapEMAWeights(True), notes)
    kernel = slice(0, 12)
    assert len({weights[kernel].tobytes() for weights, _ in notes.seen}) == 1


class Fails(Callback):
    """Raises at the end of an epoch."""

    def __init__(self, epoch):
        self.last = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.last:
            raise RuntimeError("stopped")


@pytest.mark.parametrize("where", ["between", "validation"])
def test_an_error_leaves_the_weights_of_the_last_update(where):
    model, plain = network(), network(use_ema=False)
    fit(plain, epochs=2)
    if where == "between":
        stop = Fails(1)
    else:
        stop = nl.callbacks.LambdaCallback()
        count = []

        def on_test_batch_end(batch, logs=None):
            count.append(batch)
            if len(count) == 2:  # of the second epoch
                raise RuntimeError("stopped")

        stop.on_test_batch_end = on_test_batch_end
    with pytest.raises(RuntimeError, match="stopped"):
        fit(model, SwapEMAWeights(True), stop)
    np.testing.assert_array_equal(model.parameters.values, plain.parameters.values)


@pytest.mark.parametrize("swap_on_epoch", [False, True])
@pytest.mark.parametrize("killed", [0, 1])
def test_resumed_to_the_same_bits(tmp_path, swap_on_epoch, killed):
    class Killed(Callback):
        part_of_run = False

        def on_epoch_begin(self, epoch, logs=None):
            if epoch == killed + 1:
                raise KeyboardInterrupt

    whole = network()
    expected = fit(whole, BackupAndRestore(tmp_path / "a"), SwapEMAWeights(swap_on_epoch))
    first = network()
    with pytest.raises(KeyboardInterrupt):
        fit(first, Killed(), BackupAndRestore(tmp_path / "b"), SwapEMAWeights(swap_on_epoch))
    again = network()
    got = fit(again, BackupAndRestore(tmp_path / "b"), SwapEMAWeights(swap_on_epoch))
    assert got == expected
    np.testing.assert_array_equal(again.parameters.values, whole.parameters.values)


def test_early_stopping_and_a_second_run():
    model, swap = network(), SwapEMAWeights(True)
    stop = EarlyStopping("val_loss", patience=1, min_delta=10.0)
    logs = fit(model, swap, stop, epochs=5)
    assert len(logs["loss"]) < 5
    assert model.evaluate(X, Y, verbose=0) == logs["val_loss"][-1]
    more = fit(model, swap, epochs=2)
    assert more["val_loss"][-1] == model.evaluate(X, Y, verbose=0)


def test_evaluate_and_predict():
    model = network()
    fit(model, epochs=1)
    before = model.parameters.values.copy()
    for _ in range(3):
        model.train_on_batch(X, Y)
    raw = model.parameters.values.copy()
    y = model.predict(X)
    averaged = model.predict(X, callbacks=[SwapEMAWeights()], verbose=0)
    assert not np.array_equal(y, averaged)
    loss = model.evaluate(X, Y, callbacks=[SwapEMAWeights()], verbose=0)
    assert loss == pytest.approx(np.mean((averaged - Y) ** 2), rel=1e-12)
    np.testing.assert_array_equal(model.parameters.values, raw)
    assert not np.array_equal(before, raw)
    fresh = network()
    fresh.build((None, 3))
    np.testing.assert_array_equal(
        fresh.predict(X), fresh.predict(X, callbacks=[SwapEMAWeights()], verbose=0)
    )


def test_what_is_refused():
    for run in (
        lambda m: fit(m, SwapEMAWeights()),
        lambda m: m.evaluate(X, Y, callbacks=[SwapEMAWeights()], verbose=0),
    ):
        model = network(use_ema=False)
        model.build((None, 3))
        with pytest.raises(ConfigurationError, match="must be used when `use_ema=True` is set"):
            run(model)
    plain = nl.Sequential([nl.layers.Dense(1)], seed=0)
    plain.compile("sgd", "mse")
    with pytest.raises(ConfigurationError, match="has no effect in fit_lbfgs, which has no aver"):
        plain.fit_lbfgs(X, Y, callbacks=[SwapEMAWeights()], verbose=0)
    with pytest.raises(ConfigurationError, match="swap_on_epoch must be"):
        SwapEMAWeights("yes")
    callback = SwapEMAWeights()
    callback.model = model
    with pytest.raises(ValueError, match="not the weights of this model"):
        callback.set_state({"weights": np.zeros(3)})


def test_with_several_optimizers():
    chosen = nl.optimizers.OptimizerMap("sgd", {".*/kernel": "adam"})
    model = network()
    model.compile(nl.optimizers.MultiOptimizer(chosen, use_ema=True), "mse")
    logs = fit(model, SwapEMAWeights())
    assert logs["val_loss"][-1] == model.evaluate(X, Y, verbose=0)


class Losses(Callback):
    """Notes whether the weights are the averages when training begins and when it is checked."""

    def __init__(self):
        self.begun = []

    def on_train_begin(self, logs=None):
        self.begun.append(self.model.optimizer.iterations)


def test_a_run_is_refused_before_it_starts():
    for swap in (False, True):
        model, notes = network(use_ema=False), Losses()
        with pytest.raises(ConfigurationError, match="use_ema=True"):
            fit(model, notes, SwapEMAWeights(swap))
        assert notes.begun == []
        assert not model.optimizer.iterations


def test_a_second_swap_keeps_the_weights_of_the_training():
    model = network()
    fit(model, epochs=1)
    values = model.parameters.values
    values += 1.0  # not the averages
    trained = values.copy()
    callback = SwapEMAWeights()
    callback.set_model(model)
    callback._swap()
    averages = values.copy()
    assert (averages != trained).any()
    callback._swap()
    np.testing.assert_array_equal(values, averages)
    callback._swap_back()
    np.testing.assert_array_equal(values, trained)
    callback._swap_back()
    np.testing.assert_array_equal(values, trained)
    fresh = network()
    fresh.build((None, 3))
    before = fresh.parameters.values.copy()
    alone = SwapEMAWeights()
    alone.set_model(fresh)
    alone._swap()  # there are no averages yet
    assert alone._weights is None
    np.testing.assert_array_equal(fresh.parameters.values, before)


def test_weights_of_a_run_that_was_left_are_forgotten():
    model, callback = network(), SwapEMAWeights(True)
    fit(model, callback, epochs=1)
    callback._weights = np.zeros_like(model.parameters.values)
    plain = network()
    fit(plain, epochs=1)
    fit(model, callback, epochs=1)
    fit(plain, epochs=1)
    np.testing.assert_array_equal(model.parameters.values, plain.parameters.values)
