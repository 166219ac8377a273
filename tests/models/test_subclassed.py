"""Models that a user writes as a class with forward and backward."""

import copy
import pickle

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.errors import ConfigurationError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 2))


class Gated(nl.Model):
    """``y = (x W) σ(x V)``, then a list of layers."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.value = L.Dense(units, name="value")
        self.gate = L.Dense(units, "sigmoid", name="gate")
        self.rest = [L.Dense(5, "tanh"), L.Dense(2)]

    def forward(self, x, training=False):
        a, b = self.value.forward(x, training), self.gate.forward(x, training)
        if training:
            self.cache.a, self.cache.b = a, b
        y = a * b
        for layer in self.rest:
            y = layer.forward(y, training)
        return y

    def backward(self, dy):
        for layer in reversed(self.rest):
            dy = layer.backward(dy)
        da, db = dy * self.cache.b, dy * self.cache.a
        return self.value.backward(da) + self.gate.backward(db)


def functional(seed):
    x = nl.Input((3,))
    y = L.Dense(4, name="value")(x) * L.Dense(4, "sigmoid", name="gate")(x)
    return nl.Model(x, L.Dense(2)(L.Dense(5, "tanh")(y)), seed=seed)


def test_its_layers_are_found_and_its_gradients_right():
    model = Gated(seed=0)
    assert nl.check_gradients(model, X[:4]).passed
    model.build((None, 3))
    assert [layer.name for layer in model.layers] == ["value", "gate", "dense", "dense_1"]
    assert model.count_params() == 2 * (3 * 4 + 4) + 4 * 5 + 5 + 5 * 2 + 2
    assert model.parameters.values.size == model.count_params()  # one vector


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
def test_it_trains_like_the_functional_model(kernels):
    if kernels == "numba":
        pytest.importorskip("numba")
    before = nl.kernels_in_use()
    nl.use_kernels(kernels)
    try:
        found = []
        for model in (Gated(seed=1), functional(1)):
            model.compile("adam", "mse")
            history = model.fit(X, Y, epochs=3, verbose=0)
            found.append((history.history["loss"], model.predict(X)))
    finally:
        nl.use_kernels(before)
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5, atol=1e-6)


def test_its_weights_are_saved_and_copied(tmp_path):
    model = Gated(seed=0)
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.save_weights(tmp_path / "w")
    model.save(tmp_path / "m")
    other = Gated(seed=5)
    other.build((None, 3))
    other.load_weights(tmp_path / "w")
    loaded = nl.load_model(tmp_path / "m", custom_objects={"Gated": Gated})
    for again in (other, loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
    expected = model.fit(X, Y, verbose=0).history
    assert loaded.fit(X, Y, verbose=0).history == expected


def test_it_is_a_layer_of_other_models():
    x = nl.Input((3,))
    model = nl.Model(x, L.Dense(1)(Gated()(x)), seed=0)
    assert nl.check_gradients(model, X[:4]).passed
    chain = nl.Sequential([Gated(), L.Dense(1)], seed=0)
    assert nl.check_gradients(chain, X[:4]).passed


class Two(nl.Model):
    """Two inputs, two outputs."""

    input_spec = (nl.InputSpec(name="a"), nl.InputSpec(name="b"))

    def __init__(self):
        super().__init__(seed=0)
        self.first, self.second = L.Dense(1), L.Dense(2)

    def forward(self, x, training=False):
        return self.first.forward(x[0], training), self.second.forward(x[1], training)

    def backward(self, dy):
        return self.first.backward(dy[0]), self.second.backward(dy[1])


def test_several_inputs_and_outputs():
    model = Two()
    model.build(((None, 3), (None, 2)))
    model.compile("sgd", ["mse", "mae"])
    history = model.fit([X, Y], [X[:, 0], Y], verbose=0).history
    assert list(history) == ["loss", "y_0_loss", "y_1_loss"]
    assert [y.shape for y in model.predict({"a": X, "b": Y})] == [(40, 1), (40, 2)]


class Forgets(Gated):
    """A backward that leaves out a layer."""

    def backward(self, dy):
        for layer in reversed(self.rest):
            dy = layer.backward(dy)
        return self.value.backward(dy * self.cache.b)


class Twice(Gated):
    """A layer called twice."""

    def forward(self, x, training=False):
        return self.value.forward(x, training) * self.value.forward(x, training)


class Unused(Gated):
    """A layer that is not called."""

    def forward(self, x, training=False):
        return self.value.forward(x, training)


class Empty(nl.Model):
    """No layers."""

    def forward(self, x, training=False):
        return x


class NoArray(Gated):
    """A forward without a result."""

    def forward(self, x, training=False):
        self.value.forward(x, training)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (Forgets, "backward.. must call backward of its layer 'gate'"),
        (Twice, "calls the layer 'value' 2 times"),
        (Unused, "does not call forward of its layer 'gate'"),
        (Empty, "it has no layers"),
        (NoArray, "forward.. must return an array"),
    ],
)
def test_mistakes_are_named(cls, message):
    model = cls(seed=0)
    model.compile("sgd", "mse")
    with pytest.raises(ConfigurationError, match=message):
        model.fit(X, Y, verbose=0)


def test_it_has_no_symbolic_values():
    model = Gated()
    model.build((None, 3))
    with pytest.raises(ConfigurationError, match="no symbolic inputs"):
        _ = model.inputs
