"""Watching the calls of layers."""

import copy
import pickle
import threading

import numpy as np
import pytest

import netlayers as nl
from netlayers.core.hooks import observed


def network():
    block = nl.layers.Residual([nl.layers.Dense(4, "tanh")], name="block")
    model = nl.Sequential([block, nl.layers.Dense(3, "softmax", name="out")], seed=0, name="net")
    model.compile("sgd", "categorical_crossentropy")
    return model


X = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
Y = np.eye(3, dtype=np.float32)[[0, 1, 2, 1, 0]]


def recorder(into):
    def around(layer, method, given, run):
        result = run()
        into.append((layer.name, method, np.shape(given), np.shape(result)))
        return result

    return around


def test_every_call_of_a_step_is_seen_and_nothing_changes():
    watched, alone = network(), network()
    calls = []
    with observed(watched, recorder(calls)):
        watched.train_on_batch(X, Y)
    alone.train_on_batch(X, Y)
    for a, b in zip(watched.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    # The loss takes the logits, so the softmax is not asked.
    assert calls == [
        ("dense", "forward_logits", (5, 4), (5, 4)),
        ("tanh", "forward", (5, 4), (5, 4)),
        ("dense", "forward", (5, 4), (5, 4)),
        ("block", "forward", (5, 4), (5, 4)),
        ("out", "forward_logits", (5, 4), (5, 3)),
        ("net", "forward_logits", (5, 4), (5, 3)),
        ("out", "backward_logits", (5, 3), (5, 4)),
        ("tanh", "backward", (5, 4), (5, 4)),
        ("dense", "backward_logits", (5, 4), (5, 4)),
        ("dense", "backward", (5, 4), (5, 4)),
        ("block", "backward", (5, 4), ()),
        ("net", "backward_logits", (5, 3), ()),
    ]


def test_nothing_stays_behind():
    model = network()
    model.build((None, 4))
    before = [set(vars(layer)) for layer in model._flatten_layers()]

    def fails(layer, method, given, run):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"), observed(model, fails):
        model.predict(X, verbose=0)
    assert [set(vars(layer)) for layer in model._flatten_layers()] == before
    pickle.loads(pickle.dumps(model))
    copy.deepcopy(model)


def test_a_method_of_an_object_is_put_back():
    layer = nl.layers.Identity(name="mine")
    layer.forward = own = lambda x, training=False: x + 1
    calls = []
    with observed(layer, recorder(calls)):
        assert layer.forward(1) == 2
    assert layer.forward is own
    assert calls == [("mine", "forward", (), ())]


def test_other_threads_go_past():
    model = network()
    model.build((None, 4))
    calls = []
    with observed(model, recorder(calls)):
        thread = threading.Thread(target=model.predict, args=(X,), kwargs={"verbose": 0})
        thread.start()
        thread.join()
    assert calls == []
