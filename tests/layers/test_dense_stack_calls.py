"""Dense layers in one compiled call: forward and backward in any order, by hand and in threads."""

import importlib.util
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest

import netlayers as nl
from tests.layers.stacks import (
    Dense,
    arrays,
    assert_same,
    compiled,  # noqa: F401
    model_of,
    one_by_one,
)

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("numba"), reason="needs numba")


def test_backward_can_be_called_again():
    model = model_of(Dense(4, "relu"), Dense(3, "tanh"))
    x, dy = np.ones((2, 5), np.float32), np.ones((2, 3), np.float32)
    model.forward(x, training=True)
    first = model.backward(dy).copy()
    np.testing.assert_array_equal(model.backward(dy), first)


@pytest.mark.parametrize("watched", ["forward", "backward"])
@pytest.mark.parametrize("sizes", [(3,), (4, 3)])
@pytest.mark.parametrize("last", ["sigmoid", "softmax"])
def test_forward_and_backward_may_go_different_ways(watched, sizes, last):
    """What one way remembers, the other goes back from."""
    model = model_of(*(Dense(m, last) for m in sizes))
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 5)).astype("f"), rng.normal(size=(2, 3)).astype("f")
    expected = arrays(model, x, dy)[1:3]
    model.forward(-x, training=True)
    with one_by_one(model) if watched == "forward" else nullcontext():
        model.forward(x, training=True)
    with one_by_one(model) if watched == "backward" else nullcontext():
        dx = model.backward(dy)
    assert_same([dx, model.parameters.gradients], expected)


def test_backward_follows_layers_that_were_called_alone():
    model = model_of(Dense(4, "relu"), Dense(3, "tanh"))
    x, dy = np.ones((2, 5), np.float32), np.ones((2, 3), np.float32)
    expected = arrays(model, x, dy)[1:3]
    model.forward(-x, training=True)
    h = x
    for layer in model.layers:
        h = layer.forward(h, training=True)
    assert_same([model.backward(dy), model.parameters.gradients], expected)


def test_threads_predict_while_one_trains():
    model = model_of(Dense(16, "relu"), Dense(16, "tanh"), Dense(3))
    model.compile(nl.optimizers.SGD(0.0), "mse")  # the weights stay, so the answer must
    rng = np.random.default_rng(0)
    x, targets = rng.normal(size=(64, 5)), rng.normal(size=(64, 3))
    expected, wrong = model.predict(x), []

    def ask():
        wrong.extend(not np.array_equal(model.predict(x), expected) for _ in range(200))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    model.fit(x, targets, batch_size=16, epochs=50, verbose=0)
    for thread in threads:
        thread.join()
    assert not any(wrong)


def with_numpy(function):
    """Return what a function of nothing returns with NumPy's kernels."""
    nl.use_kernels("numpy")
    try:
        return function()
    finally:
        nl.use_kernels("numba")


@pytest.mark.parametrize("last", [None, "relu", "softmax"])
def test_what_backward_returned_may_be_given_to_it(last):
    def twice(method):
        model = model_of(Dense(64, last), inputs=64)
        x = np.random.default_rng(0).normal(size=(4, 64)).astype("f")
        getattr(model, method[0])(x, training=True)
        backward = getattr(model, method[1])
        model.cache.shape = (4, 64)
        return backward(backward(x)).copy(), model.parameters.gradients.copy()

    for method in (("forward", "backward"), ("_forward_logits", "_backward_logits")):
        for a, b in zip(twice(method), with_numpy(lambda m=method: twice(m)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_what_forward_returned_may_be_given_to_it():
    def twice():
        model = model_of(Dense(64), inputs=64)
        x = np.random.default_rng(0).normal(size=(4, 64)).astype("f")
        y = model.forward(model.forward(x, training=True), training=True).copy()
        return y, model.backward(x).copy()

    for a, b in zip(twice(), with_numpy(twice), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["forward", "_forward_logits", "backward", "_backward_logits"])
def test_methods_of_ones_own_are_called(name):
    def run():
        model = model_of(Dense(4, "relu"), Dense(3))
        layer, seen = model.layers[0], []
        method = getattr(layer, name)

        def own(*args, **kwargs):
            seen.append(name)
            return method(*args, **kwargs)

        setattr(layer, name, own)
        arrays(model, np.ones((4, 5), "f"), np.ones((4, 3), "f"))
        return seen

    assert run() == with_numpy(run) != []


def test_a_first_layer_that_remembers_nothing():
    model = model_of(Dense(4, "relu"), Dense(3))
    layer = model.layers[0]
    layer.forward = lambda x, training=False: np.maximum(x[:, :4], 0)
    layer.backward = lambda dy, input_gradient=True: np.zeros((4, 5), "f")
    arrays(model, np.ones((4, 5), "f"), np.ones((4, 3), "f"))


@pytest.mark.parametrize("last", [None, "softmax", "relu"])
def test_batches_of_more_axes_between_others(last):
    model = model_of(Dense(3, last))
    flat, deep = np.ones((2, 5), "f"), np.ones((2, 3, 5), "f")
    for x in (flat, deep, flat):
        dy = np.ones((*x.shape[:-1], 3), "f")
        together = arrays(model, x, dy)
        with one_by_one(model):
            assert_same(together, arrays(model, x, dy))


@pytest.mark.parametrize("change", [np.asfortranarray, lambda dy: dy[::-1], list])
@pytest.mark.parametrize("last", [None, "relu"])
def test_gradients_in_any_order(change, last):
    model = model_of(Dense(16, "tanh"), Dense(64, last))
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(33, 5)).astype("f"), change(rng.normal(size=(33, 64)).astype("f"))
    together = arrays(model, x, dy)
    with one_by_one(model):
        assert_same(together, arrays(model, x, dy))


def test_an_activation_that_was_called_alone():
    def run():
        model = model_of(Dense(4, "relu"), Dense(3))
        x, dy = np.linspace(-1, 1, 20, dtype="f").reshape(4, 5), np.ones((4, 3), "f")
        model.forward(x, training=True)
        model.layers[0].activation.forward(np.ones((4, 4), "f"), training=True)
        return model.backward(dy).copy()

    np.testing.assert_allclose(run(), with_numpy(run), rtol=1e-5)


def test_threads_may_be_the_first_to_use_a_model(request):
    """Laying out memory for one thread takes none from another."""
    interval = sys.getswitchinterval()
    request.addfinalizer(lambda: sys.setswitchinterval(interval))
    sys.setswitchinterval(1e-6)
    x, dy = np.ones((8, 5), np.float32), np.ones((8, 3), np.float32)
    with ThreadPoolExecutor(3) as pool:
        for _ in range(200):
            model = model_of(Dense(16, "relu"), Dense(3))
            asked = [pool.submit(model.predict, x) for _ in range(3)]
            for trainable in (True, False, True):
                model.layers[0].trainable = trainable
                model.forward(x, training=True)
                model.backward(dy)
            for answer in asked:
                answer.result()
