"""Layers written as in Keras: weights by keywords, named by their attributes; ``call``."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError, MissingMethodError

X = np.random.default_rng(0).normal(size=(5, 3))


class Linear(nl.layers.Layer):
    """As in Keras's guide to layers of one's own, with forward and backward."""

    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.w = None
        self.b = None

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units),
            initializer="random_normal",
            trainable=True,
            name="kernel",
        )
        self.b = self.add_weight(
            shape=(self.units,),
            initializer="zeros",
            regularizer="l2",
            constraint="non_neg",
            autocast=False,
        )
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False, dtype="int64")

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def forward(self, x, training=False):
        x = self.prepare(x)
        if training:
            self.cache.x = x
        return x @ self.w + self.b

    def backward(self, dy):
        np.matmul(self.cache.x.T, dy, out=self.d_w)
        np.sum(dy, axis=0, out=self.d_b)
        return dy @ self.w.T


class Called(Linear):
    forward = nl.layers.Layer.forward

    def call(self, inputs):
        return inputs @ self.w + self.b


def model():
    found = nl.Sequential([Linear(4), nl.layers.Dense(1)], seed=0)
    found.compile("adam", "mse")
    return found


def test_weights_are_named_by_keyword_or_attribute():
    layer = Linear()
    layer.build((None, 3))
    assert [p.path for p in layer.declared_parameters] == [
        "linear/kernel",
        "linear/b",
        "linear/seen",
    ]
    assert layer.w is layer.kernel
    assert layer.d_w is layer.d_kernel
    assert layer.w.shape == (3, 2)
    assert layer.seen.dtype == "int64"
    assert len(layer.trainable_weights) == 2
    assert [p.regularizer is None for p in layer.declared_parameters] == [True, False, True]
    assert [p.constraint is None for p in layer.declared_parameters] == [True, False, True]
    assert nl.check_gradients(Linear(), X).passed


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["copy", "pickle"]
)
def test_copies_have_both_names(clone):
    one = model()
    one.fit(X, X[:, :1], verbose=0)
    other = clone(one)
    layer = other.layers[0]
    assert layer.w is layer.kernel
    assert not np.shares_memory(layer.w, one.layers[0].w)
    for m in (one, other):
        m.fit(X, X[:, :1], epochs=2, verbose=0)
    np.testing.assert_array_equal(one.layers[0].w, layer.w)


def test_saved_and_loaded(tmp_path):
    one = model()
    one.fit(X, X[:, :1], verbose=0)
    one.save(tmp_path / "m.safetensors")
    again = nl.load_model(tmp_path / "m.safetensors", custom_objects={"Linear": Linear})
    np.testing.assert_array_equal(again.layers[0].w, one.layers[0].w)
    np.testing.assert_array_equal(again.predict(X), one.predict(X))


class Lists(nl.layers.Layer):
    """Weights in a list, with the order of arguments of Keras."""

    def build(self, input_shape):
        self.steps = [self.add_weight((3,), "ones") for _ in range(2)]
        self.last = self.add_weight((3,), "zeros")

    def forward(self, x, training=False):
        x = self.prepare(x)
        if training:
            self.cache.x = x
        return x * self.steps[0] * self.steps[1] + self.last

    def backward(self, dy):
        x, (a, b) = self.cache.x, self.steps
        a.gradient[...] = np.sum(dy * x * b, axis=0)
        b.gradient[...] = np.sum(dy * x * a.value, axis=0)
        self.d_last[...] = np.sum(dy, axis=0)
        return dy * a * b


def test_weights_in_a_list():
    layer = Lists()
    np.testing.assert_allclose(layer.forward(X), X, rtol=1e-6)
    assert [p.name for p in layer.declared_parameters] == ["weight", "weight_1", "last"]
    assert layer.weight is layer.steps[0].value
    assert nl.check_gradients(Lists(), X).passed
    twin = copy.deepcopy(layer)
    twin.steps[0].value[...] = 2
    np.testing.assert_allclose(twin.forward(X), 2 * X, rtol=1e-6)
    np.testing.assert_allclose(layer.forward(X), X, rtol=1e-6)


def declaring(build):
    kind = type("Plain", (nl.layers.Layer,), {"build": build})
    return lambda **kwargs: kind(**kwargs).build((None, 3))


def test_a_dtype_equal_to_that_of_the_layer_is_taken():
    for dtype in ("float32", np.float32, np.dtype("float32")):
        declaring(lambda self, s, d=dtype: self.add_weight("w", (3,), dtype=d))()
    build = declaring(lambda self, s: self.add_weight("w", (3,), dtype="float64"))
    build(dtype="float64")
    with pytest.raises(ConfigurationError, match="has the dtype of the layer, float32, got dtype="):
        build()
    for wrong in ("float33", 3.5):
        with pytest.raises(ConfigurationError, match="dtype of the weight 'w' must be the name"):
            declaring(lambda self, s, d=wrong: self.add_weight("w", (3,), dtype=d))()


def test_attributes_that_are_taken():
    def build(self, input_shape):
        self.name = self.add_weight(shape=(3,))

    with pytest.raises(ConfigurationError, match=r"a weight cannot be self\.name, which is taken"):
        declaring(build)()

    def twice(self, input_shape):
        self.a = self.add_weight(shape=(3,))
        self.a = self.add_weight(shape=(3,))

    with pytest.raises(ConfigurationError, match=r"a weight cannot be self\.a, which is taken"):
        declaring(twice)()


def test_a_call_without_forward_shows_what_to_write():
    text = """Called has call(), which nothing calls here: there is no automatic differentiation, \
so a layer computes in forward() and differentiates in backward(). Write in its place

    def forward(self, x, training=False):
        x = self.prepare(x)
        if training:
            self.cache.x = x  # what backward needs
        return x @ self.w + self.b

    def backward(self, dy):
        x = self.cache.x
        self.d_w[...] = ...  # dL/dw, (3, 2)
        self.d_b[...] = ...  # dL/db, (2,)
        return ...  # dL/dx, in the shape of x
"""
    network = nl.Sequential([Called(), nl.layers.Dense(1)], seed=0)
    network.compile("sgd", "mse")
    for use in (
        lambda: Called()(X),
        lambda: network.fit(X, X[:, :1], verbose=0),
        lambda: network.predict(X),
        lambda: nl.check_gradients(Called(), X),
    ):
        with pytest.raises(MissingMethodError) as caught:
            use()
        assert text in str(caught.value)
    assert isinstance(caught.value, NotImplementedError)


def test_a_call_of_several_lines():
    class Longer(Called):
        def call(self, inputs):
            z = inputs @ self.w
            z = z + self.b
            return np.maximum(z, 0)

    space = {"Base": Called}
    exec("class Typed(Base):\n    def call(self, inputs):\n        return inputs", space)
    for kind in (Longer, space["Typed"]):
        with pytest.raises(MissingMethodError, match=r"return \.\.\.  # what call\(\) returns"):
            kind().forward(X)
