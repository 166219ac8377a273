"""Layers that are called with training=False: as at inference in training too."""

import numpy as np
import pytest

import netlayers as nl
from netlayers import layers as L
from netlayers.errors import ConfigurationError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2, 3)).astype("float32")
Y = X[:, 0, :1]


def test_a_base_is_tuned_without_noise_and_with_its_moments():
    layers = [L.Dense(4, "tanh"), L.BatchNormalization(), L.Dropout(0.5), L.GaussianNoise(0.3)]
    layers += [L.GaussianDropout(0.3), L.AlphaDropout(0.2), L.SpatialDropout1D(0.5)]
    base = nl.Sequential([nl.Input((2, 3)), *layers, L.Dense(4)], seed=0, name="base")
    base.compile("adam", "mse")
    base.fit(X, RNG.normal(size=(40, 2, 4)), epochs=3, verbose=0)
    normalization = layers[1]
    mean, gamma = normalization.moving_mean.copy(), normalization.gamma.copy()
    x = nl.Input((2, 3))
    h = base(L.Dense(3)(x), training=False)
    model = nl.Model(x, L.Dense(1)(L.Flatten()(h)), seed=0)
    assert nl.check_gradients(model, X[:4]).passed  # also of gamma and beta, and of what is before
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(normalization.moving_mean, mean)
    assert not np.array_equal(normalization.gamma, gamma)
    np.testing.assert_array_equal(model.forward(X, training=True), model.forward(X))
    base.forward(X, training=True)  # alone, as always
    assert not np.array_equal(normalization.moving_mean, mean)


@pytest.mark.parametrize("make", [lambda: L.Dense(3), L.BatchNormalization])
def test_one_layer_at_inference_and_in_training(make):
    layer, x = make(), nl.Input((3,))
    model = nl.Model(x, layer(L.Dense(3)(layer(x, training=False))), seed=1)
    assert nl.check_gradients(model, X[:5, 0]).passed


@pytest.mark.parametrize("kernels", ["numpy", "numba"])
def test_it_is_trained_like_a_layer_that_is_called_as_usual(kernels):
    if kernels == "numba":
        pytest.importorskip("numba")
    before, found = nl.kernels_in_use(), []
    nl.use_kernels(kernels)
    try:
        for options in ({}, {"training": False}):
            x = nl.Input((2, 3))
            base = nl.Sequential([L.Dense(4, "relu"), L.Dense(3, "relu")])
            model = nl.Model(x, L.Dense(1)(L.Flatten()(base(x, **options))), seed=0)
            model.compile("adam", "mse")
            model.fit(X, Y, epochs=2, verbose=0)
            found.append(model.predict(X))
    finally:
        nl.use_kernels(before)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-6)


class Noisy(nl.Layer):
    """A class of the user that says that it differs in training."""

    same_in_training = False

    def forward(self, x, training=False):
        return self.prepare(x)

    def backward(self, dy):
        return dy


def test_a_layer_of_the_user_that_differs_in_training():
    x = nl.Input((3,))
    model = nl.Model(x, L.Dense(1)(Noisy()(L.Dense(2)(x), training=False)), seed=0)
    model.compile("sgd", "mse")
    model.predict(X[:, 0])
    with pytest.raises(ConfigurationError, match=r"same_in_training = False\. Freeze it"):
        model.fit(X[:, 0], Y, verbose=0)
