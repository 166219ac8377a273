"""A prepared prediction: the numbers of the layers one by one, whatever changes between."""

import copy
import gc
import threading
import weakref

import numpy as np
import pytest

import netlayers as nl
from netlayers.core.hooks import observed
from netlayers.layers import prediction

pytest.importorskip("numba")
L = nl.layers


@pytest.fixture(autouse=True)
def compiled_kernels():
    before = nl.kernels_in_use()
    nl.use_kernels("numba")
    yield
    nl.use_kernels(before)


IMAGE, SERIES, ROW = (9, 8, 2), (12, 3), (6,)
NETWORKS = {
    "images": (IMAGE, lambda: [
        L.Conv2D(3, 3, activation="relu", bias_initializer="ones"), L.MaxPooling2D(2), L.Flatten(),
        L.Dropout(0.5), L.Dense(4, "relu"), L.Dense(3, "softmax"),
    ]),
    "padding, strides, tanh": (IMAGE, lambda: [
        L.Conv2D(4, (3, 2), strides=2, padding="same", activation="tanh"),
        L.MaxPooling2D(3, strides=1, padding="same"), L.Conv2D(2, 1, use_bias=False), L.ReLU(),
    ]),
    "normalized": (IMAGE, lambda: [
        L.Conv2D(3, 3), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D(2), L.Reshape((3, 9)),
        L.Dense(2), L.Flatten(), L.Dense(2),
    ]),
    "channels first": (IMAGE, lambda: [
        L.Permute((3, 1, 2)), L.Conv2D(3, 3, data_format="channels_first"),
        L.MaxPooling2D(2, data_format="channels_first"), L.Flatten("channels_first"), L.Dense(2),
    ]),
    "series": (SERIES, lambda: [
        L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu"), L.MaxPooling1D(2),
        L.Conv1D(4, 2, groups=2), L.GlobalMaxPooling1D(), L.Dense(1, "sigmoid"),
    ]),
    "rows": (ROW, lambda: [L.Dense(5, "tanh"), L.Dropout(0.1), L.Dense(1, "softplus")]),
    "a network inside": (ROW, lambda: [
        nl.Sequential([L.Dense(4, "relu"), L.Dense(4)]), L.Lambda(np.abs), L.Dense(2),
    ]),
}  # fmt: skip


def network(name, dtype="float32"):
    shape, layers = NETWORKS[name]
    return nl.Sequential([nl.Input(shape), *layers()], seed=0, dtype=dtype)


def inputs(model, count=4, batch=1, seed=0):
    shape = count, batch, *model.input_shape[1:]
    return np.random.default_rng(seed).normal(size=shape).astype(model.compute_dtype)


def one_by_one(model, x):
    for layer in model.layers:
        x = layer.forward(x)
    return x


def steps(model):
    known = prediction._PREPARED.get(model)
    return [] if known is None else known._steps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NETWORKS)
def test_predictions_have_the_bits_of_the_layers(name, dtype):
    model = network(name, dtype)
    x = inputs(model, batch=2)
    given, outputs = x.copy(), [model.predict_on_batch(one) for one in x]
    assert steps(model)
    np.testing.assert_array_equal(x, given)
    np.testing.assert_array_equal(outputs, [one_by_one(model, one) for one in x])
    np.testing.assert_array_equal(model.predict(x[0]), outputs[0])
    everything = [*x, *outputs, *model.weights]
    assert not any(np.shares_memory(a, b) for a in outputs for b in everything if a is not b)


def test_the_second_input_of_a_shape_prepares():
    model = network("images")
    x = inputs(model, count=3)
    model.predict_on_batch(x[0])
    assert not steps(model)
    model.predict_on_batch(x[1])
    here = steps(model)
    assert len(here) == 6  # the input, two convolutional layers, Flatten, Dropout, both Dense
    here[-2] = lambda y: 0 * y
    np.testing.assert_array_equal(model.predict_on_batch(x[2]), np.full((1, 3), np.float32(1 / 3)))
    model.predict_on_batch(x[:2, 0])  # of another size
    assert not steps(model)


def freeze(model):
    model.layers[0].trainable = False


def activate(model):
    model.layers[0].activation = "tanh"


def patch(model):
    forward = type(model.layers[1]).forward
    model.layers[1].forward = lambda x, training=False: -forward(model.layers[1], x, training)


def move(model):
    more = nl.Sequential([model.layers[0], L.MaxPooling2D(2)])
    more.build((None, *IMAGE))
    model.layers[0].kernel[...] *= 2


def stride(model):
    model.layers[1].strides = (3, 3)
    model.layers[1].pool_size = (3, 3)


def train(model):
    model.compile("sgd", "mse")
    model.train_on_batch(inputs(model, 1)[0], np.ones((1, 3), "float32"))


CHANGES = {
    "weights": lambda m: m.set_weights([0.5 * w for w in m.get_weights()]),
    "kernels": lambda m: nl.use_kernels("numpy"),
    "last layer": lambda m: m.pop(),
    "another layer": lambda m: m.add(L.Dense(2)),
    "sizes": lambda m: stride(m) or [m.pop() for _ in range(4)],
    **{f.__name__: f for f in (freeze, activate, patch, move, train)},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_prepared_prediction_follows(change):
    model = network("images")
    x = inputs(model)
    before = [model.predict_on_batch(one) for one in x]
    assert steps(model)
    CHANGES[change](model)
    for _ in range(2):  # at first, and prepared again
        outputs = [model.predict_on_batch(one) for one in x]
        np.testing.assert_array_equal(outputs, [one_by_one(model, one) for one in x])
    same = change in ("kernels", "freeze")
    assert same == (np.shape(outputs) == np.shape(before) and np.allclose(outputs, before))


def test_a_method_that_is_given_back_is_no_longer_called():
    model = network("images")
    x = inputs(model)
    before = [model.predict_on_batch(one) for one in x]
    patch(model)
    patched = [model.predict_on_batch(one) for one in x]
    del model.layers[1].forward
    assert not np.array_equal(patched, before)
    np.testing.assert_array_equal([model.predict_on_batch(one) for one in x], before)


def test_hooks_see_every_layer():
    model = network("images")
    x = inputs(model, count=5)
    seen = []

    def note(layer, method, given, run):
        seen.append(layer.name)
        return run()

    for one in x[:3]:
        model.predict_on_batch(one)
    with observed(model, note):
        found = [model.predict_on_batch(one) for one in x]
    assert all(seen.count(layer.name) >= 5 for layer in model.layers)
    count = len(seen)
    np.testing.assert_array_equal([model.predict_on_batch(one) for one in x], found)
    assert len(seen) == count


def test_other_inputs_take_the_usual_way():
    model = network("images")
    x = inputs(model)
    expected = [model.predict_on_batch(one) for one in x]
    assert steps(model)
    turned = np.asfortranarray(x[0])
    np.testing.assert_array_equal(model.predict_on_batch(turned), expected[0])
    np.testing.assert_array_equal(model.predict_on_batch(x[0].tolist()), expected[0])
    np.testing.assert_array_equal(
        model.predict(x[0], exact=True), model.predict(x[:, 0], exact=True)[:1]
    )
    assert model.predict(x[0, :0]).shape == (0, 3)
    with pytest.raises(nl.errors.ShapeError, match="expected"):
        model.predict_on_batch(x[0, :, 1:])
    assert steps(copy.deepcopy(model)) == []


def test_a_layer_whose_output_changes_its_shape():
    model = nl.Sequential(
        [nl.Input((None, 2)), Halves(), L.Conv1D(2, 1), L.MaxPooling1D(2)], seed=0
    )
    x = np.random.default_rng(0).random((3, 1, 8, 2), dtype=np.float32)
    x[2, 0, 0] = -1
    assert [model.predict_on_batch(one).shape[1] for one in x] == [4, 4, 2]
    np.testing.assert_array_equal(model.predict_on_batch(x[2]), one_by_one(model, x[2]))


class Halves(nl.Layer):
    def compute_output_shape(self, input_shape):
        return (input_shape[0], None, input_shape[2])

    def forward(self, x, training=False):
        x = self.prepare(x)
        return x[:, :4].copy() if x[0, 0, 0] < 0 else x


def test_several_threads_predict():
    model = network("images")
    x = inputs(model, count=8)
    expected = [one_by_one(model, one) for one in x]
    found = {}

    def predict(i):
        found[i] = [model.predict_on_batch(x[i]) for _ in range(20)]

    threads = [threading.Thread(target=predict, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, outputs in found.items():
        np.testing.assert_array_equal(outputs, [expected[i]] * 20)


def test_what_is_prepared_goes_with_the_model():
    model = network("images")
    for one in inputs(model):
        model.predict_on_batch(one)
    assert steps(model)
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None
