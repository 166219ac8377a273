"""Models that share layers: one vector, one set of weights, an optimizer of each model's own."""

import copy
import gc
import pickle
import threading

import numpy as np
import pytest

import netlayers as nl

L = nl.layers
RNG = np.random.default_rng(0)
X = RNG.normal(size=(32, 4))
Y = np.stack([X.sum(axis=1), X[:, 0] * X[:, 1]], axis=1)


def pair(optimizer="adam"):
    """Two models over one hidden layer."""
    common = L.Dense(8, "tanh", name="common")
    models = [
        nl.Sequential([common, L.Dense(1, name=name)], seed=0) for name in ("first", "second")
    ]
    for model in models:
        model.compile(optimizer, "mse")
    return common, *models


def test_they_see_each_others_updates():
    common, a, b = pair()
    a.fit(X, Y[:, 0], verbose=0)
    b.fit(X, Y[:, 1], verbose=0)
    assert a.parameters.vector is b.parameters.vector
    before, kernel = b.predict(X), common.kernel.copy()
    a.fit(X, Y[:, 0], epochs=3, verbose=0)
    assert not np.array_equal(common.kernel, kernel)
    assert not np.array_equal(b.predict(X), before)
    np.testing.assert_array_equal(a.layers[0].kernel, b.layers[0].kernel)
    losses = [(a.train_on_batch(X, Y[:, :1]), b.train_on_batch(X, Y[:, 1:])) for _ in range(60)]
    assert (np.array(losses[-1]) < np.array(losses[0])).all()


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lamb", "adagrad"])
def test_an_update_is_that_of_the_model_alone(optimizer):
    """Sharing moves the weights; the optimizer's state stays with them, to the bit."""

    def run(shared):
        common = L.Dense(8, "tanh", name="common")
        a = nl.Sequential([common, L.Dense(1, name="first")], seed=0)
        a.compile(optimizer, "mse")
        for i in range(6):
            if shared and i == 3:  # in the middle of the run its weights move
                b = nl.Sequential([L.Dense(4), common, L.Dense(2)], seed=5)
                b.compile("sgd", "mse")
                b.build((None, 4))
                assert a.parameters.vector is b.parameters.vector
                assert a.parameters.values.size > a.parameters.size
            a.train_on_batch(X, Y[:, :1])
        return a

    alone, moved = run(False), run(True)
    for x, y in zip(alone.weights, moved.weights, strict=True):
        assert x.tobytes() == y.tobytes()
    for name, vector in alone.optimizer.state.items():
        assert vector.tobytes() == moved.optimizer.state[name].tobytes()


def test_only_the_own_weights_change():
    _, a, b = pair(nl.optimizers.Adam(0.1, weight_decay=0.1, use_ema=True, global_clipnorm=1))
    a.build((None, 4))
    vars(b)["optimizer"] = copy.deepcopy(b.optimizer)
    b.build((None, 4))
    other = b.layers[1].kernel.copy()
    a.fit(X, Y[:, 0], epochs=2, verbose=0)
    assert b.layers[1].kernel.tobytes() == other.tobytes()
    assert a.count_params() == b.count_params() == 4 * 8 + 8 + 8 + 1
    assert a.optimizer.state["m"].size == a.count_params()


def test_freezing_a_common_layer_freezes_it_in_both():
    common, a, b = pair()
    for model in (a, b):
        model.fit(X, Y[:, :1], verbose=0)
    common.trainable = False
    kernel = common.kernel.copy()
    for model in (a, b):
        model.fit(X, Y[:, :1], verbose=0)
        assert model.trainable_weights[0].shape == (8, 1)
    assert common.kernel.tobytes() == kernel.tobytes()


def test_an_inner_model_is_trained_alone_and_with_the_outer_one():
    inner = nl.Sequential([L.Dense(4, "tanh"), L.Dense(2)], name="inner", seed=0)
    outer = nl.Sequential([inner, L.Dense(1)], seed=1)
    inner.compile("adam", "mse")
    outer.compile("adam", "mse")
    for _ in range(40):
        first = inner.train_on_batch(X, Y), outer.train_on_batch(X, Y[:, :1])
    for _ in range(100):
        last = inner.train_on_batch(X, Y), outer.train_on_batch(X, Y[:, :1])
    assert (np.array(last) < np.array(first)).all()
    assert inner.parameters.size == inner.count_params() < outer.parameters.size


def test_saved_alone_or_together(tmp_path):
    inner = nl.Sequential([L.Dense(4, "tanh"), L.Dense(2)], name="inner", seed=0)
    outer = nl.Sequential([inner, L.Dense(1)], seed=1)
    for model in (inner, outer):
        model.compile("adam", "mse")
    outer.fit(X, Y[:, :1], verbose=0)
    inner.fit(X, Y, verbose=0)
    for name, model, target in (("inner", inner, Y), ("outer", outer, Y[:, :1])):
        path = tmp_path / f"{name}.safetensors"
        model.save(path)
        model.save_weights(tmp_path / "weights.safetensors")
        again = nl.load_model(path)
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
        again.load_weights(tmp_path / "weights.safetensors")
        kept = model.get_weights()
        model.fit(X, target, verbose=0, epochs=2)
        again.fit(X, target, verbose=0, epochs=2)
        for x, y in zip(model.weights, again.weights, strict=True):
            assert x.tobytes() == y.tobytes()
        model.set_weights(kept)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_keep_what_is_shared(clone):
    _, a, b = pair()
    a.fit(X, Y[:, 0], verbose=0)
    b.fit(X, Y[:, 1], verbose=0)
    c, d = clone((a, b))
    assert c.layers[0] is d.layers[0]
    for model in (a, b, c, d):
        model.fit(X, Y[:, 0], epochs=2, verbose=0)
    for x, y in zip(a.weights + b.weights, c.weights + d.weights, strict=True):
        assert x.tobytes() == y.tobytes()
    alone = clone(a)
    assert alone.parameters.values.size == alone.count_params()


def test_models_that_are_gone_leave_no_weights_behind():
    common = L.Dense(8, name="common")
    keep = nl.Sequential([common, L.Dense(1)])
    keep.build((None, 4))
    for _ in range(5):
        nl.Sequential([common, L.Dense(100)]).build((None, 4))
        gc.collect()
    last = nl.Sequential([common, L.Dense(2)])
    last.build((None, 4))
    assert last.parameters.values.size <= keep.count_params() + last.count_params() - 40


def test_predictions_of_another_thread_stay_right_while_weights_move():
    common, a, _ = pair()
    a.fit(X, Y[:, 0], verbose=0)
    expected, wrong, stop = a.predict(X), [], threading.Event()

    def predict():
        while not stop.is_set():
            if not np.array_equal(a.predict(X), expected):
                wrong.append(True)

    thread = threading.Thread(target=predict)
    thread.start()
    try:
        for _ in range(50):
            nl.Sequential([common, L.Dense(2)]).build((None, 4))
    finally:
        stop.set()
        thread.join()
    assert not wrong


def test_one_model_is_trained_at_a_time():
    _, a, b = pair()
    a.build((None, 4))
    b.build((None, 4))
    begun, go = threading.Event(), threading.Event()

    class Wait(nl.callbacks.Callback):
        def on_train_begin(self, logs=None):
            begun.set()
            go.wait(10)

    thread = threading.Thread(target=lambda: a.fit(X, Y[:, 0], callbacks=Wait(), verbose=0))
    thread.start()
    begun.wait(10)
    try:
        with pytest.raises(nl.errors.BusyError):
            b.fit(X, Y[:, 1], verbose=0)
        with pytest.raises(nl.errors.BusyError, match="shares layers"):
            nl.Sequential([a.layers[0], L.Dense(3)]).build((None, 4))
    finally:
        go.set()
        thread.join()
    b.fit(X, Y[:, 1], verbose=0)


def test_names_give_way_to_those_of_shared_layers():
    shared = L.Dense(2)
    a = nl.Sequential([L.Dense(3), shared])
    a.build((None, 4))
    assert shared.name == "dense_1"
    b = nl.Sequential([L.Dense(3), L.Dense(3), shared])
    assert [layer.name for layer in b.layers] == ["dense", "dense_1_1", "dense_1"]
    with pytest.raises(nl.errors.ConfigurationError, match="two layers are named 'dense_1'"):
        nl.Sequential([L.Dense(2, name="dense_1"), shared])
