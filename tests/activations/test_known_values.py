"""Activations, held against Keras, and at the ends of the number range."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import activations
from netlayers.errors import ConfigurationError

X = [-3.0, -0.5, 0.0, 1.0, 4.0]
# keras.activations of Keras 3.15.1 at X, JAX backend, float64.
KERAS = {
    "linear": [-3.0, -0.5, 0.0, 1.0, 4.0],
    "relu": [0.0, 0.0, 0.0, 1.0, 4.0],
    "leaky_relu": [-0.6, -0.1, 0.0, 1.0, 4.0],
    "elu": [-0.950212932, -0.39346934, 0.0, 1.0, 4.0],
    "selu": [-1.670568729, -0.691758188, 0.0, 1.050700987, 4.202803949],
    "sigmoid": [0.047425873, 0.377540669, 0.5, 0.731058579, 0.98201379],
    "hard_sigmoid": [0.0, 0.416666667, 0.5, 0.666666667, 1.0],
    "tanh": [-0.995054722, -0.462117165, 0.0, 0.761594176, 0.999329209],
    "softplus": [0.048587352, 0.474076984, 0.693147181, 1.313261688, 4.018149928],
    "softsign": [-0.75, -0.333333333, 0.0, 0.5, 0.8],
    "softmax": [0.000844239, 0.010284931, 0.016956984, 0.046093863, 0.925819983],
    "log_softmax": [-7.077075466, -4.577075466, -4.077075466, -3.077075466, -0.077075466],
    "gelu": [-0.004049694, -0.154268769, 0.0, 0.841344746, 3.999873315],
    "silu": [-0.14227762, -0.188770334, 0.0, 0.731058579, 3.92805516],
    "mish": [-0.145647461, -0.220743775, 0.0, 0.865098388, 3.997412807],
    "exponential": [0.049787068, 0.60653066, 1.0, 2.718281828, 54.598150033],
}


@pytest.mark.parametrize("name", KERAS)
def test_same_numbers_as_keras(name):
    y = getattr(activations, name)(np.array(X))
    np.testing.assert_allclose(y, KERAS[name], rtol=2e-7, atol=2e-9)
    np.testing.assert_allclose(getattr(activations, name)(X), KERAS[name], rtol=2e-6, atol=1e-7)


def test_options_as_in_keras():
    gelu = [-0.003637392, -0.15428599, 0.0, 0.841191991, 3.999929754]
    np.testing.assert_allclose(activations.gelu(X, True), gelu, atol=1e-7)
    # Keras's order of arguments: negative_slope, max_value, threshold.
    np.testing.assert_allclose(
        activations.relu(X, 0.5, 3.0, 0.75), [-1.875, -0.625, -0.375, 1.0, 3.0]
    )
    assert nl.layers.LeakyReLU().negative_slope == 0.3
    assert activations.get("leaky_relu").negative_slope == 0.2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
@pytest.mark.parametrize("name", sorted({*KERAS} - {"exponential"}))
def test_finite_for_large_inputs_of_either_sign(name, size, dtype):
    layer = activations.get(name)
    layer.compute_in(np.dtype(dtype))
    x = np.array([[-size, size, 0.0]], dtype)
    y = layer.forward(x, training=True).copy()
    dx = layer.backward(np.ones_like(y))
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
    grows = {"linear", "relu", "leaky_relu", "elu", "selu", "softplus", "gelu", "silu", "mish"}
    if name in grows:
        assert y[0, 1] >= size * 0.999
        assert dx[0, 1] == pytest.approx(1.0507009873554805 if name == "selu" else 1)
    if name in ("sigmoid", "hard_sigmoid", "softplus", "silu", "gelu", "mish"):
        assert y[0, 0] == pytest.approx(0, abs=1e-20)


def test_sigmoid_is_exact_in_its_tail():
    y = activations.sigmoid(np.array([-80.0], np.float32))
    np.testing.assert_allclose(y, np.exp(np.float64(-80)), rtol=1e-5)


def test_one_object_for_two_layers_is_two_activations():
    tanh = nl.layers.Tanh()
    layers = [nl.layers.Dense(3, activation=tanh), nl.layers.Dense(3, activation=tanh)]
    model = nl.Sequential(layers, seed=0)
    assert nl.check_gradients(model, np.random.default_rng(0).normal(size=(4, 3))).passed


def test_unknown_names_and_functions_are_explained():
    with pytest.raises(ConfigurationError, match=r"'rellu'.*Did you mean 'relu'"):
        activations.get("rellu")
    with pytest.raises(ConfigurationError, match="has no gradient"):
        nl.layers.Dense(3, activation=np.tanh)
