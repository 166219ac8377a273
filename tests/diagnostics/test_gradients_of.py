"""Gradients of the loss with respect to inputs and intermediate values."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.errors import ConfigurationError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 2))


def slope(function, value, step=1e-6):
    """Central differences."""
    found = np.zeros_like(value)
    for i in np.ndindex(value.shape):
        up, down = value.copy(), value.copy()
        up[i] += step
        down[i] -= step
        found[i] = (function(up) - function(down)) / (2 * step)
    return found


def test_of_inputs_and_hidden_values_by_central_differences():
    x = nl.Input((3,), name="x")
    h = L.Dense(3, "tanh", name="h")(x)
    y = L.Dense(2, name="y")(h * h + x)
    model = nl.Model(x, y, seed=0, dtype="float64")
    model.compile("sgd", "mse")
    found = model.gradients_of(["x", "h"], X, Y)
    tail = nl.Model([model.get_layer("h").output, model.inputs[0]], model.output, dtype="float64")
    hidden = nl.Model(model.inputs, model.get_layer("h").output, dtype="float64").predict(X)

    def loss(prediction):
        return float(np.mean((prediction - Y) ** 2))

    np.testing.assert_allclose(
        found["x"], slope(lambda v: loss(model.predict(v)), X), rtol=1e-6, atol=1e-9
    )
    np.testing.assert_allclose(
        found["h"], slope(lambda v: loss(tail.predict([v, X])), hidden), rtol=1e-6, atol=1e-9
    )


def test_a_sequential_and_its_softmax():
    model = nl.Sequential(
        [nl.Input((3,), name="x"), L.Dense(4, "relu", name="h"), L.Dense(2, "softmax", name="p")],
        seed=0,
        dtype="float64",
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    classes = np.array([0, 1, 1, 0])
    before = model.get_weights()
    found = model.gradients_of(["x", "p"], X, classes)
    p = model.predict(X)
    expected = np.full_like(p, 1 / 4)  # L = -Σ log(p_k / Σ p) / 4, with Σ p = 1
    expected[np.arange(4), classes] -= 1 / (4 * p[np.arange(4), classes])
    np.testing.assert_allclose(found["p"], expected, rtol=1e-9)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_layer_called_twice_has_a_list_in_the_order_of_its_calls():
    x = nl.Input((3,))
    layer = L.Dense(3, use_bias=False, name="f")
    model = nl.Model(x, layer(layer(x)), seed=0, dtype="float64")
    model.compile("sgd", "mse")
    first, second = model.gradients_of("f", X, X)["f"]
    np.testing.assert_allclose(second, 2 * (model.predict(X) - X) / X.size, rtol=1e-9)
    np.testing.assert_allclose(first, second @ layer.kernel.T, rtol=1e-9)


def test_what_the_loss_does_not_depend_on_has_zeros():
    x, z = nl.Input((3,), name="x"), nl.Input((3,), name="z")
    model = nl.Model([x, z], [L.Dense(2, name="y")(x), L.Dense(2, name="free")(z)])
    model.compile("sgd", {"y": "mse"})
    found = model.gradients_of(["z", "free", "x"], [X, X], {"y": Y})
    assert not found["z"].any()
    assert not found["free"].any()
    assert found["x"].any()
    assert found["free"].shape == (4, 2)


def test_an_unknown_name():
    model = nl.Sequential([nl.Input((3,), name="x"), L.Dense(2, name="hidden")])
    model.compile("sgd", "mse")
    with pytest.raises(ConfigurationError, match=r"'hiden'\. Did you mean 'hidden'"):
        model.gradients_of("hiden", X, Y)
