"""Layers of the user that add to the loss."""

import numpy as np
import pytest

import netlayers as nl
from netlayers.errors import ConfigurationError

X = np.random.default_rng(0).normal(size=(20, 3))


class Small(nl.Layer):
    """``y = x``; the loss grows by ``0.1 mean x²``."""

    def forward(self, x, training=False):
        x = self.prepare(x)
        if training:
            self.cache.x = x
        self.add_loss(0.1 * np.mean(x**2))
        return x

    def backward(self, dy):
        return dy + 0.2 * self.cache.x / self.cache.x.size


class Array(Small):
    """An array is no loss."""

    def forward(self, x, training=False):
        self.add_loss(x)
        return x


def test_the_loss_of_a_model_grows():
    x = nl.Input((3,))
    model = nl.Model(x, Small()(x), dtype="float64")
    model.compile("sgd", "mse")
    assert model.evaluate(X, X, batch_size=10, verbose=0) == pytest.approx(0.1 * np.mean(X**2))


def test_its_gradient_reaches_the_weights():
    inner = nl.layers.Dense(3, use_bias=False, kernel_initializer="identity")
    model = nl.Sequential([inner, Small()], dtype="float64")
    model.compile(nl.optimizers.SGD(1.0), "mse")
    model.train_on_batch(X, X)
    expected = np.eye(3) - X.T @ (0.2 * X / X.size)  # of the mean squared error it is 0
    np.testing.assert_allclose(inner.kernel, expected, rtol=1e-12)
    assert nl.check_gradients(nl.Sequential([nl.layers.Dense(3), Small()], seed=0), X[:4]).passed


def test_an_array_is_no_loss():
    with pytest.raises(ConfigurationError, match="takes a number"):
        Array().forward(X)
